"""`kedge health FILE|-`: judge objects offline."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.options import output_of, with_output


@click.command("health")
@click.argument("file", metavar="FILE|-")
@with_output
def health_command(file: str, **given: Any) -> None:
    """Judge the health of the objects in FILE (YAML or JSON, Lists too), or of stdin for "-".

    With -o json, one line for each object, in order: ref, status, message. The exit code is 0 whatever the health.
    """
    from kedge.cli.objects import objects, read_file, ref_of
    from kedge.cli.views.human import clean, table
    from kedge.cli.views.machine import json_text, yaml_text
    from kedge.compose import rulebook
    from kedge.engine.health import judge

    output = output_of(given)
    raw, name = read_file(file)
    rules = rulebook()
    judged = [(str(ref_of(obj)), judge(obj, rules=rules)) for obj in objects(raw, name)]
    if output.for_people:
        table(["OBJECT", "HEALTH", "WHY"], [[ref, health.status, health.message] for ref, health in judged], cut=False)
        return
    for ref, health in judged:
        line = {"ref": ref, "status": health.status.value, "message": health.message}
        if output.form == "json":
            click.echo(json_text(line))
        elif output.form == "yaml":
            click.echo("---\n" + yaml_text(line), nl=False)
        else:
            click.echo(clean(ref))
