"""`kedge schema [KIND]`: JSON Schemas for editors."""

from __future__ import annotations

import click


@click.command("schema")
@click.argument("kind", default="")
@click.option(
    "-o",
    "--output",
    envvar="KEDGE_OUTPUT",
    type=click.Choice(["json", "name"]),
    default="json",
    show_default=True,
    help="The schema, or the names of the kinds.",
)
def schema_command(kind: str, output: str) -> None:
    """Print the JSON Schema of KIND (Application, Stack, Project …; `-o name` lists them), or one for all of them."""
    from kedge.cli.views.machine import json_text
    from kedge.dialects.kedge import KINDS
    from kedge.dialects.schema import every, schema
    from kedge.model.errors import Invalid

    if output == "name":
        click.echo("\n".join(KINDS))
        return
    found = next((name for name in KINDS if kind.lower() in (name.lower(), f"{name.lower()}s")), "")
    if kind.lower() in ("app", "apps"):
        found = "Application"
    if kind and not found:
        raise Invalid(f"there is no kind “{kind}”", hint=f"one of {', '.join(KINDS)}")
    click.echo(json_text(schema(found) if found else every(), indent=2))
