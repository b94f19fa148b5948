"""kill -9 of a real `kedge up`, in the middle of what it does: nothing acknowledged is lost, and it ends where Git is.

The cluster and the forge live in the test's own process and outlive it. The moment of each kill comes from a seed: it
is the n-th request that reaches the cluster, lost before it is done or after.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientError
from tests.e2e.life import Life
from tests.e2e.stories import PROJECT, application, config, folder_of
from tests.e2e.world import Cluster, Said, clustered, forged

from kedge.sandbox.faults import Outcome
from kedge.sandbox.http import kubeconfig
from kedge.sandbox.wire import Request

pytestmark = pytest.mark.e2e


@dataclass
class Mortal(Life):
    """A server that its cluster ends."""

    cluster: Cluster = field(kw_only=True)
    chance: random.Random = field(kw_only=True)

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
        await super().dead()
        self.cluster.meet = None


@asynccontextmanager
async def living(folder: Path, seed: int) -> AsyncIterator[Mortal]:
    with forged(folder) as forge:
        async with clustered(folder / "cluster") as (cluster, access):
            text = kubeconfig(cluster.url, access.token, access.ca.encode())
            (folder / "kubeconfig").write_text(text)
            life = Mortal(folder, forge.repository("system"), cluster=cluster, chance=random.Random(seed))
            try:
                yield life
                await life.end()
            finally:
                life.kill()
                if life.process is not None:
                    life.process.wait()


def is_synced(said: Said) -> bool:
    return said.code == 0 and said.json["unit"]["sync"] == "Synced" and said.json["unit"]["run"] is None


async def back_is_back(life: Mortal) -> None:
    """As the rollback wants it, in the cluster as well: what is told right after a command may be from before it."""

    def good(said: Said) -> bool:
        return is_synced(said) and greeting(life, "back", "web") == "one"

    await life.until("back is back", good, "get", "back", "-o", "json")


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


def greeting(life: Mortal, namespace: str, name: str) -> str | None:
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
        await back_is_back(life)
        await life.remember()
        newest = life.push("three", {**many("three"), **folder_of("back", "three"), **folder_of("held", "three")})
        life.arm(8)
        with suppress(ClientError):  # any request may be the one that ends it; Git is asked in time without a hint
            await life.hint()
        await life.dead()
        await life.begin()
        await life.at("web", newest)
        await life.remember()
        back, held = await life.unit("back"), await life.unit("held")
        assert (back["pin"]["reason"], back["pin"]["actor"]) == ("two is bad", "admin")
        assert "a look first" in held["suspended"]
        await back_is_back(life)
        assert [greeting(life, "web", f"web-{n}") for n in range(4)] == ["three"] * 4
        assert life.deaths == 2
        await life.end()
        await life.sound()
