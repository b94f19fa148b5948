"""`kedge diff NAME`, or of two directories or refs offline. Alias: plan."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from kedge.cli.commands.render import with_rendering
from kedge.cli.options import output_of, server_of, with_output, with_server


@click.command("diff")
@click.argument("words", nargs=-1, metavar="NAME | DIR1 DIR2 | [DIR]", required=False)
@click.option("--pending", is_flag=True, help="The plan that waits, not a new one.")
@click.option("--hidden", is_flag=True, help="Also list what rules hide, and which rule.")
@click.option("--from", "old", default="", metavar="REF", help="Offline: render DIR at this commit, branch or tag …")
@click.option("--to", "new", default="", metavar="REF", help="… and at this one; the working tree by default.")
@with_rendering
@with_output
@with_server
def diff_command(words: tuple[str, ...], pending: bool, hidden: bool, old: str, new: str, **given: Any) -> int:
    """What a sync of NAME would change now; or, offline, what lies between two directories or two refs, or what the
    tool would do to the stack in one directory of OpenTofu's or Terraform's code.

    Exit code 1 where anything differs.
    """
    from kedge.cli.plans import plan_of, show
    from kedge.cli.views.human import say
    from kedge.cli.views.plan import Approved
    from kedge.model.errors import Invalid

    output = output_of(given)
    if len(words) == 1 and not pending and _is_stack(words[0]):
        return show(_stack(Path(words[0]), given), output, hidden=hidden)
    if old or new or (len(words) == 2 and all(Path(word).is_dir() for word in words)):
        return show(_offline(words, old, new, given), output, hidden=hidden)
    if not words:
        raise Invalid("nothing to compare", hint="kedge diff NAME, kedge diff DIR1 DIR2, or kedge diff --from REF DIR")
    found = _live(words, pending, given)
    plan = plan_of(found["plan"])
    if plan is None:
        say("nothing waits")
        return 0
    approved = Approved.of(plan, plan_of(found.get("approved")), str(found.get("approvedBy", "")))
    return show(plan, output, hidden=hidden, since=found["live"], approved=approved)


def _is_stack(word: str) -> bool:
    from kedge.cli.stacking import is_stack

    return is_stack(Path(word))


def _stack(directory: Path, given: dict[str, Any]) -> Any:
    from kedge.cli.rendering import Wish
    from kedge.cli.stacking import planned

    return planned(directory, Wish(**{key: given[key] for key in ("name", "values", "sets", "declared", "unit")}))


def _live(words: tuple[str, ...], pending: bool, given: dict[str, Any]) -> Any:
    from kedge.cli.client import unit_path
    from kedge.cli.kinds import unit_name
    from kedge.cli.names import resolve
    from kedge.cli.waiting import planned

    server = server_of(given)
    name = resolve(server, unit_name(words, "diff"))
    return planned(lambda: server.get(f"{unit_path(name)}/plan", fresh=not pending))


def _offline(words: tuple[str, ...], old: str, new: str, given: dict[str, Any]) -> Any:
    from kedge.cli.comparing import compared
    from kedge.cli.rendering import Wish, name_of, rendered, rendered_at
    from kedge.model.errors import Invalid

    wish = Wish(**{field.name: given[field.name] for field in fields(Wish)})
    if not old and not new:
        before, after = rendered([Path(word) for word in words], wish)
        return compared(before, after, name_of(wish))
    if not old or len(words) > 1:
        raise Invalid("to compare refs, name one directory", hint="kedge diff --from main --to HEAD apps/web")
    directory = Path(words[0] if words else ".")
    before, after = rendered_at(directory, (old, new), wish)
    return compared(before, after, name_of(wish, new))
