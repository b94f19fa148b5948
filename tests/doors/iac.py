"""OpenTofu and Terraform as a run starts them: a folder, an environment of their own, and the state backend's URL."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.build_parts import OPENTOFU

from kedge.model.execution import StateAccess

TOOLS = ("tofu", "terraform")
PATIENCE = 60.0


def found(tool: str) -> Path | None:
    """OpenTofu is built as a part, Terraform is the machine's where it has one."""
    if tool == "tofu" and OPENTOFU.program.exists():
        return OPENTOFU.program
    place = shutil.which(tool)
    return Path(place) if place else None


@dataclass(frozen=True)
class Said:
    code: int
    text: str


@dataclass
class Stack:
    """A folder of code, and the tool in it. `hold` is a file that provisioners wait for."""

    program: Path
    folder: Path
    access: StateAccess | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def hold(self) -> Path:
        return self.folder / "go-on"

    @property
    def errored(self) -> Path:
        return self.folder / "errored.tfstate"

    def declare(self, code: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "main.tf").write_text(code)
        (self.folder / "cli.tfrc").write_text("disable_checkpoint = true\n")

    def environment(self) -> dict[str, str]:
        backend = {}
        if self.access is not None:
            address = {f"TF_HTTP_{name}ADDRESS": self.access.address for name in ("", "LOCK_", "UNLOCK_")}
            backend = {**address, "TF_HTTP_USERNAME": self.access.user, "TF_HTTP_PASSWORD": self.access.token}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TF_CLI_CONFIG_FILE": str(self.folder / "cli.tfrc"),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "TF_HTTP_RETRY_MAX": "0",
            "TF_HTTP_RETRY_WAIT_MIN": "0",
            **backend,
            **self.more,
        }

    @asynccontextmanager
    async def started(self, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The tool at work; whatever is left of it and of what it started is killed with the block."""
        process = await asyncio.create_subprocess_exec(
            str(self.program),
            *words,
            cwd=self.folder,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill(process)
            await process.wait()

    async def run(self, *words: str) -> Said:
        async with self.started(*words) as process:
            return await ended(process)

    async def init(self) -> None:
        said = await self.run("init", "-no-color")
        assert said.code == 0, said.text

    async def apply(self, *words: str) -> Said:
        return await self.run("apply", "-auto-approve", "-no-color", *words)


async def ended(process: asyncio.subprocess.Process) -> Said:
    async with asyncio.timeout(PATIENCE):
        text, _ = await process.communicate()
    return Said(process.returncode or 0, text.decode())


def kill(process: asyncio.subprocess.Process) -> None:
    """With all that it has started: as the kernel does when memory is short, without a word."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)


BACKEND = 'terraform {\n  backend "http" {}\n}\n'
PLAIN = (
    BACKEND
    + """
variable "size" {
  default = "small"
}
variable "password" {
  default   = "hunter2-canary"
  sensitive = true
}
resource "terraform_data" "main" {
  count = 2
  input = "${var.size} ${count.index}"
}
resource "terraform_data" "secret" {
  input = var.password
}
output "size" {
  value = terraform_data.main[0].output
}
output "password" {
  value     = terraform_data.secret.output
  sensitive = true
}
"""
)
HOLDING = (
    BACKEND
    + """
resource "terraform_data" "first" {
  input = "first"
}
resource "terraform_data" "slow" {
  input = terraform_data.first.output
  provisioner "local-exec" {
    command = "touch began; while [ ! -e go-on ]; do sleep 0.05; done"
  }
}
"""
)
"""It has begun when there is a file `began`, and goes on when there is one `go-on`."""
