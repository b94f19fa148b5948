"""`kedge tree NAME` and `kedge trace KIND/NAME`: from a unit to its objects, and back."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.options import output_of, server_of, with_output, with_server


@click.command("tree")
@click.argument("words", nargs=-1, metavar="NAME", required=True)
@with_output
@with_server
def tree_command(words: tuple[str, ...], **given: Any) -> None:
    """An application's objects with their health, in the order of waves."""
    from kedge.cli.client import unit_path
    from kedge.cli.kinds import app_name
    from kedge.cli.names import resolve
    from kedge.cli.views import unit

    output, server = output_of(given), server_of(given)
    name = resolve(server, app_name(words, "tree"))
    answer = server.get(f"{unit_path(name)}/objects")
    if output.for_people:
        unit.objects(name, answer["items"])
        return
    output.write(answer, [f"{item['kind']} {item['namespace']}/{item['name']}" for item in answer["items"]])


@click.command("trace")
@click.argument("what", metavar="[GROUP/]KIND/NAME")
@click.option("-n", "--namespace", default="", help="The object's namespace.")
@click.option("--cluster", default="default", show_default=True, help="The object's cluster.")
@with_output
@with_server
def trace_command(what: str, namespace: str, cluster: str, **given: Any) -> None:
    """From an object to its application, commit and author: kedge trace apps/Deployment/web -n web."""
    from kedge.cli.views import unit
    from kedge.model.errors import Invalid

    output, server = output_of(given), server_of(given)
    parts = what.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise Invalid(f"“{what}” names no object", hint="write KIND/NAME or GROUP/KIND/NAME: apps/Deployment/web")
    group = parts[0] if len(parts) == 3 else ""
    kind, name = parts[-2:]
    found = server.get("/api/v1/trace", group=group, kind=kind, namespace=namespace, name=name, cluster=cluster)
    if output.for_people:
        unit.trace(found)
        return
    output.write(found, [found["unit"]])
