"""`kedge version`: imports nothing but what every verb needs."""

from __future__ import annotations

import click

from kedge import __version__
from kedge.cli.options import with_output


@click.command("version")
@with_output
def version_command(output: str) -> None:
    """Print the version."""
    if output in ("table", "wide", "name"):
        click.echo(__version__ if output == "name" else f"kedge {__version__}")
        return
    from kedge.cli.views.machine import Output

    Output(output).write({"version": __version__}, ())
