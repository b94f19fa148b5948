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
    """An application's objects with their health, in the order of waves, and below each what the cluster made from it:
    ReplicaSets, Pods, Jobs, volume claims, whatever names it as its owner."""
    from kedge.cli.client import unit_path
    from kedge.cli.kinds import unit_name
    from kedge.cli.names import resolve
    from kedge.cli.views import objects

    output, server = output_of(given), server_of(given)
    name = resolve(server, unit_name(words, "tree"))
    answer = server.get(f"{unit_path(name)}/objects", children="true")
    if output.for_people:
        objects.tree(name, answer, wide=output.wide)
        return
    names = [
        f"{item['kind']} {item['namespace']}/{item['name']}".replace(" /", " ")
        for item in (*answer["items"], *answer["children"])
    ]
    output.write(answer, names)


@click.command("trace")
@click.argument("what", metavar="KIND/NAME")
@click.option("-n", "--namespace", default="", help="The object's namespace; without it, it is looked for in all.")
@click.option("--cluster", default="default", show_default=True, help="The object's cluster.")
@with_output
@with_server
def trace_command(what: str, namespace: str, cluster: str, **given: Any) -> None:
    """From any live object to its application, commit and author: kedge trace deploy/web -n web, kedge trace pod/web-x.

    KIND is written as for kubectl: singular, plural or short, in any case, with or without its group
    (deployments.apps/web). What others made is followed up its owners; what no application has says who manages it."""
    from kedge.cli.views import unit
    from kedge.model.errors import Invalid

    output, server = output_of(given), server_of(given)
    parts = what.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise Invalid(f"“{what}” names no object", hint="write KIND/NAME: deploy/web, deployments.apps/web")
    group = parts[0] if len(parts) == 3 else ""
    kind, name = parts[-2:]
    found = server.get("/api/v1/trace", group=group, kind=kind, namespace=namespace, name=name, cluster=cluster)
    if output.for_people:
        unit.trace(found)
        return
    output.write(found, [found["unit"]])
