"""A real cluster that turns into something else for a while: half-open, lying, or no Kubernetes at all.

Whatever it says meanwhile, its units tell what is wrong in bounded time, those of another cluster go on, and nothing
that lives is deleted; when it is itself again, everything gets through without anybody's help.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.test_clusters import documents
from tests.e2e.world import World, standing
from tests.parts.api import Api
from tests.parts.fixtures import RealCluster
from tests.parts.proxy import Asked, Fate, Proxy, Said, fine, proxied

from kedge.kube.ask import Asker
from kedge.kube.discovery import Discovery
from kedge.kube.kubeconfig import Access
from kedge.kube.watch import Watcher

pytestmark = pytest.mark.e2e

MAPS = "/api/v1/namespaces/sick/configmaps"
JSON = {"Content-Type": "application/json"}
DEADLINE = 2.0


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setitem(Asker.__init__.__kwdefaults__, "deadline", DEADLINE)
    monkeypatch.setitem(Watcher.__init__.__kwdefaults__, "silence", 3.0)
    monkeypatch.setattr(Discovery, "STALE", 0.2)
    monkeypatch.setattr(Discovery, "UNKNOWN", 0.2)
    monkeypatch.setattr("kedge.kube.watch.MAX_PAUSE", 0.5)
    monkeypatch.setattr("kedge.kube.watch.INITIAL_SILENCE", 2.0)
    monkeypatch.setattr("kedge.kube.pulse.MOST", 1.0)
    monkeypatch.setattr("kedge.kube.pulse.TELL", 0.5)
    monkeypatch.setattr("kedge.targets.kubernetes.sites.RENEW", 0.2)


@dataclass
class Story:
    """`shop/sick` lives in the cluster `far`, behind the proxy, and `shop/web` in another one."""

    world: World
    proxy: Proxy
    api: Api
    through: Access

    def uids(self) -> dict[str, str]:
        """Of every ConfigMap but the one that the controllers of a namespace add in their own time."""
        found = {item["metadata"]["name"]: item["metadata"]["uid"] for item in self.api.call("GET", MAPS)["items"]}
        return {name: uid for name, uid in found.items() if name != "kube-root-ca.crt"}

    def greeting(self) -> str:
        found: str = self.api.call("GET", f"{MAPS}/web")["data"]["greeting"]
        return found

    def changed(self) -> str:
        """A commit that changes both units, and prunes an object of each."""
        self.world.repository.write(
            {
                **folder_of("web", "goodbye"),
                **folder_of("sick", "goodbye"),
                "apps/web/leaves.yaml": None,
                "apps/sick/leaves.yaml": None,
            }
        )
        return self.world.pushed("goodbye")

    def well(self) -> None:
        self.proxy.meet, self.proxy.instead, self.proxy.lie = fine, lambda asked: None, lambda asked, said: said

    async def itself_again(self, commit: str, before: dict[str, str]) -> None:
        self.well()
        await self.world.synced("shop/sick", commit)
        assert self.greeting() == "goodbye"
        assert self.uids() == {name: uid for name, uid in before.items() if name != "leaves"}


@asynccontextmanager
async def told(folder: Path, cluster: RealCluster, chain: Path | None = None, ca: str = "") -> AsyncIterator[Story]:
    """Both units synced. `chain` is the certificate that `far` shows, and `ca` who it is of."""
    async with proxied(cluster.access, folder / "proxy") as (proxy, through):
        if chain is not None:
            proxy.show(chain)
        environ = {"FAR": through.token}
        async with standing(folder, environ=environ) as world:
            sick = application("sick").replace("target: {", "target: {cluster: far, ")
            files = {f"apps/{name}/leaves.yaml": config("hello", "leaves") for name in ("web", "sick")}
            world.repository.write(
                {
                    ".kedge/shop.yaml": PROJECT,
                    ".kedge/far.yaml": documents("far", through, "token: {env: FAR}", ca=ca or through.ca),
                    ".kedge/web.yaml": application("web"),
                    ".kedge/sick.yaml": sick,
                    **folder_of("web", "hello"),
                    **folder_of("sick", "hello"),
                    **files,
                }
            )
            begun = world.pushed("begin")
            await world.synced("shop/sick", begun)
            await world.synced("shop/web", begun)
            story = Story(world, proxy, cluster.api, through)
            cluster.api.call("POST", MAPS, {"metadata": {"name": "stranger"}})
            yield story


def said(value: Any, status: int = 200, **headers: str) -> Said:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Said(status, {**JSON, **headers}, body)


Instead = Callable[[Asked], Said | None]
Lie = Callable[[Asked, Said], Said]
SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
HTML = b"<!doctype html><title>Welcome</title>" + b"<p>Please log in</p>" * 50
NO_STREAM = {
    **SUCCESS,
    "status": "Failure",
    "reason": "Invalid",
    "code": 422,
    "message": "sendInitialEvents is forbidden",
}

FATES = {
    "is half-open": (Fate.MUTE, "no answer within 2 s"),
    "answers headers and never a body": (Fate.HALF, "no answer within 2 s"),
    "stops in the middle": (Fate.STUCK, "no answer within 2 s"),
    "never comes to an end": (Fate.ENDLESS, "no answer"),
    "has headers of a megabyte": (Fate.BLOATED, "no answer from https://127.0.0.1"),
}
INSTEAD: dict[str, tuple[Said, str]] = {
    "is a web page": (said(HTML, **{"Content-Type": "text/html"}), "is this address a Kubernetes API?"),
    "is nothing but a web page": (said(HTML, 404), "look whether this address is that of a Kubernetes API"),
    "is a web page of a maintenance": (said(HTML, 503), "Please log in"),
    "agrees to everything and shows nothing": (said(SUCCESS), "Kubernetes"),
    "answers a list of numbers": (said([1, 2, 3]), "is no JSON object"),
    "sends us elsewhere": (said(b"", 302, Location="https://127.0.0.1:1/elsewhere"), "it sends us elsewhere"),
}


async def survived(story: Story, sentence: str) -> bool:
    """`far` has just turned into something else. Fails unless it is told, nothing goes, and it all passes."""
    before = story.uids()
    story.proxy.cut()
    commit = story.changed()
    await story.world.synced("shop/web", commit)
    shown = await story.world.said(sentence, "get", "sick")
    assert "far" in shown, shown
    assert (story.uids(), story.greeting()) == (before, "hello")
    rows = (await story.world.kedge("get", "cluster", "-o", "json")).json["items"]
    assert [row["name"] for row in rows if row["reason"]] in (["far"], [])
    await story.itself_again(commit, before)
    return story.greeting() == "goodbye"


@pytest.mark.parametrize("how", FATES)
async def test_a_server_that_never_answers_whole(tmp_path: Path, real_cluster: RealCluster, how: str) -> None:
    fate, sentence = FATES[how]
    async with told(tmp_path, real_cluster) as story:
        story.proxy.meet = lambda asked: fate
        assert await survived(story, sentence)


@pytest.mark.parametrize("how", INSTEAD)
async def test_a_server_that_is_no_kubernetes(tmp_path: Path, real_cluster: RealCluster, how: str) -> None:
    answer, sentence = INSTEAD[how]
    async with told(tmp_path, real_cluster) as story:
        story.proxy.instead = lambda asked: answer
        assert await survived(story, sentence)


def altered(said: Said, change: Callable[[Any], Any]) -> Said:
    return replace(said, body=json.dumps(change(json.loads(said.body))).encode())


def cut_short(asked: Asked, said: Said) -> Said:
    return replace(said, body=said.body[: len(said.body) // 2])


def another(asked: Asked, said: Said) -> Said:
    """Of every map it shows another one, that is as real."""
    if not asked.path.startswith(f"{MAPS}/") or said.status >= 300:
        return said
    return altered(said, lambda obj: {**obj, "metadata": {**obj["metadata"], "name": "stranger"}})


def of_groups(change: Callable[[dict[str, Any]], None], root: str = "/api") -> Lie:
    """A lie about what there is."""

    def lie(asked: Asked, said: Said) -> Said:
        if asked.path != root:
            return said
        value = json.loads(said.body)
        for group in value["items"]:
            for version in group["versions"]:
                change(version)
        return replace(said, body=json.dumps(value).encode())

    return lie


def without_maps(version: dict[str, Any]) -> None:
    version["resources"] = [one for one in version["resources"] if one["resource"] != "configmaps"]


def outside_namespaces(version: dict[str, Any]) -> None:
    for one in version["resources"]:
        one["scope"] = "Cluster"


def nothing_at_all(asked: Asked, said: Said) -> Said:
    return replace(said, body=b"{}") if asked.path in ("/api", "/apis") else said


LYING: dict[str, tuple[Lie, str]] = {
    "cuts its JSON short": (cut_short, "the answer is not JSON"),
    "shows another object than it was asked about": (another, "about another object (ConfigMap sick stranger)"),
    "says that it serves nothing": (nothing_at_all, "the answer lists no APIs"),
    "does not list one kind": (of_groups(without_maps), "ConfigMap"),
    "says that nothing lives in a namespace": (of_groups(outside_namespaces), "ConfigMap lives outside namespaces"),
}


@pytest.mark.parametrize("how", LYING)
async def test_a_server_that_lies(tmp_path: Path, real_cluster: RealCluster, how: str) -> None:
    lie, sentence = LYING[how]
    async with told(tmp_path, real_cluster) as story:
        story.proxy.lie = lie
        assert await survived(story, sentence)


def listed(asked: Asked) -> bool:
    return asked.method == "GET" and asked.path.rpartition("/")[2] == "configmaps" and not asked.watching


LISTS: dict[str, Callable[[Any], Any]] = {
    "says success": lambda value: SUCCESS,
    "has no items": lambda value: {**value, "items": "none"},
    "has secrets in it": lambda value: {**value, "items": [{"kind": "Secret", "metadata": {}}]},
    "has no version": lambda value: {**value, "metadata": {}},
}


@pytest.mark.parametrize("how", LISTS)
async def test_a_list_that_is_none(
    tmp_path: Path, real_cluster: RealCluster, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Nothing of it is believed, what is asked about each object is, and that nothing newer is seen is an alarm."""
    monkeypatch.setattr("kedge.control.shift.vigil.QUIET", 4.0)
    monkeypatch.setattr("kedge.control.shift.vigil.LOOK", 0.5)
    change = LISTS[how]
    async with told(tmp_path, real_cluster) as story:
        story.proxy.instead = lambda asked: said(NO_STREAM, 422) if "sendInitialEvents" in asked.query else None
        story.proxy.lie = lambda asked, said: altered(said, change) if listed(asked) else said
        story.proxy.meet = lambda asked: Fate.EXPIRED if "resourceVersion" in asked.query else Fate.FINE
        before = story.uids()
        story.proxy.cut()
        commit = story.changed()
        await story.world.synced("shop/web", commit)
        await story.world.said("a watch that sees its objects of cluster far has told nothing since", "get", "sick")
        assert {name: uid for name, uid in before.items() if name != "leaves"}.items() <= story.uids().items()
        await story.itself_again(commit, before)
        await story.world.silent("told nothing", "get", "sick")
