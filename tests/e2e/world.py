"""The whole house against real parts: a Git server over HTTP, the sandbox over HTTP, SQLite on disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.doors.git_http import GitServer

from kedge.compose import Parts, open_house, sandbox
from kedge.control.road.enlist import AdminRoot
from kedge.house import House
from kedge.kube.kubeconfig import Access
from kedge.model.dossier import Dossier
from kedge.model.errors import Conflict
from kedge.model.ref import UnitName

PATIENCE = 60.0
SHARED = Path(os.environ.get("KEDGE_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
EXAMPLES = SHARED / "cases" / "example-apps"


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
class World:
    house: House
    repository: Repository
    access: Access

    def pushed(self, message: str) -> str:
        """Push, and tell the house as a webhook would."""
        commit = self.repository.push(message)
        self.house.shift.push(lambda url: True, "main")
        return commit

    async def until(self, unit: str, true: Callable[[Dossier], bool]) -> Dossier:
        """Follow the stream of events until the unit's dossier is as wanted; fails with what it was instead."""
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
            raise AssertionError(f"{unit} never got there: {shown} {last.operation if last else ''}") from None

    async def synced(self, unit: str, commit: str = "") -> Dossier:
        def there(dossier: Dossier) -> bool:
            fits = not commit or (dossier.applied is not None and dossier.applied.commit == commit)
            shown = dossier.shown
            return fits and dossier.operation is None and shown.sync == "Synced" and shown.health.status == "Healthy"

        return await self.until(unit, there)

    async def gone(self, unit: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.house.doors.store.load(UnitName.parse(unit)) is not None:
                await asyncio.sleep(0.05)

    async def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """Speak to the cluster as somebody else would: `fieldManager` and the rest are in the path."""
        headers = {"Authorization": f"Bearer {self.access.token}", "Content-Type": kind}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.access.server + path, json=body, headers=headers, ssl=self.tls()) as answer,
        ):
            found = await answer.json(content_type=None)
            if answer.status == 404:
                return None
            assert answer.status < 400, found
            return found

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.access.ca)

    async def retried(self, work: Callable[[], Any]) -> Any:
        """Commands may meet a turn that is under way."""
        for _ in range(20):
            try:
                return await work()
            except Conflict:
                await asyncio.sleep(0.05)
        return await work()


@asynccontextmanager
async def standing(folder: Path) -> AsyncIterator[World]:
    """A house over an empty repository and an empty sandbox."""
    (folder / "git").mkdir()
    server = GitServer(folder / "git")
    try:
        url = server.create("system.git")
        work = folder / "work"
        work.mkdir()
        repository = Repository(work, url)
        repository.git("init", "--quiet", "--initial-branch=main")
        repository.git("remote", "add", "origin", url)
        repository.write({"README.md": "a system\n"})
        repository.push("begin")
        (folder / "cluster").mkdir()
        (folder / "data").mkdir(mode=0o700)
        parts = Parts(folder / "data", {}, poll=1.0)
        async with sandbox(folder / "cluster", parts.clock, parts.entropy) as access:
            parts = Parts(folder / "data", {}, access=access, poll=1.0)
            async with open_house(parts, AdminRoot(url, "main")) as house:
                await house.start()
                yield World(house, repository, access)
    finally:
        server.close()
