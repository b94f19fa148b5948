variable "name" {
  default = "world"
}

resource "terraform_data" "greeting" {
  input = "hello, ${var.name}"
}

output "text" {
  value = terraform_data.greeting.output
}
