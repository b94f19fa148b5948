"""Going back by Git: a commit on a branch of the person's own clone, with the diff of it first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kedge.cli.asking import Act, go, reason
from kedge.cli.client import Server, unit_path
from kedge.cli.plans import model_of
from kedge.cli.views.human import clean, say
from kedge.cli.views.machine import Output
from kedge.model.ref import UnitName
from kedge.model.restoration import Drafted, Restoration

if TYPE_CHECKING:
    from kedge.ports import Clone


@dataclass(frozen=True, slots=True)
class Way:
    """`repository` is a folder of the clone; `branch` "" means one named after the unit and the commit."""

    repository: Path
    branch: str = ""


def back_by_git(server: Server, unit: str, to: str, way: Way, act: Act, output: Output) -> int:
    """Show what puts the unit's declaration and inputs back, and commit it on a branch. Pushes nothing.

    Raises Invalid, Unavailable, Conflict: then nothing has been written but loose objects that Git collects."""
    from kedge.offline import clone_at

    clone = clone_at(way.repository)
    found = model_of(server.post(f"{unit_path(unit)}/rollback:git", {"to": to})["restoration"], Restoration)
    for note in found.notes:
        say(f"note: {note}")
    texts = _declaration(clone, found, UnitName.parse(unit))
    draft = clone.drafted(found.base, found.then, found.paths, texts)
    if not draft.files:
        say(f"{unit} is in Git as it was at {found.then[:7]}: there is nothing to put back")
        return 0
    branch = way.branch or f"kedge/rollback/{unit.replace('/', '-').replace('@', '-')}-{found.then[:7]}"
    _show(draft, branch, output)
    why = reason(act, "rollback")
    files = "1 file" if len(draft.files) == 1 else f"{len(draft.files)} files"
    if not go(act, f"commit that ({files}) on the new branch {branch}, on top of {found.base[:7]} of {found.ref}"):
        return 0
    commit = clone.branch(branch, draft, _message(unit, found, why))
    say(f"{branch} is at {commit[:7]}: git push origin {branch}, then open a pull request")
    return 0


def _declaration(clone: Clone, found: Restoration, unit: UnitName) -> dict[str, bytes]:
    """The file that declares the unit, with its document as it was; nothing where another repository has it."""
    from kedge.dialects.splice import spliced

    if not found.file:
        return {}
    then = clone.file(found.then, found.source) or b""
    now = clone.file(found.base, found.file) or b""
    text = spliced(now, then, unit, found.file)
    return {found.file: text} if text != now else {}


def _show(draft: Drafted, branch: str, output: Output) -> None:
    if output.for_people:
        click.echo(clean(draft.patch, lines=True), nl=False)
    else:
        output.write({"branch": branch, "base": draft.base, "files": draft.files, "patch": draft.patch}, draft.files)


def _message(unit: str, found: Restoration, why: str) -> str:
    run = f" (run {found.run})" if found.run else ""
    return (
        f"Roll {unit} back to {found.then[:7]}{run}\n\n{why}\n\nKedge-Unit: {unit}\nKedge-Rollback-To: {found.then}\n"
    )
