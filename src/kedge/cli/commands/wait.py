"""`kedge wait NAME`: until it is synced or healthy, by the event stream."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.durations import DURATION
from kedge.cli.options import server_of, with_server


@click.command("wait")
@click.argument("words", nargs=-1, metavar="NAME", required=True)
@click.option(
    "--for", "what", type=click.Choice(["synced", "healthy"]), default="healthy", show_default=True, help="Until what."
)
@click.option("--timeout", type=DURATION, default=300.0, show_default="5m", help="How long: 30s, 5m, 1h.")
@with_server
def wait_command(words: tuple[str, ...], what: str, timeout: float, **given: Any) -> int:
    """Wait for an application. Exit codes: 3 time is up, 4 degraded or failed, 5 waits for an approval."""
    from kedge.cli.kinds import unit_name
    from kedge.cli.names import resolve
    from kedge.cli.waiting import Goal, wait_for
    from kedge.clock import SystemClock

    server = server_of(given)
    name = resolve(server, unit_name(words, "wait"))
    return wait_for(server, name, Goal(what), timeout, SystemClock())
