"""`kedge state …`: what the built-in state backend keeps of stacks."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.options import output_of, server_of, with_act, with_output, with_server


@click.group("state")
def state_command() -> None:
    """States of stacks in the built-in backend: every version, who holds the lock, and the way back on the worst day.

    Secrets are never shown, but by pull, which is on record.
    """


@state_command.command("list")
@with_output
@with_server
def list_command(**given: Any) -> None:
    """Every unit that has a state."""
    from kedge.cli.views import states

    output, server = output_of(given), server_of(given)
    found = server.get("/api/v1/states")
    if not output.for_people:
        output.write(found, [item["unit"] for item in found["items"]])
    else:
        states.lines(found["items"])


@state_command.command("versions")
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="At most so many.")
@with_output
@with_server
def versions_command(name: str, limit: int, **given: Any) -> None:
    """Versions of a unit's state that are kept, newest first, and who holds its lock."""
    from kedge.cli.views import states

    output, server = output_of(given), server_of(given)
    found = server.get(f"{_path(server, name)}/versions", limit=limit)
    if not output.for_people:
        output.write(found, [str(item["number"]) for item in found["items"]])
    else:
        states.versions(found)


@state_command.command("show")
@click.argument("name")
@click.argument("address", default="")
@click.option("--version", "number", type=click.IntRange(0), default=0, help="A version; the newest by default.")
@with_output
@with_server
def show_command(name: str, address: str, number: int, **given: Any) -> None:
    """Outputs and resources of a state; with ADDRESS, the attributes of what it begins. Secrets are masked."""
    from kedge.cli.views import states

    output, server = output_of(given), server_of(given)
    found = server.get(_path(server, name), version=number, address=address)
    if not output.for_people:
        output.write(found, [*found["resources"]])
    elif address:
        states.attributes(found["shown"])
    else:
        states.one(found)


@state_command.command("diff")
@click.argument("name")
@click.argument("old", type=click.IntRange(0), default=0, metavar="[VERSION]")
@click.argument("new", type=click.IntRange(0), default=0, metavar="[VERSION]")
@with_output
@with_server
def diff_command(name: str, old: int, new: int, **given: Any) -> int:
    """What lies between two versions: without any, between the newest and the one before. Secrets are masked.

    Exit code 1 where anything differs.
    """
    from kedge.cli.exits import Exit
    from kedge.cli.views import states

    output, server = output_of(given), server_of(given)
    found = server.get(f"{_path(server, name)}/diff", old=old or "", new=new or "")
    if not output.for_people:
        output.write(found, [item["address"] for item in found["items"]])
    else:
        states.differences(found)
    return Exit.DIFFERS if found["items"] else Exit.OK


@state_command.command("pull")
@click.argument("name")
@click.option("--version", "number", type=click.IntRange(0), default=0, help="A version; the newest by default.")
@click.option("--reason", envvar="KEDGE_REASON", default="", metavar="TEXT", help="Why; it is recorded.")
@with_server
def pull_command(name: str, number: int, reason: str, **given: Any) -> None:
    """Print a state as it is, with the secrets in it. That it was read is on record."""
    from kedge.cli.states import pull

    server = server_of(given)
    pull(server, _path(server, name), number, reason)


@state_command.command("push")
@click.argument("name")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--force", is_flag=True, help="Although its lineage is another, or its serial is not later.")
@click.option("--break-glass", is_flag=True, help="Although you may not approve the unit's plans; loudly.")
@with_act
@with_server
def push_command(name: str, file: Any, force: bool, break_glass: bool, **given: Any) -> None:
    """Put a state FILE (or stdin) in place of the newest version: to bring an existing state to Kedge, or a repaired
    one back. Lineage and serial count as in the tools' own state push."""
    from kedge.cli.states import Wish, push

    wish, server = Wish.taken(given, force=force, break_glass=break_glass), server_of(given)
    push(server, _path(server, name), file, wish)


@state_command.command("rollback")
@click.argument("name")
@click.argument("to", type=click.IntRange(1), metavar="VERSION")
@click.option("--break-glass", is_flag=True, help="Although you may not approve the unit's plans; loudly.")
@with_act
@with_output
@with_server
def rollback_command(name: str, to: int, break_glass: bool, **given: Any) -> None:
    """Show what lies between the newest version and an earlier one, ask for a reason, and make that one the newest
    under a new serial. It changes what the tool believes to be there, not what is there: for that, kedge rollback."""
    from kedge.cli.states import Wish, rollback

    output = output_of(given)
    wish, server = Wish.taken(given, break_glass=break_glass), server_of(given)
    rollback(server, _path(server, name), to, wish, output)


@state_command.command("unlock")
@click.argument("name")
@click.option("--force", is_flag=True, help="Although its run may be at work; that can not write any more.")
@click.option("--break-glass", is_flag=True, help="Although you may not approve the unit's plans; loudly.")
@with_act
@with_server
def unlock_command(name: str, force: bool, break_glass: bool, **given: Any) -> None:
    """Break the lock of a run that is proven to be over. Kedge does so by itself once it knows."""
    from kedge.cli.states import Wish, unlock

    wish, server = Wish.taken(given, force=force, break_glass=break_glass), server_of(given)
    unlock(server, _path(server, name), wish)


def _path(server: Any, name: str) -> str:
    from kedge.cli.client import unit_path
    from kedge.cli.names import resolve

    return f"{unit_path(resolve(server, name))}/state"
