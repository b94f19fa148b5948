"""What stories of stacks declare."""

from __future__ import annotations

from kedge.model.dossier import Dossier

PROJECT = """
apiVersion: kedge.dev/v1alpha1
kind: Project
metadata: {name: shop}
"""


def stack(name: str, *lines: str) -> str:
    """The declaration of a stack; `lines` go into its spec."""
    spec = "\n".join(f"  {line}" for line in (f"source: {{path: infra/{name}}}", *lines))
    return f"""
apiVersion: kedge.dev/v1alpha1
kind: Stack
metadata: {{name: {name}, project: shop}}
spec:
{spec}
"""


NET = """
variable "range" { default = "10.0.0.0/16" }
resource "terraform_data" "net" { input = var.range }
output "range" { value = terraform_data.net.output }
"""
UNATTENDED = "approve: {when: never}"


def pending(dossier: Dossier) -> str:
    """The commit whose plan waits for an approval."""
    plan = dossier.plan
    return plan.revision.commit if plan is not None and plan.needs is not None and plan.revision is not None else ""
