"""kill -9 of a real `kedge up`, in the middle of what it does: nothing acknowledged is lost, and it ends where Git is.

The cluster and the forge live in the test's own process and outlive it. The moment of each kill comes from a seed: it
is the n-th request that reaches the cluster, lost before it is done or after.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.doors.git_http import GitServer
from tests.e2e.stories import PROJECT, application, config, folder_of
from tests.e2e.world import PATIENCE, Cluster, Forge, Repository, Said, clustered, spoken

from kedge.clock import SystemClock, SystemEntropy
from kedge.sandbox.faults import Outcome
from kedge.sandbox.http import kubeconfig
from kedge.sandbox.wire import Request
from kedge.store.keys import load_or_create_key
from kedge.store.sql import Opening, open_store

pytestmark = pytest.mark.e2e

SECRET = "a-secret-of-forges"
KEDGE = "from kedge.cli.main import main; main()"


@dataclass
class Life:
    """A server that dies and comes back on the same folder."""

    folder: Path
    repository: Repository
    cluster: Cluster
    chance: random.Random
    process: subprocess.Popen[bytes] | None = None
    seen: dict[int, Any] = field(default_factory=dict)
    deaths: int = 0

    @property
    def data(self) -> Path:
        return self.folder / "data"

    async def begin(self) -> None:
        (self.data / "server.json").unlink(missing_ok=True)
        words = ["up", "--repo", self.repository.url, "--port", "0"]
        places = ["--data", str(self.data), "--kubeconfig", str(self.folder / "kubeconfig")]
        with (self.folder / "output").open("ab") as output:
            command, env = (
                [sys.executable, "-c", KEDGE, *words, *places],
                {**os.environ, "KEDGE_WEBHOOK_SECRET": SECRET},
            )
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=env)
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

    def arm(self, most: int) -> None:
        """The cluster ends the server at one of the next `most` requests; whether that one is still done is chance."""
        left, done = self.chance.randint(1, most), self.chance.random() < 0.5
        process = self.process

        def meet(request: Request) -> Outcome | None:
            nonlocal left
            left -= 1
            if left or process is None:
                return None if left > 0 else Outcome(None)
            process.kill()
            if done:
                self.cluster.core.handle(request)
            return Outcome(None)

        self.cluster.meet = meet

    async def dead(self) -> None:
        """Until the kill has struck."""
        assert self.process is not None
        async with asyncio.timeout(PATIENCE):
            while self.process.poll() is None:
                await asyncio.sleep(0.02)
        assert self.process.returncode == -9
        self.cluster.meet = None
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
            unit = said.json["unit"] if said.code == 0 else {}
            return bool(
                unit
                and (unit["sync"], unit["health"], unit["run"]) == ("Synced", "Healthy", None)
                and (unit["live"] or {}).get("commit") == commit
            )

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

    async def sound(self) -> None:
        clock, entropy = SystemClock(), SystemEntropy()
        key = load_or_create_key(self.data / "key", entropy)
        store = open_store(Opening(path=self.data / "kedge.db", key=key, clock=clock, entropy=entropy))
        report = await store.verify_chain()
        await store.close()
        assert (report.broken, report.why) == (0, "")
        assert report.sound >= max(self.seen)


@asynccontextmanager
async def living(folder: Path, seed: int) -> AsyncIterator[Life]:
    (folder / "git").mkdir()
    forge = Forge(folder, GitServer(folder / "git"))
    life: Life | None = None
    try:
        async with clustered(folder / "cluster") as (cluster, access):
            text = kubeconfig(cluster.url, access.token, access.ca.encode())
            (folder / "kubeconfig").write_text(text)
            life = Life(folder, forge.repository("system"), cluster, random.Random(seed))
            yield life
            await life.end()
    finally:
        if life is not None and life.process is not None and life.process.poll() is None:
            life.process.kill()
            life.process.wait()
        forge.down()


def is_synced(said: Said) -> bool:
    return said.code == 0 and said.json["unit"]["sync"] == "Synced" and said.json["unit"]["run"] is None


def many(greeting: str) -> dict[str, str | None]:
    """One ConfigMap in each of four waves: a run with places to be killed at."""
    waves = {
        f"apps/web/{n}.yaml": config(greeting, f"web-{n}", f", annotations: {{argocd.argoproj.io/sync-wave: '{n}'}}")
        for n in range(4)
    }
    return {"apps/web/namespace.yaml": folder_of("web", "")["apps/web/namespace.yaml"], **waves}


def first() -> dict[str, str | None]:
    approved = application("held", "  approve: {when: always}")
    return {
        ".kedge/shop.yaml": PROJECT,
        ".kedge/web.yaml": application("web"),
        ".kedge/back.yaml": application("back"),
        ".kedge/held.yaml": approved,
        **many("one"),
        **folder_of("back", "one"),
        **folder_of("held", "one"),
    }


def greeting(life: Life, namespace: str, name: str) -> str | None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
    answer = life.cluster.core.handle(Request.of("GET", path))
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)["data"]["greeting"] if answer.status == 200 else None


@pytest.mark.parametrize("seed", range(2))
async def test_a_server_that_is_killed_goes_on_where_it_was_and_has_lost_nothing(tmp_path: Path, seed: int) -> None:
    async with living(tmp_path, seed) as life:
        begun = life.push("begin", first())
        await life.begin()
        await life.at("web", begun)
        await life.at("back", begun)
        await life.remember()

        # An approval is acknowledged, and the run that it lets go is killed.
        waits = await life.until("held waits", lambda said: '"needs": {' in said.out, "get", "held", "-o", "json")
        effects = waits.json["unit"]["plan"]["effects"]
        life.arm(4)
        agreed = await life.kedge("approve", "held", "--effects", effects[:12], "-y", "--reason", "it is fine")
        await life.dead()
        await life.begin()
        if agreed.code == 0:
            await life.at("held", begun)
            assert "it is fine" in (await life.kedge("history", "held", "--events")).out
        await life.remember()

        # A rollback's pin is acknowledged, and so is a suspension; the run of the next commit is killed.
        moved = life.push("two", {**many("two"), **folder_of("back", "two")})
        await life.hint()
        await life.at("back", moved)
        await life.at("web", moved)
        for words in (("rollback", "back", "1", "two is bad"), ("suspend", "held", "a look first")):
            agreed = await life.kedge(*words[:-1], "-y", "--reason", words[-1])
            assert agreed.code == 0, agreed.err
        await life.until("back is back", is_synced, "get", "back", "-o", "json")
        await life.remember()
        newest = life.push("three", {**many("three"), **folder_of("back", "three"), **folder_of("held", "three")})
        life.arm(8)
        await life.hint()
        await life.dead()
        await life.begin()
        await life.at("web", newest)
        await life.remember()
        back, held = await life.unit("back"), await life.unit("held")
        assert (back["pin"]["reason"], back["pin"]["actor"]) == ("two is bad", "admin")
        assert "a look first" in held["suspended"]
        await life.until("back is back", is_synced, "get", "back", "-o", "json")
        assert [greeting(life, "web", f"web-{n}") for n in range(4)] == ["three"] * 4
        assert greeting(life, "back", "web") == "one"
        assert life.deaths == 2
        await life.end()
        await life.sound()
