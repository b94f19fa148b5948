"""Admission webhooks of a real API server: those that say no, that are down, that add, and that say otherwise."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.e2e.stories import PROJECT, application, config, folder_of, hasten
from tests.e2e.world import World, standing
from tests.parts.fixtures import RealCluster
from tests.parts.ports import held_port

from kedge.certificate import self_signed
from kedge.control.shift.queue import Lane
from kedge.model.dossier import Dossier
from kedge.sandbox.faults import Outcome
from kedge.sandbox.problems import Problem
from kedge.sandbox.wire import Request

pytestmark = pytest.mark.e2e

HOOKS = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/web/configmaps"
MERGE = "application/merge-patch+json"
SAFE = 1_700_000_000.0
Judge = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)


@dataclass
class Webhook:
    """A server that the API server asks before it writes. `judge` answers the object of a request: what is to be added
    to the response."""

    judge: Judge
    context: ssl.SSLContext
    authority: bytes
    port: int
    asked: list[dict[str, Any]] = field(default_factory=list)
    runner: web.AppRunner | None = None

    async def up(self) -> None:
        app = web.Application()
        app.router.add_post("/", self.answer)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port, ssl_context=self.context)
        await site.start()

    async def down(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
        self.runner = None

    async def answer(self, request: web.Request) -> web.Response:
        review = await request.json()
        asked = review["request"]
        self.asked.append(asked)
        response = {"uid": asked["uid"], "allowed": True, **self.judge(asked["object"])}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    @property
    def written(self) -> int:
        """How often it was asked about something that was not only tried."""
        return sum(not asked.get("dryRun") for asked in self.asked)

    def registered(self, kind: str) -> dict[str, Any]:
        """The document that makes the API server ask it about ConfigMaps named `web`."""
        bundle = base64.b64encode(self.authority).decode()
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["configmaps"],
        }
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "test"},
            "webhooks": [
                {
                    "name": "judge.example.com",
                    "clientConfig": {"url": f"https://127.0.0.1:{self.port}/", "caBundle": bundle},
                    "rules": [rule],
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 30,
                    "matchConditions": [
                        {"name": "ours", "expression": "request.name == 'web' && request.namespace == 'web'"}
                    ],
                }
            ],
        }


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


@asynccontextmanager
async def serving(folder: Path, judge: Judge) -> AsyncIterator[Webhook]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate, key = self_signed(SAFE)
    (folder / "webhook.pem").write_bytes(certificate + key)
    context.load_cert_chain(folder / "webhook.pem")
    with held_port() as port:
        webhook = Webhook(judge, context, certificate, port)
        await webhook.up()
        try:
            yield webhook
        finally:
            await webhook.down()


@asynccontextmanager
async def judged(folder: Path, real: RealCluster, judge: Judge, kind: str) -> AsyncIterator[tuple[World, Webhook]]:
    """`shop/web` and `shop/other` synced, before the webhook is registered and in force."""
    async with serving(folder, judge) as webhook, standing(folder, access=real.access) as world:
        world.repository.write(
            {
                ".kedge/shop.yaml": PROJECT,
                ".kedge/web.yaml": application("web"),
                ".kedge/other.yaml": application("other"),
                **folder_of("web", "hello"),
                **folder_of("other", "hello"),
                "apps/web/beside.yaml": config("hello", "beside"),
            }
        )
        begun = world.pushed("begin")
        await world.synced("shop/web", begun)
        await world.synced("shop/other", begun)
        plural = {"ValidatingWebhookConfiguration": "validating", "MutatingWebhookConfiguration": "mutating"}[kind]
        await world.call("POST", f"{HOOKS}/{plural}webhookconfigurations", webhook.registered(kind))
        await in_force(world, webhook)
        yield world, webhook


async def in_force(world: World, webhook: Webhook) -> None:
    """Until the API server asks it; then what was asked so far is forgotten."""

    async def asked() -> bool:
        with contextlib.suppress(AssertionError):
            await world.call("PATCH", f"{MAPS}/web?dryRun=All", {"metadata": {"labels": {"probe": "x"}}}, MERGE)
        return bool(webhook.asked)

    await world.eventually(asked)
    webhook.asked.clear()


VALIDATING, MUTATING = "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"


def no_halves(found: dict[str, Any]) -> dict[str, Any]:
    if found["data"]["greeting"] != "half":
        return {}
    return {"allowed": False, "status": {"code": 403, "message": "nothing is done by halves here"}}


async def test_what_a_webhook_denies_is_told_in_its_own_words_before_anything_is_applied(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    async with judged(tmp_path, real_cluster, no_halves, VALIDATING) as (world, webhook):
        world.repository.write({"apps/web/config.yaml": config("half"), "apps/web/beside.yaml": config("x", "beside")})
        world.repository.write(folder_of("other", "goodbye"))
        pushed = world.pushed("half")
        await world.synced("shop/other", pushed)
        await world.until("shop/web", lambda d: d.plan is not None and bool(d.plan.blocked))
        for words in (("get", "web"), ("diff", "web"), ("history", "web", "--events")):
            shown = await world.said("nothing is done by halves here", *words)
            assert "judge.example.com" in shown, shown
        assert await world.greeting("web", "beside") == "hello"
        assert [asked["name"] for asked in webhook.asked if not asked["dryRun"]] == []
        world.repository.write({"apps/web/config.yaml": config("whole")})
        await world.synced("shop/web", world.pushed("whole"))
        assert await world.greeting("web", "beside") == "x"


async def test_a_webhook_that_is_down_is_told_and_passes_when_it_is_back(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    async with judged(tmp_path, real_cluster, no_halves, VALIDATING) as (world, webhook):
        await webhook.down()
        world.repository.write({"apps/web/config.yaml": config("goodbye"), **folder_of("other", "goodbye")})
        pushed = world.pushed("goodbye")
        await world.synced("shop/other", pushed)
        for words in (("get", "web"), ("history", "web", "--events")):
            shown = await world.said('failed calling webhook "judge.example.com"', *words)
            assert "namespaces/web/configmaps/web" in shown, shown
            assert "look at what serves the webhook" in shown, shown
        assert await world.greeting("web") == "hello"
        # A newer commit does not need it: it gets through, for what others are asked about is as it was.
        world.repository.write({"apps/web/config.yaml": config("hello"), "apps/web/beside.yaml": config("x", "beside")})
        await world.synced("shop/web", world.pushed("something else"))
        assert await world.greeting("web", "beside") == "x"
        world.repository.write({"apps/web/config.yaml": config("goodbye")})
        pushed = world.pushed("goodbye again")
        await world.said("failed calling webhook", "get", "web")
        await webhook.up()
        await world.synced("shop/web", pushed)
        assert await world.greeting("web") == "goodbye"


def stamped(found: dict[str, Any]) -> dict[str, Any]:
    """Adds a label, an annotation and an entry of the data, as injectors do."""
    added = [{"op": "add", "path": "/data/injected", "value": "by the webhook"}]
    for where in ("labels", "annotations"):
        if where not in found["metadata"]:
            added.append({"op": "add", "path": f"/metadata/{where}", "value": {}})
        added.append({"op": "add", "path": f"/metadata/{where}/injected", "value": "yes"})
    return patched(*added)


async def quiet(world: World, webhook: Webhook, commit: str, *, overruled: bool = False) -> None:
    """After the unit is applied, nobody writes again: not on a look at everything, nor with the next commit."""
    there = world.applied if overruled else world.synced
    await there("shop/web", commit)
    runs = len(await world.house.doors.store.operations("shop/web"))
    written = webhook.written
    world.house.shift.turns.ring("shop/web", Lane.SWEEP)
    world.repository.write({"apps/web/beside.yaml": config("again", "beside")})
    dossier = await there("shop/web", world.pushed("another object"))
    assert [str(outcome.step) for outcome in dossier.last.outcomes] == ["Sync:/ConfigMap/web/beside"]
    assert len(await world.house.doors.store.operations("shop/web")) == runs + 1
    assert webhook.written == written


async def test_what_a_webhook_adds_is_left_alone(tmp_path: Path, real_cluster: RealCluster) -> None:
    async with judged(tmp_path, real_cluster, stamped, MUTATING) as (world, webhook):
        world.repository.write({"apps/web/config.yaml": config("goodbye")})
        await quiet(world, webhook, world.pushed("goodbye"))
        live = await world.call("GET", f"{MAPS}/web")
        assert live["data"] == {"greeting": "goodbye", "injected": "by the webhook"}
        assert live["metadata"]["annotations"]["injected"] == "yes"


def overruled(found: dict[str, Any]) -> dict[str, Any]:
    return patched({"op": "replace", "path": "/data/greeting", "value": "as I say"})


async def test_a_webhook_that_overrules_git_is_told_and_not_fought(tmp_path: Path, real_cluster: RealCluster) -> None:
    async with judged(tmp_path, real_cluster, overruled, MUTATING) as (world, webhook):
        world.repository.write({"apps/web/config.yaml": config("goodbye")})
        await quiet(world, webhook, world.pushed("goodbye"), overruled=True)
        assert await world.greeting("web") == "as I say"
        for words in (("get",), ("get", "web")):
            shown = await world.said("data.greeting", *words)
            assert "ConfigMap web/web: the cluster makes data.greeting otherwise than Git states" in shown, shown
            assert "OutOfSync" in shown
            assert "Healthy" in shown
        # Who waits for it to be applied and healthy waits for no more, and what comes after it goes on.
        assert (await world.kedge("wait", "web", "--timeout", "1m")).code == 0
        world.repository.write({".kedge/other.yaml": application("other", "  after: [app/web]\n")})
        world.repository.write(folder_of("other", "goodbye"))
        await world.synced("shop/other", world.pushed("after it"))
        assert await world.greeting("other") == "goodbye"
        await world.call("DELETE", f"{HOOKS}/mutatingwebhookconfigurations/test")
        world.repository.write({"apps/web/config.yaml": config("hello again")})
        await world.synced("shop/web", world.pushed("hello again"))
        assert "otherwise" not in (await world.kedge("get")).out


def side_effects(request: Request) -> Outcome | None:
    """For the sandbox: what it is asked about can not be tried."""
    if request.query.get("dryRun") != "All" or not request.path.endswith("/configmaps/web"):
        return None
    text = 'admission webhook "judge.example.com" does not support dry run'
    return Outcome(Problem(400, "BadRequest", text).response())


@asynccontextmanager
async def forbidding(folder: Path, place: str, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A webhook whose side effects are Some. No server takes such a configuration any more (version v1 refuses it),
    but those of old clusters are still in force: in the database, where this one is put."""
    if place == "sandbox":
        async with standing(folder) as world:
            world.cluster.meet = side_effects
            yield world
        return
    real: RealCluster = request.getfixturevalue("real_cluster")
    async with serving(folder, lambda found: {}) as webhook, standing(folder, access=real.access) as world:
        document = webhook.registered(VALIDATING)
        document["webhooks"][0]["sideEffects"] = "Some"
        born = {"uid": "11111111-2222-3333-4444-555555555555", "creationTimestamp": "2020-01-01T00:00:00Z"}
        document["metadata"] |= born
        real.etcd.put("validatingwebhookconfigurations", "test", document)
        await world.call("POST", "/api/v1/namespaces", {"metadata": {"name": "web"}})

        async def in_the_way() -> bool:
            try:
                await world.call("POST", f"{MAPS}?dryRun=All", {"metadata": {"name": "web"}})
            except AssertionError as refused:
                return "does not support dry run" in str(refused)
            return False

        await world.eventually(in_the_way)
        yield world


@pytest.mark.parametrize("place", ["sandbox", "real"])
async def test_what_a_webhook_forbids_to_try_counts_as_rendered_is_applied_once_and_left_alone(
    tmp_path: Path, place: str, request: pytest.FixtureRequest
) -> None:
    async with forbidding(tmp_path, place, request) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        world.repository.write({**folder_of("web", "hello"), "apps/web/beside.yaml": config("hello", "beside")})
        await world.synced("shop/web", world.pushed("begin"))
        more = config("goodbye, more: x")
        world.repository.write({"apps/web/config.yaml": more, ".kedge/web.yaml": application("web", WAITING)})
        pushed = world.pushed("goodbye")
        shown = await world.said("goodbye", "diff", "web")
        assert "does not support dry run" in shown, shown
        assert "as rendered: the cluster can not try it" in shown, shown
        await world.kedge("sync", "web", "-y")
        await world.synced("shop/web", pushed)
        assert await world.greeting("web") == "goodbye"

        # Nobody applies it again: not on looks at everything, nor with the next commit.
        for number in range(2):
            world.repository.write({"apps/web/beside.yaml": config(f"again {number}", "beside")})
            world.house.shift.turns.ring("shop/web", Lane.SWEEP)
            dossier = await applied_by_hand(world, world.pushed("another object"))
            assert [str(outcome.step) for outcome in dossier.last.outcomes] == ["Sync:/ConfigMap/web/beside"]

        # A field that Git states no longer goes, and what a person changes goes as well.
        world.repository.write({"apps/web/config.yaml": config("goodbye"), ".kedge/web.yaml": application("web")})
        await world.synced("shop/web", world.pushed("a field less"))
        assert (await world.call("GET", f"{MAPS}/web"))["data"] == {"greeting": "goodbye"}
        edit = {"data": {"greeting": "edited", "byhand": "x"}}
        await world.call("PATCH", f"{MAPS}/web?fieldManager=kubectl-edit", edit, MERGE)

        async def repaired() -> bool:
            return bool((await world.call("GET", f"{MAPS}/web"))["data"] == {"greeting": "goodbye"})

        await world.eventually(repaired)
        runs = len(await world.house.doors.store.operations("shop/web"))
        world.house.shift.turns.ring("shop/web", Lane.SWEEP)
        await world.synced("shop/web")
        await world.kedge("sync", "web", "-y")
        assert len(await world.house.doors.store.operations("shop/web")) == runs


WAITING = "  sync: {auto: false}\n"


async def applied_by_hand(world: World, commit: str) -> Dossier:
    await world.until("shop/web", lambda d: d.head is not None and d.head.commit == commit and d.plan is not None)
    await world.kedge("sync", "web", "-y")
    return await world.synced("shop/web", commit)
