"""`kedge render DIR`: what a directory becomes, without server or cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def with_rendering(command: Any) -> Any:
    """How a directory is rendered offline."""
    for add in (
        click.option("--name", default="offline", show_default=True, help="The unit's name: a chart's release."),
        click.option("-n", "--namespace", default="default", show_default=True, help="The unit's namespace."),
        click.option(
            "-f",
            "--values",
            multiple=True,
            type=click.Path(path_type=Path, dir_okay=False),
            help="A file of values for the chart; may be repeated.",
        ),
        click.option(
            "--declared",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A file with an Application that says how to render.",
        ),
        click.option("--unit", default="", metavar="NAME[@ENV]", help="Which one, where the file declares several."),
        click.option(
            "--secret",
            "secrets",
            multiple=True,
            metavar="NAME=FILE",
            help="A secret in place of the store's; may be repeated.",
        ),
        click.option("--fetch", is_flag=True, help="Fetch what is declared to be elsewhere: charts, other sources."),
        click.option(
            "--credentials",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A file with the Credentials to fetch with.",
        ),
        click.option("--set", "sets", multiple=True, metavar="A.B=VALUE", help="One value; may be repeated."),
    ):
        command = add(command)
    return command


@click.command("render")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
@with_rendering
@click.option(
    "-o",
    "--output",
    envvar="KEDGE_OUTPUT",
    type=click.Choice(["yaml", "json", "name"]),
    default="yaml",
    show_default=True,
    help="How the set is written.",
)
def render_command(directory: Path, output: str, sets: tuple[str, ...], **given: Any) -> None:
    """Render DIRECTORY offline: plain YAML, Jsonnet, Kustomize or a Helm chart, detected, or as --declared.

    Secrets are shown as they stand."""
    from kedge.cli.rendering import Wish, rendered
    from kedge.cli.views.human import clean, say
    from kedge.cli.views.manifests import as_json, as_yaml

    desired = rendered([directory], Wish(sets=sets, **given))[0]
    for note in desired.notes:
        say(f"note: {note}")
    if not desired.manifests:
        say(f"{directory} renders to nothing: it holds no manifests, kustomization or chart that yields any")
    if output == "name":
        for manifest in desired.manifests:
            click.echo(clean(manifest.ref))
    else:
        text = as_yaml(desired.manifests) if output == "yaml" else as_json(desired.manifests) + "\n"
        click.echo(text, nl=False)
