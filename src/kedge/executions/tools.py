"""Which programs of OpenTofu and Terraform are here, and which of them a stack gets."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kedge import process
from kedge.executions.command import PATH
from kedge.model.errors import Invalid, Unavailable
from kedge.model.execution import Tool
from kedge.model.version import Version, newest, parse, read

_NAMES: Mapping[Tool, str] = {Tool.OPENTOFU: "tofu", Tool.TERRAFORM: "terraform"}
_TITLES: Mapping[Tool, str] = {Tool.OPENTOFU: "OpenTofu", Tool.TERRAFORM: "Terraform"}
_MOST = 50
"""How many programs of one tool are looked at."""
_ASKED = 30.0

Ask = Callable[[Path], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Program:
    path: str
    tool: Tool
    version: Version


async def ask_version(program: Path) -> str:
    """The version that a program tells of itself, "" where it tells none."""
    with TemporaryDirectory(prefix="kedge-tool-") as home:
        env = {"PATH": PATH, "HOME": home, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
        try:
            said = await process.run([str(program), "version", "-json"], env=env, timeout=_ASKED, cwd=home)
        except Unavailable:
            return ""
    try:
        answer: Any = json.loads(said.stdout)
    except ValueError:
        return ""
    return str(answer.get("terraform_version", "")) if isinstance(answer, dict) else ""


class Tools:
    """Programs in the folders of a PATH, and in `folders`: also under names such as `tofu-1.12.6`, and one folder
    deeper (`1.12.6/tofu`). Each is asked for its version once, and again when it has changed."""

    def __init__(self, path: str, folders: Sequence[Path] = (), ask: Ask = ask_version) -> None:
        self._path = [Path(one) for one in path.split(":") if one.startswith("/")]
        self._folders = tuple(folders)
        self._ask = ask
        self._known: dict[tuple[str, int, int], str] = {}

    async def find(self, tool: Tool, wanted: str) -> Program:
        """The newest that fits a range, "" for any. Raises Invalid where none does, naming what is here."""
        fits = parse(wanted or "*", tool=True)
        here = await self.all(tool)
        chosen = newest(fits, ((str(one.version), one) for one in here))
        if chosen is not None:
            return chosen[1]
        title = _TITLES[tool]
        what = f"{title} {wanted}" if wanted else title
        found = ", ".join(dict.fromkeys(f"{one.version} ({one.path})" for one in here))
        raise Invalid(
            f"{what} is wanted, and {f'only {found} is here' if found else f'there is no {title} here'}",
            hint=f"install `{_NAMES[tool]}` on the PATH that Kedge is given, or name its folder in KEDGE_TOOLS",
        )

    async def all(self, tool: Tool) -> Sequence[Program]:
        """Every program of a tool that answers, in the order of the folders."""
        found = []
        for place in self._places(_NAMES[tool]):
            version = read(await self._version(place), loose=True)
            if version is not None:
                found.append(Program(str(place), tool, version))
        return found

    def _places(self, name: str) -> Iterable[Path]:
        places = [folder / name for folder in self._path]
        for folder in self._folders:
            places += [folder / name, *sorted(folder.glob(f"{name}[-_]*")), *sorted(folder.glob(f"*/{name}"))]
        real = {place.resolve(): None for place in places if _is_program(place)}
        return list(real)[:_MOST]

    async def _version(self, place: Path) -> str:
        key = _state(place)
        if not self._known.get(key):
            self._known[key] = await self._ask(place)
        return self._known[key]


def _state(place: Path) -> tuple[str, int, int]:
    stat = place.stat()
    return str(place), stat.st_mtime_ns, stat.st_size


def _is_program(place: Path) -> bool:
    try:
        return place.is_file() and bool(place.stat().st_mode & 0o111)
    except OSError:
        return False
