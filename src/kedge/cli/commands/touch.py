"""`kedge restart`, `kedge scale` and `kedge act`: say what will be done, ask, do it, say what it did."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.options import output_of, server_of, with_act, with_output, with_server


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


@click.command("act")
@click.argument("name", metavar="NAME")
@click.argument("what", metavar="[OBJECT]", default="")
@click.argument("action", metavar="[ACTION]", default="")
@click.option("--force", is_flag=True, help="Although Git states a field that it sets, and will put it back.")
@with_act
@with_output
@with_server
def act_command(name: str, what: str, action: str, force: bool, **given: Any) -> None:
    """Do an ACTION to one OBJECT of an application: kedge act web rollout/web promote. Without an action, list what can
    be done to its objects, or to that one. It is on record, and no sync undoes it where Git is silent."""
    if not action:
        _list(name, what, given)
        return
    _touch("act", name, {"object": what, "action": action, "force": force}, given, f": {action}")


def _list(name: str, what: str, given: dict[str, Any]) -> None:
    from kedge.cli.client import unit_path
    from kedge.cli.names import resolve
    from kedge.cli.views.human import say, table

    output, server = output_of(given), server_of(given)
    full = resolve(server, name)
    answer = server.get(f"{unit_path(full)}/actions", object=what)
    if not output.for_people:
        output.write(answer, [f"{item['object']} {item['action']}" for item in answer["items"]])
        return
    rows = [[item["object"], item["action"], item["does"], item["hindrance"]] for item in answer["items"]]
    if not rows:
        say(f"nothing is known that could be done to {what or 'its objects'}; kedge restart and kedge scale may do")
        return
    table(["OBJECT", "ACTION", "IT WILL", "NOT NOW, SINCE"], rows, cut=False)


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
