"""kill -9 of a real `kedge up` at every write of a sync of fifty objects with hooks, against a real API server.

The write at which it strikes is lost or carried out; a new server then finds what the old one left. It ends as Git
says, every hook came to its end once, nothing that carries our mark is forgotten, and nothing has gone that should
live.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.evidence import Evidence, witnessed
from tests.e2e.life import Life, at
from tests.e2e.stories import PROJECT, application, config
from tests.e2e.world import Forge, clustered, forged
from tests.parts.proxy import Asked, Fate, Proxy, fine, proxied

from kedge.kube.kubeconfig import Access
from kedge.model.ref import UnitName
from kedge.sandbox.http import kubeconfig

pytestmark = pytest.mark.e2e

WHOLE = bool(os.environ.get("KEDGE_KILLS"))
"""KEDGE_KILLS=1 pytest tests/e2e/test_kills.py: two deaths at every write, before and after it; else at a sample."""
SAMPLE = 12
BOUND = 1500.0 if WHOLE else 240.0
"""Seconds for all deaths together."""
HOOKS = ("before", "during", "after-")
WAVE = "argocd.argoproj.io/sync-wave"
OLD, CHANGED, NEW = range(35), range(5, 35), range(35, 55)
"""Numbers of the ConfigMaps: at first, those that a commit changes, those that it adds; 0 to 4 leave Git."""


@dataclass
class Mortal(Life):
    """A server that the proxy before its cluster kills, at each write that `strikes` for the first time.

    `struck` are the writes at which it died and whether they were carried out."""

    proxy: Proxy = field(kw_only=True)
    evidence: Evidence = field(kw_only=True)
    forge: Forge = field(kw_only=True)
    strikes: Callable[[str], bool] = lambda what: True
    struck: dict[str, list[bool]] = field(default_factory=dict)

    def meet(self, asked: Asked) -> Fate:
        """For the proxy: once dead, nothing more of this life arrives."""
        if self.process is None or self.process.poll() is not None:
            return Fate.DROPPED
        died = self.struck.get(asked.what, [])
        if not asked.write or not self.strikes(asked.what) or len(died) > WHOLE:
            return Fate.FINE
        done = not died[0] if died else sha256(asked.what.encode()).digest()[0] % 2 == 0
        self.struck[asked.what] = [*died, done]
        self.process.kill()
        self.process.wait()
        return Fate.GHOST if done else Fate.DROPPED

    async def through(self, commit: str) -> None:
        """Bring it back after each death, until the unit is as `commit` wants it."""
        self.proxy.meet = self.meet
        due = asyncio.get_running_loop().time() + BOUND
        while not await self.arrived(commit):
            assert asyncio.get_running_loop().time() < due, f"not there after {self.deaths} deaths: {self.struck}"
            await self.dead()
            await self.proxy.settled()
            self.start()
        self.proxy.meet = fine

    async def arrived(self, commit: str) -> bool:
        """Wait until the unit is as wanted (true), or the server dead (false). It is asked rarely."""
        asked = asyncio.get_running_loop().time()
        while self.process is not None and self.process.poll() is None:
            await asyncio.sleep(0.02)
            if asyncio.get_running_loop().time() > asked + 2.0:
                if at(await self.unit("web"), commit):
                    return True
                asked = asyncio.get_running_loop().time()
        return False


@asynccontextmanager
async def mortal(folder: Path, access: Access | None) -> AsyncIterator[Mortal]:
    async with AsyncExitStack() as stack:
        if access is None:
            _, access = await stack.enter_async_context(clustered(folder / "sandbox"))
        proxy, through = await stack.enter_async_context(proxied(access, folder / "proxy"))
        evidence = await stack.enter_async_context(witnessed(access))
        (folder / "kubeconfig").write_text(kubeconfig(through.server, through.token, through.ca.encode()))
        forge = stack.enter_context(forged(folder))
        life = Mortal(folder, forge.repository("system"), proxy=proxy, evidence=evidence, forge=forge)
        proxy.ghostly = 0.0
        try:
            yield life
            await life.end()
        finally:
            life.kill()
            if life.process is not None:
                life.process.wait()


def hook(name: str, words: str, greeting: str) -> str:
    metadata = f"generateName: {name}" if name.endswith("-") else f"name: {name}"
    return f"""
apiVersion: batch/v1
kind: Job
metadata: {{{metadata}, annotations: {{{words}}}}}
spec:
  template: {{spec: {{restartPolicy: Never, containers: [{{name: once, image: "busybox:1", args: ["{greeting}"]}}]}}}}
"""


def files(numbers: range, greeting: str) -> dict[str, str | None]:
    """ConfigMaps in waves of eight or so."""
    waves = {n: f", annotations: {{{WAVE}: '{n % 7}'}}" for n in numbers}
    return {f"apps/web/config-{n}.yaml": config(greeting, f"config-{n}", waves[n]) for n in numbers}


def hooks(greeting: str) -> dict[str, str | None]:
    """One that makes room before it is made, one that goes when it has succeeded, one with a new name in every run."""
    words = (
        "argocd.argoproj.io/hook: PreSync",
        f'argocd.argoproj.io/hook: Sync, {WAVE}: "3", argocd.argoproj.io/hook-delete-policy: HookSucceeded',
        "argocd.argoproj.io/hook: PostSync",
    )
    made = zip(HOOKS, words, strict=True)
    return {f"apps/web/{name}.yaml": hook(name, text, greeting) for name, text in made}


def first() -> dict[str, str | None]:
    return {
        ".kedge/shop.yaml": PROJECT,
        ".kedge/web.yaml": application("web", "  sync: {timeout: 1h}\n"),
        "apps/web/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n",
        **hooks("one"),
        **files(OLD, "one"),
    }


def second() -> dict[str, str | None]:
    gone: dict[str, str | None] = dict.fromkeys(files(range(5), ""))
    return {**gone, **hooks("two"), **files(CHANGED, "two"), **files(NEW, "two")}


def sampled(what: str) -> bool:
    """Every hook, one deletion, and a few of the rest."""
    if what.startswith("DELETE /api/v1"):
        return what.endswith("config-0")
    return "/jobs/" in what or sha256(what.encode()).digest()[1] % SAMPLE == 0


async def bystanders(life: Mortal) -> dict[tuple[str, str], str]:
    """A stranger's objects in our namespace, one of which has copied our label, and their uids."""
    label = {"kedge.dev/unit": "shop-web-ba5c5ad5"}
    for meta in ({"name": "stranger"}, {"name": "lookalike", "labels": label}):
        await life.evidence.make("ConfigMap", "web", {"metadata": meta})
    uids = await life.evidence.uids("web")
    return {key: uid for key, uid in uids.items() if key[1] in ("stranger", "lookalike")}


async def inventory(life: Mortal) -> set[tuple[str, str]]:
    """(kind, name) of what the unit owns on record."""
    store = life.store()
    dossier = await store.load(UnitName("shop", "web"))
    await store.close()
    assert dossier is not None
    return {(entry.ref.kind, entry.ref.name) for entry in dossier.inventory}


async def test_a_server_that_is_killed_at_every_write_ends_as_git_says(tmp_path: Path, real_cluster: Any) -> None:
    async with mortal(tmp_path, real_cluster.access) as life:
        begun = life.push("begin", first())
        await life.begin()
        await life.at("web", begun)
        await life.remember()
        living = await bystanders(life)
        before = await life.evidence.uids("web")

        life.strikes = (lambda what: True) if WHOLE else sampled
        commit = life.push("fifty objects and three hooks", second())
        life.proxy.meet = life.meet
        begun_with = len(life.proxy.wrote)
        await life.hint()
        await life.through(commit)
        assert life.deaths == sum(map(len, life.struck.values()))
        meant = {asked.what for asked in life.proxy.wrote[begun_with:] if life.strikes(asked.what)}
        assert meant <= life.struck.keys(), "no write of the commit was spared"
        assert len(meant) > (50 if WHOLE else 4)
        lost = [died for died in life.struck.values() if not died[0]]
        assert all(len(died) == 1 + WHOLE for died in lost), "what was lost is asked again, and dies once more"

        uids, values = await life.evidence.uids("web"), await life.evidence.values("web")
        stays = {**living, **{("ConfigMap", f"config-{n}"): before["ConfigMap", f"config-{n}"] for n in CHANGED}}
        assert {key: uids.get(key) for key in stays} == stays
        wanted = {f"config-{n}": "two" for n in (*CHANGED, *NEW)}
        assert {name: text for name, text in values.items() if name.startswith("config-")} == wanted
        runs = {run for run, _ in life.evidence.jobs}
        assert len(runs) == 2, "a death is no failure: the one run goes on"
        await life.evidence.ran_once(runs, HOOKS)

        await life.remember()
        wrote = len(life.proxy.wrote)
        looks = life.forge.looks
        await life.hint()
        while life.forge.looks < looks + 1:
            await asyncio.sleep(0.05)
        await life.at("web", commit)
        assert [asked.what for asked in life.proxy.wrote[wrote:]] == []
        await life.end()
        await life.sound()
        marked = await life.evidence.marked("web", "shop/web")
        owned = await inventory(life)
        assert marked <= owned, marked - owned
        print(f"{life.deaths} deaths, {len(life.proxy.wrote)} writes were carried out")
