"""Options that many verbs share, and what they become. Every one is also an environment variable `KEDGE_…`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from kedge.cli.client import Server
    from kedge.cli.views.machine import Output

Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS = ("table", "wide", "json", "yaml", "name")


def data_dir() -> Path:
    """The data directory by default; `KEDGE_DATA` moves it."""
    return Path("~/.local/share/kedge").expanduser()


def with_server(command: Command) -> Command:
    """`--server`, `--token-file`, `--data`; a token itself is taken from `KEDGE_TOKEN`, never from a command line."""
    for add in (
        click.option("--server", envvar="KEDGE_SERVER", default="", metavar="URL", help="The server's address."),
        click.option(
            "--token-file",
            envvar="KEDGE_TOKEN_FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A file that holds the token; KEDGE_TOKEN may hold it itself.",
        ),
        click.option("--token", envvar="KEDGE_TOKEN", default="", hidden=True),
        with_data,
    ):
        command = add(command)
    return command


def offline_data() -> Path:
    """Where what offline commands fetch is kept, beside what `kedge up` keeps."""
    from kedge.compose import environment

    return Path(environment().get("KEDGE_DATA") or data_dir()).expanduser() / "offline"


def with_data(command: Command) -> Command:
    return click.option(
        "--data",
        envvar="KEDGE_DATA",
        type=click.Path(path_type=Path, file_okay=False),
        default=data_dir,
        show_default="~/.local/share/kedge",
        help="The data directory of kedge up.",
    )(command)


def with_output(command: Command) -> Command:
    """`-o`: how the answer is written."""
    return click.option(
        "-o",
        "--output",
        envvar="KEDGE_OUTPUT",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How the answer is written.",
    )(command)


def with_act(command: Command) -> Command:
    """`--reason`, `--dry-run`, `-y`: of every verb that acts."""
    for add in (
        click.option("--reason", envvar="KEDGE_REASON", default="", metavar="TEXT", help="Why; it is recorded."),
        click.option("--dry-run", envvar="KEDGE_DRY_RUN", is_flag=True, help="Say what would be done, and stop."),
        click.option("-y", "--yes", envvar="KEDGE_YES", is_flag=True, help="Do not ask."),
    ):
        command = add(command)
    return command


def server_of(given: dict[str, Any]) -> Server:
    """Take the options of `with_server` out of `given`. Raises Unavailable, Invalid, Denied."""
    from kedge.cli.client import Server, find

    token, file = given.pop("token"), given.pop("token_file")
    if file is not None:
        token = _token(file)
    return Server(find(given.pop("data"), given.pop("server"), token))


def _token(file: Path) -> str:
    from kedge.model.errors import Invalid

    try:
        return file.read_text("utf-8").strip()[:10_000]
    except (OSError, ValueError) as error:
        raise Invalid(f"the token file {file} cannot be read: {error}") from None


def output_of(given: dict[str, Any]) -> Output:
    from kedge.cli.views.machine import Output

    return Output(given.pop("output"))
