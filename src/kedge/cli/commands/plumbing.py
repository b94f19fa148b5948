"""`config`, `completion`, `help`."""

from __future__ import annotations

from typing import Any

import click

from kedge.cli.exits import MEANING
from kedge.cli.options import output_of, with_output, with_server


@click.command("config")
@with_output
@with_server
def config_command(**given: Any) -> None:
    """Which server and data directory are used, and where the token comes from. The token itself is never shown."""
    from kedge.cli.client import FILE, find
    from kedge.cli.views.human import table
    from kedge.model.errors import KedgeError

    output = output_of(given)
    origin = "KEDGE_TOKEN" if given["token"] else str(given["token_file"] or given["data"] / FILE)
    try:
        url, problem = find(given["data"], given["server"], given["token"]).url, ""
    except KedgeError as error:
        url, problem = given["server"], error.problems[0].text
    facts = {"server": url, "token": origin, "data": str(given["data"]), "problem": problem}
    if output.for_people:
        table(["SETTING", "VALUE"], [[key, value] for key, value in facts.items() if value], cut=False)
    else:
        output.write({"config": facts}, facts)


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the completion script of a SHELL: eval "$(kedge completion bash)"."""
    from click.shell_completion import get_completion_class

    from kedge.cli.main import kedge

    found = get_completion_class(shell)
    if found is not None:
        click.echo(found(kedge, {}, "kedge", "_KEDGE_COMPLETE").source())


@click.command("help")
@click.argument("words", nargs=-1, metavar="[VERB|exit-codes]")
def help_command(words: tuple[str, ...]) -> None:
    """Explain a VERB, or print the table of exit codes."""
    from kedge.cli.main import kedge
    from kedge.model.errors import Invalid

    if words == ("exit-codes",):
        for code, text in MEANING.items():
            click.echo(f"{code:d}  {text}")
        return
    root = click.Context(kedge, info_name="kedge")
    if not words:
        click.echo(kedge.get_help(root))
        return
    command = kedge.get_command(root, words[0])
    if command is None:
        raise Invalid(f"there is no verb “{words[0]}”", hint="kedge help lists them")
    click.echo(command.get_help(click.Context(command, info_name=words[0], parent=root)))
