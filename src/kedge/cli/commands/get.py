"""`kedge get [KIND] [NAME]`: read the fleet, or one thing of it."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.exits import Exit
from kedge.cli.options import output_of, server_of, with_output, with_server


@click.command("get")
@click.argument("words", nargs=-1, metavar="[KIND] [NAME]")
@click.option("-p", "--project", default="", help="Only this project.")
@click.option("--health", default="", help="Only this health: Degraded, Progressing …")
@click.option("--sync", default="", help="Only this state: Synced, OutOfSync, Unknown.")
@click.option("--cluster", default="", help="Only this cluster.")
@click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="Only with this label; may be repeated.")
@click.option("--text", default="", help="Only where name, commit or author hold this text.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="At most so many rows.")
@click.option("--objects", is_flag=True, help="event NAME: those of the cluster, about the objects and their children.")
@with_output
@with_server
def get_command(words: tuple[str, ...], **given: Any) -> int:
    """List applications and stacks, worst first, with the reason; or another KIND: app, stack, source, run, event,
    cluster, project.

    With NAME, one unit on one screen.
    """
    from kedge.cli.kinds import UNITS, split
    from kedge.cli.names import resolve
    from kedge.cli.reads import READS, cluster_events, one_unit

    output, server = output_of(given), server_of(given)
    kind, name = split(words, "get")
    if given["objects"]:
        return cluster_events(server, kind, name, output)
    if kind in UNITS and name:
        return one_unit(server, resolve(server, name), output)
    READS[kind](server, name, given, output)
    return Exit.OK
