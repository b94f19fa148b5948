"""A real `kedge up` in a process of its own, that dies and comes back on the same folder."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
from tests.e2e.world import PATIENCE, Repository, Said, spoken

from kedge.clock import SystemClock, SystemEntropy
from kedge.store.keys import load_or_create_key
from kedge.store.sql import Opening, open_store

SECRET = "a-secret-of-forges"
KEDGE = "from kedge.cli.main import main; main()"


def at(unit: Any, commit: str) -> bool:
    """Whether a unit, as the command line tells of it, is as that commit wants it."""
    calm = bool(unit) and (unit["sync"], unit["health"], unit["run"]) == ("Synced", "Healthy", None)
    return calm and (unit["live"] or {}).get("commit") == commit


@dataclass
class Life:
    """A server that dies and comes back on the same folder."""

    folder: Path
    repository: Repository
    process: subprocess.Popen[bytes] | None = None
    seen: dict[int, Any] = field(default_factory=dict)
    deaths: int = 0
    port: int = 0
    """Of Kedge's own server; 0: any, another after each death."""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Without waiting until it answers."""
        (self.data / "server.json").unlink(missing_ok=True)
        words = ["up", "--repo", self.repository.url, "--port", str(self.port)]
        places = ["--data", str(self.data), "--kubeconfig", str(self.folder / "kubeconfig")]
        with (self.folder / "output").open("ab") as output:
            command = [sys.executable, "-c", KEDGE, *words, *places]
            env = {**os.environ, "KEDGE_WEBHOOK_SECRET": SECRET}
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=env)

    async def begin(self) -> None:
        self.start()
        await self.until("there is a server", lambda said: said.code == 0)

    async def hint(self) -> None:
        """A push is announced, as by a forge."""
        body = json.dumps({"repository": self.repository.url, "ref": "main"}).encode()
        found = json.loads((self.data / "server.json").read_text())
        mark = hmac.new(SECRET.encode(), body, sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Kedge-Signature": f"sha256={mark}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{found['url']}/webhooks/push", data=body, headers=headers) as answer,
        ):
            assert answer.status == 200, await answer.text()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    async def dead(self) -> None:
        """Until the kill has struck."""
        assert self.process is not None
        async with asyncio.timeout(PATIENCE):
            while self.process.poll() is None:
                await asyncio.sleep(0.02)
        assert self.process.returncode == -9
        self.deaths += 1

    async def kedge(self, *words: str) -> Said:
        args = [*words, "--data", str(self.data)]
        return await asyncio.get_running_loop().run_in_executor(None, spoken, args)

    async def unit(self, name: str) -> Any:
        said = await self.kedge("get", name, "-o", "json")
        return said.json["unit"] if said.code == 0 else {}

    async def until(self, what: str, good: Any, *words: str) -> Said:
        said = Said(0, "", "")
        try:
            async with asyncio.timeout(PATIENCE):
                while not good(said := await self.kedge(*(words or ("get", "-o", "json")))):
                    await asyncio.sleep(0.05)
                return said
        except TimeoutError:
            told = (self.folder / "output").read_text()
            raise AssertionError(f"never: {what}\n{said.out}{said.err}\n{told}") from None

    async def at(self, name: str, commit: str) -> None:
        """Until the unit is as that commit wants it."""

        def good(said: Said) -> bool:
            return said.code == 0 and at(said.json["unit"], commit)

        await self.until(f"{name} at {commit[:7]}", good, "get", name, "-o", "json")

    async def remember(self) -> None:
        """What the server has acknowledged by now as history; and what it did before must be part of it unchanged."""
        said = await self.kedge("get", "event", "--limit", "500", "-o", "json")
        now = {event["id"]: event for event in said.json["items"]}
        assert {number: now.get(number) for number in self.seen} == self.seen
        self.seen = now

    def push(self, message: str, files: dict[str, str | None]) -> str:
        self.repository.write(files)
        return self.repository.push(message)

    async def end(self) -> None:
        """End it as a service manager does; then look into what it left on disk."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        async with asyncio.timeout(PATIENCE):
            while self.process.poll() is None:
                await asyncio.sleep(0.02)

    def store(self) -> Any:
        """What it left on disk; of a server that has ended."""
        clock, entropy = SystemClock(), SystemEntropy()
        key = load_or_create_key(self.data / "key", entropy)
        return open_store(Opening(path=self.data / "kedge.db", key=key, clock=clock, entropy=entropy))

    async def sound(self) -> None:
        store = self.store()
        report = await store.verify_chain()
        await store.close()
        assert (report.broken, report.why) == (0, "")
        assert report.sound >= max(self.seen)
