"""Plans as the server sends them → the model's Plan, and onto the screen."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kedge.cli.exits import Exit
from kedge.cli.views.machine import Output
from kedge.model.errors import Unavailable
from kedge.model.plan import Plan

if TYPE_CHECKING:
    from kedge.cli.views.plan import Approved

T = TypeVar("T")


def plan_of(found: Any) -> Plan | None:
    """Raises Unavailable for what this version cannot read."""
    return None if found is None else model_of(found, Plan)


def model_of(found: Any, kind: type[T]) -> T:
    """A part of a server's answer as the model's own value. Raises Unavailable for what this version cannot read."""
    import msgspec

    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        what = kind.__name__.lower()
        raise Unavailable(f"the server's {what} cannot be read: {error}", hint="is it of another version?") from None


def show(
    plan: Plan, output: Output, *, hidden: bool = False, since: str = "", approved: Approved | None = None
) -> Exit:
    """Write a plan to stdout; `hidden` lists what rules hide, `since` is the commit that is live now, `approved` what
    an approval was of that is not of this plan.

    DIFFERS where it would do anything.
    """
    from kedge.cli.views.plan import View, as_json, text

    if output.for_people:
        width = 0 if output.wide or not sys.stdout.isatty() else shutil.get_terminal_size().columns
        how = View(width=width, colour=True, hidden=hidden or output.wide, since=since)
        click.echo(text(plan, how, approved), nl=False)
    else:
        output.write(as_json(plan, approved), [str(change.ref) for change in plan.changes])
    return Exit.OK if plan.empty else Exit.DIFFERS
