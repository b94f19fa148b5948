"""`kedge history NAME`: past runs, or with `--events` the whole record."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.options import output_of, server_of, with_output, with_server


@click.command("history")
@click.argument("words", nargs=-1, metavar="NAME", required=True)
@click.option("--events", is_flag=True, help="Everything recorded, not only runs.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most so many.")
@with_output
@with_server
def history_command(words: tuple[str, ...], events: bool, limit: int, **given: Any) -> None:
    """Past runs of an application, newest first: who, why, at which commit, and what came of it."""
    from kedge.cli.client import unit_path
    from kedge.cli.kinds import unit_name
    from kedge.cli.names import resolve
    from kedge.cli.views import fleet, unit

    output, server = output_of(given), server_of(given)
    path = unit_path(resolve(server, unit_name(words, "history")))
    answer = server.get(f"{path}/{'events' if events else 'operations'}", limit=limit)
    if not output.for_people:
        output.write(answer, [str(item["id" if events else "number"]) for item in answer["items"]])
    elif events:
        fleet.events(answer["items"], wide=output.wide)
    else:
        unit.runs(answer["items"], wide=output.wide)
