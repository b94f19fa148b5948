"""A cluster that is away or refuses, objects of others, a full disk: said, nothing done by halves, and passing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.world import MONA, Cluster, World, clustered, standing

from kedge.kube.ask import Asker
from kedge.model.errors import Unavailable
from kedge.model.event import Event
from kedge.model.ref import UnitName
from kedge.sandbox.faults import Outcome
from kedge.sandbox.problems import Problem
from kedge.sandbox.wire import Request

pytestmark = pytest.mark.e2e

SICK = UnitName("shop", "sick")
TOKEN_NAME = "OTHER_TOKEN"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    # An answer that takes longer than this is late.
    monkeypatch.setitem(Asker.__init__.__kwdefaults__, "deadline", 2.0)


def cluster_document(cluster: Cluster, authority: str) -> str:
    pem = "".join(f"    {line}\n" for line in authority.splitlines())
    return f"""
apiVersion: kedge.dev/v1alpha1
kind: Credential
metadata: {{name: other}}
spec: {{prefix: "{cluster.url}", token: {{env: {TOKEN_NAME}}}}}
---
apiVersion: kedge.dev/v1alpha1
kind: Cluster
metadata: {{name: other}}
spec:
  server: {cluster.url}
  credential: other
  caData: |
{pem}"""


@asynccontextmanager
async def with_another_cluster(folder: Path) -> AsyncIterator[tuple[World, Cluster]]:
    """`shop/web` on the default cluster, `shop/sick` on another."""
    environ: dict[str, str] = {}
    async with clustered(folder / "other") as (other, access), standing(folder, environ=environ) as world:
        environ[TOKEN_NAME] = access.token
        sick = application("sick").replace("target: {", "target: {cluster: other, ")
        world.repository.write(
            {
                ".kedge/shop.yaml": PROJECT,
                ".kedge/other.yaml": cluster_document(other, access.ca),
                ".kedge/web.yaml": application("web"),
                ".kedge/sick.yaml": sick,
                **folder_of("web", "hello"),
                **folder_of("sick", "hello"),
            }
        )
        begun = world.pushed("begin")
        await world.synced("shop/web", begun)
        await world.synced("shop/sick", begun)
        yield world, other


def said_in(cluster: Cluster) -> str:
    """What the ConfigMap of `sick` says in the other cluster, whatever keeps others from asking."""
    answer = cluster.core.handle(Request.of("GET", "/api/v1/namespaces/sick/configmaps/web"))
    greeting: str = answer.json()["data"]["greeting"]
    return greeting


def answering(code: int, reason: str, text: str, headers: dict[str, str] | None = None) -> Callable[[Request], Outcome]:
    return lambda request: Outcome(Problem(code, reason, text, {}, headers or {}).response())


LACKING = 'configmaps "web" is forbidden: User "kedge" cannot patch resource "configmaps" in the namespace "sick"'
MOODS = {
    "is down": (None, "no answer from", "look whether the API server runs"),
    "does not know us": (answering(401, "Unauthorized", "Unauthorized"), "Unauthorized", "renew it"),
    "forbids": (answering(403, "Forbidden", LACKING), "cannot patch", "grant the right"),
    "throttles": (answering(429, "TooManyRequests", "too many requests"), "too many requests", "429"),
    "answers late": (
        lambda request: Outcome(Problem(500, "", "late").response(), 20.0),
        "no answer within 2 s",
        "look whether",
    ),
}


@pytest.mark.parametrize("mood", MOODS)
async def test_units_of_a_bad_cluster_say_so_wait_and_hold_up_no_other_cluster(tmp_path: Path, mood: str) -> None:
    meet, sentence, advice = MOODS[mood]
    async with with_another_cluster(tmp_path) as (world, other):
        if meet is None:
            await other.down()
        other.meet = meet
        world.repository.write({**folder_of("web", "goodbye"), **folder_of("sick", "goodbye")})
        pushed = world.pushed("goodbye")
        await world.synced("shop/web", pushed)
        for words in (("get",), ("get", "sick"), ("history", "sick", "--events")):
            shown = await world.said(sentence, *words)
            assert advice in shown, shown
        assert (await world.house.doors.store.load(SICK)).shown.sync != "Synced"
        assert said_in(other) == "hello"
        assert [run.number for run in await world.house.doors.store.operations("shop/sick")] == [1]
        other.meet = None
        if meet is None:
            await other.up()
        await world.synced("shop/sick", pushed)
        assert said_in(other) == "goodbye"


async def test_a_run_that_is_throttled_halfway_is_finished_and_not_begun_anew(tmp_path: Path) -> None:
    async with with_another_cluster(tmp_path) as (world, other):
        refuse = answering(429, "TooManyRequests", "too many requests")

        def meet(request: Request) -> Outcome | None:
            late = request.method == "PATCH" and "dryRun" not in request.query and request.path.endswith("/second")
            return refuse(request) if late else None

        other.meet = meet
        second = config("goodbye", "second", ", annotations: {argocd.argoproj.io/sync-wave: '1'}")
        world.repository.write({**folder_of("sick", "goodbye"), "apps/sick/second.yaml": second})
        pushed = world.pushed("two waves")
        assert "run 2" in await world.said("too many requests", "get", "sick")
        assert said_in(other) == "goodbye"
        held = await world.house.doors.store.load(SICK)
        assert {entry.ref.name for entry in held.inventory} == {"sick", "web", "second"}
        other.meet = None
        await world.synced("shop/sick", pushed)
        runs = await world.house.doors.store.operations("shop/sick")
        assert [(run.number, str(run.result)) for run in runs] == [(2, "Succeeded"), (1, "Succeeded")]


ARGO = {
    "annotation": {"annotations": {"argocd.argoproj.io/tracking-id": "theirs:/ConfigMap:web/web"}},
    "label": {"labels": {"argocd.argoproj.io/instance": "theirs"}},
}


@pytest.mark.parametrize("mark", ARGO)
async def test_an_object_of_argo_cd_is_left_alone_until_its_adoption_is_approved(tmp_path: Path, mark: str) -> None:
    async with standing(tmp_path) as world:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sick"}}
        await world.call("POST", "/api/v1/namespaces?fieldManager=argocd-controller", space)
        theirs: dict[str, Any] = {"name": "web", **ARGO[mark]}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": theirs, "data": {"greeting": "theirs"}}
        await world.call("POST", "/api/v1/namespaces/sick/configmaps?fieldManager=argocd-controller", body)
        world.repository.write(
            {
                ".kedge/shop.yaml": PROJECT,
                ".kedge/web.yaml": application("web"),
                ".kedge/sick.yaml": application("sick"),
                **folder_of("web", "hello"),
                "apps/sick/config.yaml": config("ours"),
            }
        )
        await world.synced("shop/web", world.pushed("begin"))
        held = await world.until("shop/sick", lambda d: d.plan is not None and d.plan.needs is not None)
        for words in (("get",), ("get", "sick"), ("diff", "sick"), ("history", "sick", "--events")):
            shown = await world.said("argocd", *words)
            assert "ConfigMap sick/web" in shown or "theirs" in shown, shown
        assert "kedge approve shop/sick" in await world.said("approve", "get", "sick")
        assert await world.greeting("sick") == "theirs"
        assert await world.house.doors.store.operations("shop/sick") == []
        await world.retried(lambda: world.house.commands.approve(MONA, SICK, held.plan.effects[:12], "it is ours now"))
        await world.synced("shop/sick")
        live = await world.call("GET", "/api/v1/namespaces/sick/configmaps/web")
        assert live["data"] == {"greeting": "ours"}
        assert not {**live["metadata"].get("annotations", {}), **live["metadata"]["labels"]}.keys() & {
            "argocd.argoproj.io/tracking-id",
            "argocd.argoproj.io/instance",
        }


async def test_an_object_that_argo_cd_lets_go_is_taken_without_a_word(tmp_path: Path) -> None:
    async with standing(tmp_path) as world:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", **ARGO["annotation"]}}
        await world.call("POST", "/api/v1/namespaces/default/configmaps?fieldManager=kubectl-create", body)
        sick = {".kedge/sick.yaml": application("sick", namespace="default"), "apps/sick/config.yaml": config("ours")}
        world.repository.write({".kedge/shop.yaml": PROJECT, **sick})
        world.pushed("begin")
        await world.until("shop/sick", lambda d: d.plan is not None and d.plan.needs is not None)
        free = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": None}}}
        path = "/api/v1/namespaces/default/configmaps/web?fieldManager=kubectl-edit"
        await world.call("PATCH", path, free, "application/merge-patch+json")
        dossier = await world.synced("shop/sick")
        assert dossier.approvals == ()
        assert await world.greeting("default") == "ours"


async def test_a_full_disk_is_told_starts_nothing_and_loses_nothing(tmp_path: Path) -> None:
    async with standing(tmp_path) as world:
        files = {".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web"), **folder_of("web", "hello")}
        world.repository.write(files)
        await world.synced("shop/web", world.pushed("begin"))
        await world.whole()
        await full(world, True)
        before, writes = await world.house.doors.store.latest(limit=500), world.cluster.writes
        world.repository.write(folder_of("web", "goodbye"))
        pushed = world.pushed("goodbye")
        refused = await world.said("the disk is full", "sync", "web", "-y", "--reason", "x" * 2000)
        assert "free space" in refused
        assert "the disk is full" in await world.said("the disk is full", "get")
        assert (await world.greeting("web"), world.cluster.writes) == ("hello", writes)
        assert (await world.kedge("get", "web")).code == 0
        await full(world, False)
        await world.synced("shop/web", pushed)
        assert await world.greeting("web") == "goodbye"
        events = {event.id: event for event in await world.house.doors.store.latest(limit=500)}
        assert [events[event.id] for event in before] == before
        report = await world.house.doors.store.verify_chain()
        assert (report.broken, report.why) == (0, "")
        assert "disk" not in (await world.kedge("get")).err


async def full(world: World, yes: bool) -> None:
    """SQLite's own bound on the file: what it says then is what it says of a full disk."""
    store: Any = world.house.doors.store

    def bound(session: Any) -> None:
        pages = session.raw.cursor().execute("PRAGMA page_count").fetchone()[0]
        session.command(f"PRAGMA max_page_count = {pages if yes else 1_000_000}")

    await store._writes.do(bound)
    for size in (65536, 4096, 512, 64) if yes else ():
        with contextlib.suppress(Unavailable):
            while True:  # what is left of the last pages
                await store.note((Event("test.filler", 0.0, "test", message="x" * size),))
