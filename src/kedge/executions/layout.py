"""The work tree of an execution: a bundle as files, and what may not be in one.

A stack's code can name modules anywhere on this machine. What `init` has brought is looked through before anything of
it is evaluated: every module has to be within the work tree or within what was fetched, links included.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kedge.model.errors import Invalid, Where
from kedge.model.execution import BundleFile

OVERRIDE = "zzzz_kedge_override.tf.json"
"""Overrides are laid over each other by name: ours is the last."""
LOCK_FILE = ".terraform.lock.hcl"
_EXTENSIONS = (".tofu.json", ".tf.json", ".tofu", ".tf")
_READS = re.compile(rb"\b(?:terraform|tofu)\s*\.\s*workspace\b")
_LONGEST = 1_000
_MOST_LISTED = 4 << 20


def checked(paths: Iterable[str], folder: str) -> None:
    """Raises Invalid for a bundle that can not be laid out within a work tree, or that would take its backend from
    somewhere else than we say."""
    seen: set[str] = set()
    parents: set[str] = set()
    if folder:
        _refuse_path(folder)
    for path in paths:
        _refuse_path(path)
        if path in seen:
            raise Invalid("the bundle has this file twice", where=Where(path))
        seen.add(path)
        steps = path.split("/")
        parents.update("/".join(steps[:count]) for count in range(1, len(steps)))
        _refuse_override(path, folder)
    for path in sorted(seen & parents):
        raise Invalid("the bundle has this as a file and as a folder", where=Where(path))
    if folder and folder not in parents:
        raise Invalid("the stack's folder holds no file", where=Where(folder))


def _refuse_path(path: str) -> None:
    steps = path.split("/")
    if len(path) > _LONGEST or any(step in ("", ".", "..") for step in steps) or not path.isprintable():
        raise Invalid(f"{path[:60]!r} is no path within a bundle", hint="a relative one, without “..”")


def _refuse_override(path: str, folder: str) -> None:
    home, _, name = path.rpartition("/")
    extension = next((one for one in _EXTENSIONS if name.endswith(one)), "")
    overrides = bool(extension) and (name[: -len(extension)] == "override" or name.endswith(f"_override{extension}"))
    if home == folder and overrides and name.encode() >= OVERRIDE.encode():
        raise Invalid(
            f"this would be laid over {OVERRIDE}, with which Kedge sets the backend",
            where=Where(path),
            hint="give the file a name that is earlier in the alphabet",
        )


def lay_out(files: Sequence[BundleFile], folder: str, work: Path, *, backend: bool) -> None:
    """Write a bundle. `backend`: the state goes to the built-in one, whatever the code says. Raises Invalid as
    `checked`, OSError as the disk does."""
    checked((file.path for file in files), folder)
    made: set[Path] = set()
    for file in files:
        place = work / file.path
        if place.parent not in made:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            made.add(place.parent)
        mode = 0o700 if file.executable else 0o600
        with open(place, "xb", opener=lambda path, flags, mode=mode: os.open(path, flags, mode)) as out:  # type: ignore[misc]
            out.write(file.content)
    stack = work / folder
    stack.mkdir(mode=0o700, parents=True, exist_ok=True)
    if backend:
        (stack / OVERRIDE).write_text('{"terraform": {"backend": {"http": {}}}}\n')


def outside(work: Path, data: Path, folder: str) -> list[str]:
    """What `init` took from outside of the work tree and of what it fetched, one sentence each."""
    roots = [place.resolve() for place in (work, data)]
    found = [_told(module, roots, work / folder) for module in _modules(data)]
    return [text for text in found if text] + _loose_links(data / "modules", roots)


def nameless(work: Path, data: Path, folder: str) -> list[str]:
    """The fetched modules that read the workspace's name, one sentence each. Code of the repository was given it as a
    text; of the built-in backend the tool itself knows none but the default one."""
    found = []
    for module in _modules(data):
        place = (work / folder / str(module.get("Dir", ""))).resolve()
        files = sorted(place.iterdir()) if place.is_dir() and place.is_relative_to(data.resolve()) else ()
        if any(file.name.endswith(_EXTENSIONS) and _READS.search(file.read_bytes()) for file in files):
            source = str(module.get("Source", ""))[:200]
            found.append(
                f"module {module['Key']} ({source}) reads terraform.workspace, which is “default” with Kedge's own "
                "state: copy it into the repository, or declare a backend that has workspaces"
            )
    return found


def _modules(data: Path) -> list[dict[str, Any]]:
    """The tool's own list of a stack's modules (`Key`, `Source`, `Dir`)."""
    listed = data / "modules" / "modules.json"
    if not listed.is_file() or listed.stat().st_size > _MOST_LISTED:
        return []
    modules = json.loads(listed.read_bytes()).get("Modules", [])
    return [module for module in modules if module.get("Key")]


def _told(module: dict[str, Any], roots: Sequence[Path], stack: Path) -> str:
    place = stack / str(module.get("Dir", ""))
    if _within(place, roots):
        return ""
    return (
        f"module {module['Key']} ({str(module.get('Source', ''))[:200]}) is outside of the repository: "
        "modules come from the same repository, a registry or another repository"
    )


def _loose_links(fetched: Path, roots: Sequence[Path]) -> list[str]:
    found = []
    for home, folders, files in os.walk(fetched):
        for name in [*folders, *files]:
            place = Path(home, name)
            if place.is_symlink() and not _within(place, roots):
                shown = place.relative_to(fetched)
                found.append(f"a module brings a link that leads out of it: {shown}")
    return found


def _within(place: Path, roots: Sequence[Path]) -> bool:
    real = place.resolve()
    return any(real.is_relative_to(root) for root in roots)
