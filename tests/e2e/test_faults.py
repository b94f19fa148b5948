"""A unit with waves and hooks, changed by commits and by other hands, while the way to its cluster is as bad as can be.

When the faults stop it is as Git says within bounded time, and then writes nothing; every hook came to its end once in
each run; nothing that carries our mark is forgotten, and nothing has gone that should live.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.e2e.evidence import Evidence, witnessed
from tests.e2e.stories import PROJECT, application, config, hasten
from tests.e2e.world import World, clustered, standing
from tests.parts.proxy import Fate, Proxy, Weather, fine, proxied, storm

from kedge.kube.ask import Asker
from kedge.kube.kubeconfig import Access
from kedge.kube.watch import Watcher

pytestmark = pytest.mark.e2e

ASKED = int(os.environ.get("KEDGE_SEEDS", "0"))
SEEDS = range(ASKED) if ASKED else (1,)
"""An odd seed storms from the very first request. More are a soak: KEDGE_SEEDS=100 pytest tests/e2e/test_faults.py."""
COMMITS = 3 if ASKED else 2
HOOKS = ("before", "after")
MOST_REMOVED = 5
KEEP = ", annotations: {helm.sh/resource-policy: keep}"
MERGE = "application/merge-patch+json"
MAPS = "/api/v1/namespaces/web/configmaps"
DEADLINE = 2.0
"""Seconds after which an answer is late."""


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setitem(Asker.__init__.__kwdefaults__, "deadline", DEADLINE)
    monkeypatch.setitem(Watcher.__init__.__kwdefaults__, "silence", 3.0)
    monkeypatch.setattr("kedge.kube.watch.MAX_PAUSE", 1.0)
    monkeypatch.setattr("kedge.kube.watch.INITIAL_SILENCE", 2.0)
    monkeypatch.setattr("kedge.kube.pulse.MOST", 1.0)


def hook(name: str, phase: str, greeting: str) -> str:
    return f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, annotations: {{argocd.argoproj.io/hook: {phase}}}}}
spec:
  template: {{spec: {{restartPolicy: Never, containers: [{{name: once, image: "busybox:1", args: ["{greeting}"]}}]}}}}
"""


def deployment(greeting: str) -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, annotations: {{argocd.argoproj.io/sync-wave: "2"}}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}, annotations: {{greeting: {greeting}}}}}
    spec: {{containers: [{{name: web, image: "nginx:1"}}]}}
"""


FIXED = {
    "namespace": "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n",
    "account": "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n",
    "secret": "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {word: swordfish}\n",
    "service": "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n",
}


def files(greeting: str, names: set[str]) -> dict[str, str]:
    """The folder of `shop/web`: some twenty objects in five waves, two of them hooks."""
    waved = {
        name: f", annotations: {{argocd.argoproj.io/sync-wave: '{sum(map(ord, name)) % 5 - 2}'}}" for name in names
    }
    inner = {
        **FIXED,
        "deployment": deployment(greeting),
        **{name: hook(name, phase, greeting) for name, phase in zip(HOOKS, ("PreSync", "PostSync"), strict=True)},
        **{name: config(greeting, name, waved[name]) for name in sorted(names)},
    }
    return {f"apps/web/{name}.yaml": text for name, text in inner.items()}


@dataclass
class Story:
    """`names` are the ConfigMaps that Git states; `lost` the objects that another hand has deleted."""

    world: World
    proxy: Proxy
    evidence: Evidence
    outside: World
    draw: random.Random
    names: set[str]
    lost: set[tuple[str, str]]
    count: int = 0
    removed: int = 0

    def commit(self) -> str:
        """Change everything, add some and remove a few: never so many, of all commits together as none may get
        through before the last, that a person would be asked."""
        before, self.count = files("", self.names), self.count + 1
        few = min(self.draw.randint(0, 2), MOST_REMOVED - self.removed) if self.count > 1 else 0
        removed = set(self.draw.sample(sorted(self.names), few))
        self.removed += few
        added = {f"new-{self.count}-{number}" for number in range(self.draw.randint(0, 2))}
        self.names = (self.names - removed) | added
        after = files(f"v{self.count}", self.names)
        gone: dict[str, str | None] = {name: None for name in before.keys() - after.keys() if self.count > 1}
        self.world.repository.write({**after, **gone})
        return self.world.pushed(f"commit {self.count}")

    async def meddle(self) -> None:
        """Somebody edits one object and deletes another, behind our back and past every fault."""
        present = sorted(name for name in await self.evidence.values("web") if name in self.names)
        if not present:
            return
        edited, deleted = self.draw.choice(present), self.draw.choice(present)
        change = {"data": {"greeting": "meddled", "more": "x"}}
        await self.outside.call("PATCH", f"{MAPS}/{edited}?fieldManager=kubectl-edit", change, MERGE)
        await self.outside.call("DELETE", f"{MAPS}/{deleted}")
        self.lost.add(("ConfigMap", deleted))

    async def rough(self, seconds: float) -> None:
        """Let the faults have their way for a while, or until the unit got there all the same."""
        try:
            async with asyncio.timeout(seconds):
                await self.world.synced("shop/web", self.world.repository.git("rev-parse", "HEAD"))
        except TimeoutError:
            return

    async def as_git_says(self, commit: str) -> None:
        """In bounded time, and in truth: not only as Kedge tells it."""
        await self.world.synced("shop/web", commit)
        await self.world.eventually(lambda: self.true(f"v{self.count}"))
        await self.world.synced("shop/web", commit)

    async def true(self, greeting: str) -> bool:
        values = await self.evidence.values("web")
        return {name: values.get(name) for name in self.names} == dict.fromkeys(self.names, greeting)

    async def nothing_is_forgotten(self) -> None:
        """Whatever carries our mark is in the inventory."""
        dossier = await self.world.synced("shop/web")
        owned = {(entry.ref.kind, entry.ref.name) for entry in dossier.inventory}
        marked = await self.evidence.marked("web", "shop/web")
        assert marked <= owned, marked - owned
        assert {("ConfigMap", name) for name in self.names} <= marked

    async def at_rest_nothing_is_written(self) -> None:
        wrote, runs = list(self.proxy.wrote), (await self.world.synced("shop/web")).runs
        looks, turns = self.world.forge.looks, self.world.house.shift.turns.taken
        self.world.repository.write(
            {"README.md": f"a word that concerns nobody {self.count}\n", "apps/web/NOTES.txt": "nor this"}
        )
        self.world.pushed("words")
        while self.world.forge.looks < looks + 3 or self.world.house.shift.turns.taken == turns:
            await asyncio.sleep(0.1)
        dossier = await self.world.synced("shop/web")
        assert [asked.what for asked in self.proxy.wrote[len(wrote) :]] == []
        assert dossier.runs == runs


@asynccontextmanager
async def told(folder: Path, access: Access | None, seed: int) -> AsyncIterator[Story]:
    """A unit, another one and a stranger's objects in one namespace, over a proxy that is fine yet."""
    async with AsyncExitStack() as stack:
        if access is None:
            _, access = await stack.enter_async_context(clustered(folder / "sandbox"))
        proxy, through = await stack.enter_async_context(proxied(access, folder / "proxy"))
        evidence = await stack.enter_async_context(witnessed(access))
        proxy.ghostly = DEADLINE + 0.5
        world = await stack.enter_async_context(standing(folder, access=through))
        draw = random.Random(seed)
        names = {f"config-{number}" for number in range(14)}
        story = Story(world, proxy, evidence, replace(world, access=access), draw, names, set())
        world.repository.write(
            {
                ".kedge/shop.yaml": PROJECT,
                ".kedge/web.yaml": application("web", "  sync: {timeout: 5m}\n"),
                ".kedge/kept.yaml": application("kept", namespace="web"),
                "apps/kept/one.yaml": config("kept", "kept", KEEP),
                "apps/kept/two.yaml": config("other", "other"),
            }
        )
        yield story


async def bystanders(story: Story) -> dict[tuple[str, str], str]:
    """Objects that no commit of `shop/web` is about, and their uids: a stranger's, one that looks like ours, another
    unit's, and one that its unit has let go of and that asks to be kept."""
    label = (await story.outside.call("GET", f"{MAPS}/config-0"))["metadata"]["labels"]
    await story.outside.call("POST", MAPS, {"metadata": {"name": "stranger"}})
    await story.outside.call("POST", MAPS, {"metadata": {"name": "lookalike", "labels": label}})
    await story.world.synced("shop/kept")
    story.world.repository.write({"apps/kept/one.yaml": None})
    uids = await story.evidence.uids("web")
    found = {key: uid for key, uid in uids.items() if key[1] in ("stranger", "lookalike", "kept", "other")}
    assert len(found) == 4
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_the_way_does_to_it_a_unit_ends_as_git_says(
    tmp_path: Path, access: Access | None, seed: int
) -> None:
    async with told(tmp_path, access, seed) as story:
        world, proxy = story.world, story.proxy
        if seed % 2:
            proxy.meet = weather(seed)
        await story.as_git_says(story.commit())
        living = await bystanders(story)
        proxy.meet = weather(seed)
        mine = await story.evidence.uids("web")
        for _ in range(COMMITS):
            before = set(story.names)
            commit = story.commit()
            for key in [("ConfigMap", name) for name in before - story.names]:
                mine.pop(key, None)
            await story.rough(story.draw.uniform(0.3, 1.5))
            await story.meddle()
            await story.rough(1.0)
        proxy.meet = fine
        await proxy.settled()
        await story.as_git_says(commit)
        await world.synced("shop/kept")
        await story.nothing_is_forgotten()
        await story.at_rest_nothing_is_written()

        uids = await story.evidence.uids("web")
        stays = {**living, **{key: uid for key, uid in mine.items() if key not in story.lost and key[0] != "Job"}}
        assert {key: uids.get(key) for key in stays} == stays
        runs = await world.house.doors.store.operations("shop/web")
        through = [run for run in runs if run.result == "Succeeded" and any("PostSync" in o.step for o in run.outcomes)]
        assert through
        await story.evidence.ran_once([run.id for run in through], HOOKS)
        assert proxy.struck.total() - proxy.struck[Fate.FINE] > 8, proxy.struck


def weather(seed: int) -> Weather:
    """Every fourth request comes to harm."""
    return Weather(seed, storm((0.02, 0.03, 0.05)[seed % 3]))
