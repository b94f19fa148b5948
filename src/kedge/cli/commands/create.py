"""`kedge create` and `kedge delete`: Git is where things are declared, so both print what belongs there.

Secrets alone do not belong there: they go straight to the server's store, from stdin.
"""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.options import server_of, with_server


@click.command("create")
@click.argument("words", nargs=-1, required=True, metavar="[app|secret] NAME")
@click.option("--path", default="", help="The folder in the repository; apps/NAME by default.")
@click.option("--repository", default="", metavar="URL", help="Another repository than the one it is declared in.")
@click.option("--ref", default="", help="Its branch, tag or commit.")
@click.option("-n", "--namespace", default="", help="For objects that name none; NAME by default.")
@click.option("--cluster", default="", help="A declared Cluster.")
@click.option("-p", "--project", default="", help="The project; PROJECT/NAME says it too.")
@with_server
def create_command(words: tuple[str, ...], **given: Any) -> None:
    """Print an Application's YAML, for a file below .kedge/ in Git; or keep a secret, read from stdin, in the store.

    A Credential names a kept secret as store: NAME.
    """
    from kedge.cli.kinds import split, unit_name
    from kedge.cli.secrets import keep

    kind, name = split(words, "create")
    if kind == "secret":
        keep(server_of(given), name)
        return
    _print_application(unit_name(words, "create"), given)


def _print_application(full: str, given: dict[str, Any]) -> None:
    from kedge.cli.views.human import say
    from kedge.cli.views.manifests import document
    from kedge.dialects.kedge import read
    from kedge.model.declaration import API_VERSION
    from kedge.model.errors import Invalid

    project, slash, name = full.rpartition("/")
    metadata = {"name": name, "project": given["project"] or (project if slash else "default")}
    source = {"path": given["path"] or f"apps/{name}", "repository": given["repository"], "ref": given["ref"]}
    target = {"cluster": given["cluster"], "namespace": given["namespace"] or name}
    spec = {"source": _said(source), "target": _said(target)}
    text = document({"apiVersion": API_VERSION, "kind": "Application", "metadata": metadata, "spec": spec})
    problems = read(text.encode()).problems
    if problems:
        raise Invalid("", problems=problems)
    click.echo(text, nl=False)
    say(f"put this into .kedge/{name}.yaml and commit it; kedge check . reads it first")


def _said(fields: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in fields.items() if value}


@click.command("delete")
@click.argument("words", nargs=-1, required=True, metavar="[app|secret] NAME")
@with_server
def delete_command(words: tuple[str, ...], **given: Any) -> None:
    """Print what to remove from Git, and what becomes of the objects then. Deletes nothing itself but a kept secret."""
    from kedge.cli.client import unit_path
    from kedge.cli.kinds import split, unit_name
    from kedge.cli.names import resolve
    from kedge.cli.secrets import forget
    from kedge.cli.views.human import clean, say

    server = server_of(given)
    kind, secret = split(words, "delete")
    if kind == "secret":
        forget(server, secret)
        return
    name = resolve(server, unit_name(words, "delete"))
    unit = server.get(unit_path(name))["unit"]
    objects = f"{unit['objects']} objects"
    fate = {
        "ask": f"a plan that deletes its {objects} waits for kedge approve {name}",
        "keep": f"its {objects} stay, and Kedge lets go of them",
        "delete": f"its {objects} are deleted; kinds that hold data still ask",
    }[unit["onRemove"]]
    click.echo(clean(unit["declaredAt"] or f"the declaration of {name} (root {unit['root']})"))
    say(f"remove this document from Git (root {unit['root']}) and push; then {fate} (onRemove: {unit['onRemove']})")
