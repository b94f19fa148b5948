"""`kedge up` and `kedge serve`: the whole of Kedge in one process."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from shlex import quote
from typing import Any

import click

from kedge.cli.durations import DURATION
from kedge.cli.options import data_dir, with_data

_HERE = (
    click.option("--repo", default="", metavar="URL", help="The admin root: the repository that declares everything."),
    click.option("--ref", default="", help="The admin root's branch, tag or commit; its default branch by default."),
    click.option("--path", default="", help="The admin root's folder in the repository."),
    click.option("--kubeconfig", type=click.Path(path_type=Path, dir_okay=False), help="The default cluster's."),
    click.option("--context", default="", help="The context of the kubeconfig; its current one by default."),
    click.option("--host", envvar="KEDGE_HOST", default="127.0.0.1", show_default=True, help="Where it listens."),
    click.option("--port", envvar="KEDGE_PORT", type=click.IntRange(0, 65535), default=7420, show_default=True,
                 help="Its port; 0 takes a free one."),
    click.option("--poll", envvar="KEDGE_POLL", type=DURATION, default="1m", show_default=True,
                 help="Between two looks at each repository; a webhook is faster. At least 5s."),
    with_data,
)  # fmt: skip


def _here(command: Any) -> Any:
    for add in reversed(_HERE):
        command = add(command)
    return command


@click.command("up")
@click.option("--demo", is_flag=True, help="A demo repository, a sandbox cluster, a first application.")
@click.option("--clean", is_flag=True, help="Remove everything that up keeps in the data directory, and stop.")
@click.option("--force", is_flag=True, help="With --clean: although states of stacks still hold resources.")
@click.option("--exit-when-ready", is_flag=True, help="Stop again when everything is up (with --demo: healthy).")
@_here
def up_command(**given: Any) -> int:
    """Start everything in one process on embedded defaults, until Ctrl-C. State survives a restart."""
    return _up(given)


@click.command("serve")
@_here
def serve_command(**given: Any) -> int:
    """As up, for a service manager: ends on SIGTERM."""
    return _up({**given, "demo": False, "clean": False, "force": False, "exit_when_ready": False})


def _up(given: dict[str, Any]) -> int:
    from kedge.cli.views.human import say
    from kedge.up import UpOptions, up

    return asyncio.run(up(UpOptions(**given, exports=exports(Path(sys.argv[0]), given["data"])), say))


def exports(program: Path, data: Path) -> tuple[str, ...]:
    """What a shell must be told before plain `kedge` is this program and finds this data directory."""
    found = shutil.which(program.name)
    wanted = []
    if found is None or not program.exists() or not os.path.samefile(found, program):
        wanted.append(f"PATH={quote(str(program.absolute().parent))}:$PATH")
    if data.absolute() != data_dir():
        wanted.append(f"KEDGE_DATA={quote(str(data.absolute()))}")
    return tuple(wanted)
