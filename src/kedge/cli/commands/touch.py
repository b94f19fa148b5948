"""`kedge restart NAME [OBJECT]` and `kedge scale NAME OBJECT N`: say what will be done, ask, do it, say what it did."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.options import server_of, with_act, with_server


@click.command("restart")
@click.argument("name", metavar="NAME")
@click.argument("what", metavar="[OBJECT]", default="")
@with_act
@with_server
def restart_command(name: str, what: str, **given: Any) -> None:
    """Make the Pods of an application's Deployments, StatefulSets and DaemonSets anew, or those of one OBJECT:
    [KIND/]NAME, such as deploy/web. As kubectl rollout restart, but on record, and no sync undoes it."""
    _touch("restart", name, {"object": what}, given)


@click.command("scale")
@click.argument("name", metavar="NAME")
@click.argument("what", metavar="OBJECT")
@click.argument("replicas", metavar="N", type=click.IntRange(0, 100_000))
@click.option("--force", is_flag=True, help="Although Git or an autoscaler has another number, and will put it back.")
@with_act
@with_server
def scale_command(name: str, what: str, replicas: int, force: bool, **given: Any) -> None:
    """Set the replicas of one OBJECT of an application: [KIND/]NAME, such as deploy/web. They stay where Git states
    none; where it does, change them there."""
    _touch("scale", name, {"object": what, "replicas": replicas, "force": force}, given, f" to {replicas}")


def _touch(verb: str, name: str, body: dict[str, Any], given: dict[str, Any], more: str = "") -> None:
    """Tried first, so that what is said will be done, is."""
    from kedge.cli.asking import Act, go
    from kedge.cli.client import unit_path
    from kedge.cli.names import resolve
    from kedge.cli.views.human import say

    act, server = Act.taken(given), server_of(given)
    full = resolve(server, name)
    path = f"{unit_path(full)}/{verb}"
    tried = server.post(path, {**body, "reason": act.reason, "dryRun": True})["items"]
    told = ", ".join(str(item["object"]) for item in tried)
    follows = "; ".join(dict.fromkeys(str(item["follows"]) for item in tried))
    if not go(act, f"{verb} {told} of {full}{more}: {follows}"):
        return
    for item in server.post(path, {**body, "reason": act.reason, "dryRun": False})["items"]:
        say(f"{full}: {item['object']}: {verb}{more} done; {item['follows']}")
