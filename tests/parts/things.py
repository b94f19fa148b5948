"""The provider of the stories of stacks, as an operator supplies it: in a folder that mirrors providers.

Its resources are files: whoever writes them changes the world behind a tool's back. See `parts/things/main.go`.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from scripts.build_parts import THINGS
from tests.parts.mirrors import machine

SOURCE = "kedge.test/kedge/things"
VERSION = "1.0.0"


def required(source: str) -> str:
    """The code that asks for it."""
    return f"""
terraform {{
  required_providers {{
    things = {{
      source  = "{source}"
      version = "{VERSION}"
    }}
  }}
}}
"""


REQUIRED = required(SOURCE)


def mirrored(root: Path) -> Path:
    """A mirror of it below `root`."""
    home = root / SOURCE / VERSION / machine()
    home.mkdir(parents=True)
    (home / f"{THINGS.program.name}_v{VERSION}").symlink_to(THINGS.program)
    return root


def packed(root: Path, source: str) -> Path:
    """A mirror of it below `root`, as an archive and under another name."""
    kind = source.rpartition("/")[2]
    home = root / source
    home.mkdir(parents=True)
    with zipfile.ZipFile(home / f"terraform-provider-{kind}_{VERSION}_{machine()}.zip", "w") as archive:
        archive.write(THINGS.program, f"terraform-provider-{kind}_v{VERSION}")
    return root


@dataclass(frozen=True)
class Things:
    """The folder that the provider's resources are in, what a stack needs to reach it, and what is done to it by others
    than a tool."""

    folder: Path
    head: str = REQUIRED
    """What begins the code of each stack."""
    secret = "the-key-of-the-things"
    plans = "{THINGS_FOLDER: {env: THINGS}}"
    applies = "{THINGS_FOLDER: {env: THINGS}, THINGS_KEY: {env: KEY}}"
    """What the Credentials of plans and of applies give to the tool, of the variables of the server."""
    every = "2s"
    """How often drift can be looked for."""

    @property
    def environ(self) -> dict[str, str]:
        return {"THINGS": str(self.folder), "KEY": self.secret}

    def thing(self, kind: str, name: str, content: str) -> str:
        """The code of a resource of that name; `content` is an expression. There is one kind only."""
        return f'resource "things_thing" "{name}" {{\n  name    = "{name}"\n  content = {content}\n}}\n'

    def address(self, kind: str, name: str) -> str:
        return f"things_thing.{name}"

    def id(self, kind: str, name: str) -> str:
        """The expression that names it to others, once it is there."""
        return f"things_thing.{name}.id"

    def known_as(self, kind: str, name: str) -> str:
        """The value of that."""
        return f"thing-{name}"

    def read(self) -> dict[str, str]:
        """Every thing by name."""
        return {file.name: file.read_text() for file in sorted(self.folder.iterdir()) if "." not in file.name}

    def write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def breaks(self, name: str, how: str) -> None:
        """What becomes of the next writes of a thing: "panic", "refuse", "wait"; or of its reads: "panic when read"."""
        (self.folder / f"{name}.fault").write_text(how)

    def works(self, name: str) -> None:
        """No fault any more; whoever waits goes on."""
        (self.folder / f"{name}.fault").unlink()

    def waits(self, name: str) -> bool:
        """Whether the provider has come to a thing that waits."""
        return (self.folder / f"{name}.waits").exists()
