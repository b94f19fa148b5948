"""The whole house against real parts: Git over HTTP, the sandbox over HTTP, SQLite on disk, Kedge's own server.

Every part can be taken away and brought back, so that a test can see what becomes of the others meanwhile.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from tests.doors.git_http import GitServer
from tests.parts.ports import held_port

import kedge.compose
from kedge.certificate import server_context
from kedge.cli.main import run
from kedge.compose import Parts, built_worker, open_house
from kedge.control.road.enlist import AdminRoot
from kedge.house import House
from kedge.kube.kubeconfig import Access
from kedge.model.dossier import Dossier
from kedge.model.errors import Conflict
from kedge.model.person import Person
from kedge.model.ref import UnitName
from kedge.renderers.fieldmanager import Ask, FieldManager
from kedge.sandbox.core import Sandbox
from kedge.sandbox.faults import Outcome
from kedge.sandbox.fields import ManagedBy
from kedge.sandbox.http import Front, Server, serve
from kedge.sandbox.wire import Request
from kedge.server.app import build as build_app
from kedge.server.serve import Serving, listen

PATIENCE = 90.0
SHARED = Path(os.environ.get("KEDGE_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
EXAMPLES = SHARED / "cases" / "example-apps"
TOKEN = "the-token-of-a-test"
MONA = Person("mona", ("sre",))
_TERMINAL = threading.Lock()


@dataclass
class Repository:
    """A working clone that pushes over HTTP."""

    work: Path
    url: str

    def git(self, *words: str) -> str:
        env = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
        identity = ["-c", "user.name=Mona", "-c", "user.email=mona@example.com"]
        done = subprocess.run(
            ["git", *identity, *words], cwd=self.work, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, files: dict[str, str | None]) -> None:
        for name, text in files.items():
            place = self.work / name
            if text is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    def copy(self, folder: Path, to: str) -> None:
        shutil.copytree(folder, self.work / to, dirs_exist_ok=True)

    def push(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        self.git("push", "--quiet", "--force", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")


@dataclass
class Forge:
    """Repositories over HTTP, on a server that can go away and come back under its address."""

    folder: Path
    server: GitServer

    def repository(self, name: str, files: dict[str, str | None] | None = None) -> Repository:
        """A new one with a first commit of `files`, pushed without telling anybody."""
        url = self.server.create(f"{name}.git")
        work = self.folder / "clones" / name
        work.mkdir(parents=True)
        made = Repository(work, url)
        made.git("init", "--quiet", "--initial-branch=main")
        made.git("remote", "add", "origin", url)
        made.write({"README.md": "a system\n", **(files or {})})
        made.push("begin")
        return made

    def hide(self, name: str) -> None:
        """The repository is not there any more, and the server is."""
        (self.server.folder / f"{name}.git").rename(self.folder / f"{name}.hidden")

    def show(self, name: str) -> None:
        (self.folder / f"{name}.hidden").rename(self.server.folder / f"{name}.git")

    def bare(self, name: str, *words: str) -> None:
        """Git in the repository itself, as who runs the forge."""
        subprocess.run(["git", "-C", str(self.server.folder / f"{name}.git"), *words], check=True)

    @property
    def looks(self) -> int:
        """How often somebody asked for the refs of a repository."""
        return sum("info/refs?service=git-upload-pack" in asked for asked in self.server.requests)

    @contextmanager
    def held(self) -> Iterator[Callable[[], bool]]:
        """Whoever asks waits for the end of the block; answers whether somebody does."""
        gate, before = threading.Event(), self.server.requests

        class Held(list[str]):
            def append(self, asked: str) -> None:
                super().append(asked)
                gate.wait(PATIENCE)

        held = self.server.requests = Held(before)
        try:
            yield lambda: len(held) > len(before)
        finally:
            gate.set()

    def down(self) -> None:
        self.server.close()

    def up(self) -> None:
        port = int(self.server.url.rpartition(":")[2])
        self.server = GitServer(self.server.folder, port)


@contextmanager
def forged(folder: Path) -> Iterator[Forge]:
    """A forge without repositories, which keeps its address until the end of the block."""
    (folder / "git").mkdir()
    with held_port() as port:
        forge = Forge(folder, GitServer(folder / "git", port))
        try:
            yield forge
        finally:
            forge.down()


@dataclass
class Cluster:
    """The sandbox over HTTP. `meet` decides what becomes of each request; None: what the sandbox says."""

    core: Sandbox
    front: Front
    served: Server | None = None
    url: str = ""
    meet: Callable[[Request], Outcome | None] | None = None
    writes: int = 0

    def fate(self, request: Request) -> Outcome:
        found = self.meet(request) if self.meet is not None else None
        if found is not None:
            return found
        # A server-side apply that is only tried and a question about rights change nothing.
        self.writes += request.method != "GET" and "dryRun" not in request.query and "review" not in request.path
        return Outcome(self.core.handle(request))

    async def up(self) -> None:
        self.served = await serve(self.core, replace(self.front, meet=self.fate))
        self.url = self.served.url

    async def down(self) -> None:
        if self.served is not None:
            await self.served.close()
        self.served = None


@dataclass(frozen=True)
class Said:
    """What the command line answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class World:
    house: House
    repository: Repository
    access: Access
    forge: Forge
    sandbox: Cluster | None
    data: Path
    url: str

    @property
    def cluster(self) -> Cluster:
        """The sandbox, whose fate a test holds; a real cluster has none to hold."""
        assert self.sandbox is not None, "this story is not for a real cluster"
        return self.sandbox

    def pushed(self, message: str) -> str:
        """Push, and tell the house as a webhook would."""
        commit = self.repository.push(message)
        self.hint()
        return commit

    def hint(self) -> None:
        self.house.shift.push(lambda url: True, "main")

    async def kedge(self, *words: str) -> Said:
        """The command line, as a person at a terminal without colours."""
        args = [*words, "--data", str(self.data)]
        return await asyncio.get_running_loop().run_in_executor(None, partial(spoken, args))

    async def said(self, text: str, *words: str) -> str:
        """Ask until the answer holds `text`; fails with what was said instead."""
        last = ""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    found = await self.kedge(*words)
                    last = found.out + found.err
                    if text in last:
                        return last
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"kedge {' '.join(words)} never said “{text}”:\n{last}") from None

    async def silent(self, text: str, *words: str) -> None:
        """Ask until the answer does not hold `text` any more."""
        last = ""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    found = await self.kedge(*words)
                    last = found.out + found.err
                    if text not in last:
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"kedge {' '.join(words)} says “{text}” for ever:\n{last}") from None

    async def until(self, unit: str, true: Callable[[Dossier], bool]) -> Dossier:
        """Look until the unit's dossier is as wanted; fails with what it was instead."""
        name, last = UnitName.parse(unit), None
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    last = await self.house.doors.store.load(name)
                    if last is not None and true(last):
                        return last
                    await asyncio.sleep(0.05)
        except TimeoutError:
            shown = last.shown if last is not None else None
            others = (await self.kedge("get")).out + (await self.kedge("get", "event")).out
            raise AssertionError(
                f"{unit} never got there: {shown} {last.operation if last else ''}\n{others}"
            ) from None

    async def synced(self, unit: str, commit: str = "") -> Dossier:
        def there(dossier: Dossier) -> bool:
            fits = not commit or (dossier.applied is not None and dossier.applied.commit == commit)
            shown = dossier.shown
            return fits and dossier.operation is None and shown.sync == "Synced" and shown.health.status == "Healthy"

        return await self.until(unit, there)

    async def applied(self, unit: str, commit: str = "") -> Dossier:
        """Until nothing is left to do, though the unit is not Synced: what is left is in others' hands."""

        def there(dossier: Dossier) -> bool:
            return dossier.shown.applied and (not commit or getattr(dossier.applied, "commit", "") == commit)

        return await self.until(unit, there)

    async def whole(self) -> None:
        """Until every root has been read without a problem."""
        states: Any = ()
        try:
            async with asyncio.timeout(PATIENCE):
                while not states or not all(state.complete for state in states):
                    states = await self.house.doors.store.roots()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"a root stays half-read: {states}") from None

    async def gone(self, unit: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.house.doors.store.load(UnitName.parse(unit)) is not None:
                await asyncio.sleep(0.05)

    async def eventually(self, true: Callable[[], Awaitable[bool]]) -> None:
        """Ask until it is so."""
        async with asyncio.timeout(PATIENCE):
            while not await true():
                await asyncio.sleep(0.1)

    async def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """Speak to the cluster as somebody else would: `fieldManager` and the rest are in the path."""
        return await asked(self.access, method, path, body, kind)

    async def greeting(self, namespace: str, name: str = "web") -> str | None:
        """What the ConfigMap says; None while there is none."""
        found = await self.call("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        return found["data"]["greeting"] if found else None

    async def retried(self, work: Callable[[], Any]) -> Any:
        """Commands may meet a turn that is under way."""
        due = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                return await work()
            except Conflict:
                if asyncio.get_running_loop().time() > due:
                    raise
                await asyncio.sleep(0.05)


async def asked(access: Access, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
    """What a cluster answers, None where there is nothing of that name."""
    headers = {"Authorization": f"Bearer {access.token}", "Content-Type": kind}
    tls = ssl.create_default_context(cadata=access.ca)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, access.server + path, json=body, headers=headers, ssl=tls) as answer,
    ):
        if answer.status == 404:
            return None
        found = await answer.json(content_type=None)
        assert answer.status < 400, found
        return found


def contents(folder: Path) -> list[bytes]:
    """The content of every file below a folder that others write to: one that goes meanwhile is kept no more."""
    found = []
    for place in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if place.is_file() and not place.is_symlink():
                found.append(place.read_bytes())
    return found


def spoken(args: list[str]) -> Said:
    """One at a time: there is one stdout."""
    out, err = io.StringIO(), io.StringIO()
    with _TERMINAL, redirect_stdout(out), redirect_stderr(err):
        code = run(args)
    return Said(int(code), out.getvalue(), err.getvalue())


@asynccontextmanager
async def clustered(folder: Path) -> AsyncIterator[tuple[Cluster, Access]]:
    """An empty sandbox, whose door a test holds."""
    folder.mkdir()
    clock, entropy = Parts(folder, {}).clock, Parts(folder, {}).entropy
    manager = FieldManager(str(built_worker()))
    context, authority = server_context(folder, clock.now())
    with held_port() as port, closing(manager):
        front = Front(port=port, token=entropy.token(24), tls=context)
        cluster = Cluster(Sandbox(ManagedBy(manager, Ask), clock.now, entropy.token), front)
        try:
            await cluster.up()
            yield cluster, Access(cluster.url, ca=authority.decode(), token=front.token)
        finally:
            await cluster.down()


@asynccontextmanager
async def served(house: House, data: Path, secret: str) -> AsyncIterator[str]:
    """Kedge's own server over the house, found by the command line as `kedge up` would have it found."""
    place = listen("127.0.0.1", 0)
    app = build_app(house.desk(TOKEN, MONA, secret))
    serving = Serving(app, place)
    task = house.spawner.start(serving.run(), "server")
    url = f"http://127.0.0.1:{place.getsockname()[1]}"
    (data / "server.json").write_text(json.dumps({"url": url, "token": TOKEN}))
    try:
        yield url
    finally:
        app.state.hub.close()
        serving.stop()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def without_bugs() -> Iterator[None]:
    """An error that escapes a task of the house fails the test."""
    bugs: list[str] = []
    report, kedge.compose.report_bug = kedge.compose.report_bug, lambda name, error: bugs.append(f"{name}: {error!r}")
    try:
        yield
    finally:
        kedge.compose.report_bug = report
    assert bugs == []


@asynccontextmanager
async def standing(
    folder: Path,
    *,
    poll: float = 1.0,
    secret: str = "",
    environ: Mapping[str, str] | None = None,
    access: Access | None = None,
) -> AsyncIterator[World]:
    """A house over an almost empty repository and an empty sandbox, or the cluster of `access`.

    `poll` in seconds; `secret` opens webhooks."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    async with AsyncExitStack() as stack:
        forge = stack.enter_context(forged(folder))
        stack.enter_context(without_bugs())
        repository = forge.repository("system")
        sandbox = None
        if access is None:
            sandbox, access = await stack.enter_async_context(clustered(folder / "cluster"))
        address: list[str] = []
        parts = Parts(
            data, environ if environ is not None else {}, access=access, poll=poll, address=lambda: "".join(address)
        )
        house = await stack.enter_async_context(open_house(parts, AdminRoot(repository.url, "main")))
        url = await stack.enter_async_context(served(house, data, secret))
        address.append(url)
        await house.start()
        yield World(house, repository, access, forge, sandbox, data, url)
