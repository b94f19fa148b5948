"""`kedge logs NAME [OBJECT]`: what its Pods write."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.durations import DURATION
from kedge.cli.options import server_of, with_server

TAIL = 200


@click.command("logs")
@click.argument("name", metavar="NAME")
@click.argument("what", metavar="[OBJECT]", default="")
@click.option("-c", "--container", default="", help="Only this container of each Pod.")
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C, new Pods included.")
@click.option("--previous", is_flag=True, help="Of the run before the container's last restart.")
@click.option("--since", type=DURATION, default=None, help="Only lines younger than this: 5m.")
@click.option(
    "--tail",
    type=click.IntRange(-1, 10**9),
    default=TAIL,
    show_default=True,
    help="The last so many lines of each container; -1: all of them.",
)
@click.option("--prefix/--no-prefix", default=None, help="Begin each line with Pod and container, or never.")
@with_server
def logs_command(name: str, what: str, **given: Any) -> None:
    """Lines that the Pods of an application write, or those of one OBJECT: [KIND/]NAME, such as deploy/web, pod/web-x.

    Where there are several containers, each line begins with its own. stderr says which have no lines, and why."""
    from kedge.cli.client import unit_path
    from kedge.cli.names import resolve
    from kedge.cli.views.objects import Lines

    server = server_of(given)
    tail, since = given["tail"], given["since"]
    query = {
        "object": what,
        "container": given["container"],
        "follow": "true" if given["follow"] else "",
        "previous": "true" if given["previous"] else "",
        "since": f"{since:g}" if since else "",
        "tail": "" if tail < 0 else str(tail),
    }
    view = Lines(prefix=given["prefix"])
    for line in server.lines(f"{unit_path(resolve(server, name))}/logs", **query):
        view.take(line)
