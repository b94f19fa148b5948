"""`kedge up`: everything in one process on embedded defaults, until Ctrl-C.

Started in this order and stopped in the other: data directory (locked), store, sandbox (for the demo), target, road and
shift, server. What is kept survives a restart; `--clean` removes it.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from kedge import demo
from kedge.compose import POLL, Parts, environment, held_states, jobs_place, open_house, sandbox
from kedge.control.road.enlist import AdminRoot
from kedge.dialects.rules import repository
from kedge.house import House
from kedge.model.errors import Invalid, KedgeError, Unavailable
from kedge.model.person import Person
from kedge.model.ref import UnitName
from kedge.offline import preferred_tool
from kedge.process import run
from kedge.server.app import build as build_app
from kedge.server.serve import Serving, listen

SERVER_FILE = "server.json"
LOCK_FILE = "lock"
MARK_FILE = "kedge-data"
DEMO_UNIT = UnitName("demo", "hello")
_NAMED = 5
DEMO_PATIENCE = 120.0
DEMO_POLL = 2.0
LEAST_POLL = 5.0
"""Seconds between two looks at the demo's repository, which sends no webhooks."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `kedge up` was asked for. `repo` "" needs `demo`; `exit_when_ready` stops once the demo is healthy; `poll`
    is in seconds.

    `exports` are variables that a second terminal needs to reach this server by plain `kedge`.
    """

    data: Path
    demo: bool = False
    repo: str = ""
    ref: str = ""
    path: str = ""
    kubeconfig: Path | None = None
    context: str = ""
    host: str = "127.0.0.1"
    port: int = 7420
    clean: bool = False
    force: bool = False
    exit_when_ready: bool = False
    exports: tuple[str, ...] = ()
    poll: float = POLL


def _refuse(options: UpOptions) -> None:
    """What can not work, said here and not by each unit later. A URL is not repeated: it may hold a password."""
    unfit = repository(options.repo) if options.repo else ""
    if unfit:
        raise Invalid(f"--repo: {unfit}", hint="KEDGE_REPO_TOKEN holds its token; KEDGE_REPO_SSH_KEY is its key file")
    if options.poll < LEAST_POLL:
        raise Invalid(f"--poll: {options.poll:g} s is too often for the forge", hint=f"at least {LEAST_POLL:.0f}s")
    if options.kubeconfig is not None and not options.kubeconfig.is_file():
        raise Invalid(f"--kubeconfig: there is no file {options.kubeconfig}")


async def up(options: UpOptions, say: Say) -> int:
    """Run until SIGINT or SIGTERM. Answers the exit code. Raises Invalid and Unavailable with what to do."""
    if options.clean:
        await clean(options.data, force=options.force)
        say(f"removed {options.data}")
        return 0
    if not options.demo and not options.repo:
        raise Invalid("which repository?", hint="kedge up --repo URL, or kedge up --demo to look around")
    _refuse(options)
    _prepare(options.data)
    with _locked(options.data):
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        async with _standing(options, say) as (house, url):
            say(f"server   {url}")
            healthy = not options.demo or await _show(house, options, say, stopped)
            if not options.exit_when_ready:
                say("Ctrl-C stops it; what it knows is kept.")
                await stopped.wait()
            say("stopping …")
    return 0 if healthy else 3


async def clean(data: Path, *, force: bool = False) -> None:
    """Remove a data directory of ours. Raises Invalid for a directory that is not, and unless forced while a stack's
    state in it still holds resources: nothing else knows of them. Unavailable while it is in use."""
    if not _ours(data):
        return
    with _locked(data):
        if not force:
            await _holds_nothing(data)
        shutil.rmtree(data)


def _ours(data: Path) -> bool:
    if data.exists() and not (data / MARK_FILE).is_file():
        raise Invalid(f"{data} is not a data directory of Kedge: nothing is removed", hint="check --data")
    return data.exists()


async def _holds_nothing(data: Path) -> None:
    hint = "destroy them first; --clean --force removes the states, and then nothing knows what the stacks have made"
    try:
        held = await held_states(data)
    except KedgeError as error:
        raise Invalid(f"whether a state in {data} still holds resources can not be told: {error}", hint=hint) from error
    if held:
        told = "; ".join(f"{unit} holds {_some(addresses)}" for unit, addresses in list(held.items())[:_NAMED])
        more = f"; and {len(held) - _NAMED} more units" if len(held) > _NAMED else ""
        raise Invalid(f"nothing is removed, for states still hold resources: {told}{more}", hint=hint)


def _some(addresses: Sequence[str]) -> str:
    more = f" and {len(addresses) - _NAMED} more" if len(addresses) > _NAMED else ""
    return ", ".join(addresses[:_NAMED]) + more


def _prepare(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (data / MARK_FILE).exists():
            if any(data.iterdir()):
                raise Invalid(f"{data} holds something else", hint="--data takes an empty or new directory")
            (data / MARK_FILE).write_text("made by kedge up\n")
    except OSError as error:
        raise Unavailable(f"the data directory {data} can not be used: {error.strerror}", hint="--data DIR") from error


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    with (data / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Unavailable(f"another kedge is at work in {data}", hint="stop it, or use --data DIR") from error
        yield


@asynccontextmanager
async def _standing(options: UpOptions, say: Say) -> AsyncIterator[tuple[House, str]]:
    """The house at work and its server's URL; ended in reverse order."""
    async with AsyncExitStack() as stack:
        served: list[str] = []
        parts = Parts(
            options.data,
            environment(),
            kubeconfig=options.kubeconfig,
            context=options.context,
            poll=options.poll,
            address=lambda: served[0] if served else "",
        )
        admin = AdminRoot(options.repo, options.ref, options.path)
        if options.demo:
            say("demo     a repository and a sandbox cluster …")
            folder = options.data / "demo"
            tool = await preferred_tool(demo.TOOLS)
            if tool is None:
                say(f"demo     no OpenTofu or Terraform {demo.TOOLS} is here: it goes without a stack")
            bare = await demo.make_repository(folder, run, git_environment(folder, parts.environ), tool or "")
            admin = AdminRoot(bare, demo.BRANCH)
            access = await stack.enter_async_context(sandbox(folder, parts.clock, parts.entropy))
            parts = replace(parts, access=access, poll=DEMO_POLL)
        house = await stack.enter_async_context(open_house(parts, admin))
        url = await stack.enter_async_context(_served(house, options, parts))
        served.append(url)
        await house.start()
        yield house, url


def git_environment(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """What git is given when the demo's repository is made: nothing of the user's own configuration."""
    return {"PATH": environ.get("PATH", os.defpath), "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}


@asynccontextmanager
async def _served(house: House, options: UpOptions, parts: Parts) -> AsyncIterator[str]:
    place = listen(options.host, options.port)
    token = parts.entropy.token(24)
    jobs = jobs_place(parts.environ)
    names = {options.host} if jobs is None else {options.host, urlsplit(jobs.address).hostname or ""}
    app = build_app(house.desk(token, Person("admin", ("admin",)), parts.webhook_secret), frozenset(names))
    serving = Serving(app, place)
    task = house.spawner.start(serving.run(), "server")
    host, port = place.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    _write_server_file(options.data, url, token)
    try:
        yield url
    finally:
        (options.data / SERVER_FILE).unlink(missing_ok=True)
        app.state.hub.close()
        serving.stop()
        await asyncio.gather(task, return_exceptions=True)


def _write_server_file(data: Path, url: str, token: str) -> None:
    """Where the command line finds the server, whole or not at all; for this user alone."""
    part = data / f"{SERVER_FILE}.part"
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"url": url, "token": token}, file)
    part.replace(data / SERVER_FILE)


async def _show(house: House, options: UpOptions, say: Say, stopped: asyncio.Event) -> bool:
    """Follow the first application until it is healthy, then print a short tour."""
    told = ""
    began = house.doors.clock.monotonic()
    while not stopped.is_set() and house.doors.clock.monotonic() - began < DEMO_PATIENCE:
        dossier = await house.doors.store.load(DEMO_UNIT)
        shown = dossier.shown if dossier is not None else None
        line = f"{shown.sync} · {shown.health.status}  {shown.why}".rstrip() if shown is not None else "not read yet"
        if line != told:
            say(f"{DEMO_UNIT}   {line}")
            told = line
        if shown is not None and shown.sync == "Synced" and shown.health.status == "Healthy":
            say(tour(options))
            return True
        try:
            async with asyncio.timeout(0.2):
                await stopped.wait()
        except TimeoutError:
            continue
    return stopped.is_set()


def tour(options: UpOptions) -> str:
    """What to try next, as lines for a shell."""
    work, kubeconfig = (quote(str(options.data / "demo" / name)) for name in ("work", "kubeconfig"))
    exports = "".join(f"  export {setting}\n" for setting in options.exports)
    return f"""
It is up, synced and healthy. In a second terminal, try:

{exports}  kedge get                              # the fleet, worst first
  kedge history {DEMO_UNIT}               # who did what, and why
  (cd {work} && sed -i 's/replicas: .*/replicas: 3/' apps/hello/deployment.yaml && git commit -am "three" && git push)
  kedge history {DEMO_UNIT}               # your commit, applied
  kubectl --kubeconfig {kubeconfig} -n hello scale deployment hello --replicas 9
  kedge history {DEMO_UNIT}               # ... repaired, within a second
  kedge rollback {DEMO_UNIT}              # the exact diff first, then back
"""
