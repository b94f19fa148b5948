"""Rollouts that fail, for real: what comes later waits, the Deployment is named with what its controller says of it,
and a newer commit gets through. A Pod that finds one of KWOK's nodes is ready, and one that finds none waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stories import PROJECT, application, config, hasten
from tests.e2e.world import World, standing
from tests.parts.fixtures import RealCluster

from kedge.control.shift.queue import Lane

pytestmark = pytest.mark.e2e

DEPLOYMENTS = "/apis/apps/v1/namespaces/web/deployments"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    monkeypatch.setattr("kedge.engine.advance.SICK_GRACE", 0.5)


def deployment(image: str = "nginx:1", *, node: str = "", deadline: int = 600) -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 1
  progressDeadlineSeconds: {deadline}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      nodeSelector: {{{node}}}
      containers: [{{name: web, image: "{image}"}}]
"""


def later(greeting: str) -> str:
    """An object of the wave after the Deployment's."""
    return config(greeting, "later", ', annotations: {argocd.argoproj.io/sync-wave: "1"}')


def whole(greeting: str, **more: Any) -> dict[str, str | None]:
    return {"apps/web/deployment.yaml": deployment(**more), "apps/web/later.yaml": later(greeting)}


@asynccontextmanager
async def rolled_out(folder: Path, real: RealCluster) -> AsyncIterator[World]:
    """`shop/web`: a Deployment that is up, a ConfigMap of the next wave, and one that a commit may prune."""
    async with standing(folder, access=real.access) as world:
        world.repository.write({".kedge/shop.yaml": PROJECT, ".kedge/web.yaml": application("web")})
        world.repository.write({"apps/web/namespace.yaml": NAMESPACE, "apps/web/old.yaml": config("x", "old")})
        world.repository.write(whole("hello"))
        await world.synced("shop/web", world.pushed("begin"))
        yield world


async def test_a_rollout_that_fails_keeps_later_waves_and_prunes_back_and_is_named(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    async with rolled_out(tmp_path, real_cluster) as world:
        world.repository.write(
            {**whole("half", image="nginx:2", node="no: such", deadline=2), "apps/web/old.yaml": None}
        )
        world.pushed("onto a node that there is not")
        failed = await world.until("shop/web", lambda d: d.last is not None and d.last.result == "Failed")
        assert "apps/Deployment web/web" in failed.last.message, failed.last.message
        assert "progress" in failed.last.message, failed.last.message
        for words in (("get",), ("history", "web")):
            shown = await world.said("apps/Deployment web/web", *words)
            assert "progress" in shown, shown
        assert "Degraded" in await world.said("Degraded", "get", "web")

        # Trying again does not get past it either: not after the next failures, nor on a look at everything.
        world.house.shift.turns.ring("shop/web", Lane.SWEEP)
        again = await world.until("shop/web", lambda d: d.trouble is not None and d.trouble.attempts >= 3)
        assert again.shown.health.status == "Degraded"
        assert await world.greeting("web", "later") == "hello"
        assert await world.greeting("web", "old") == "x"

        # The old ReplicaSet still serves.
        live = await world.call("GET", f"{DEPLOYMENTS}/web")
        assert live["status"]["availableReplicas"] == 1
        assert live["status"]["updatedReplicas"] == 1

        # A newer commit that leaves the Deployment as it is does not get past it, one that mends it does.
        world.repository.write({"apps/web/later.yaml": later("still half")})
        world.pushed("something later")
        await world.until("shop/web", lambda d: d.trouble is not None and d.last.revision.subject == "something later")
        assert await world.greeting("web", "later") == "hello"
        world.repository.write(whole("goodbye", image="nginx:3"))
        await world.synced("shop/web", world.pushed("onto any node"))
        assert await world.greeting("web", "later") == "goodbye"
        assert await world.greeting("web", "old") is None


async def test_a_rollout_that_hangs_is_superseded_by_a_newer_commit_while_the_old_pods_serve(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    async with rolled_out(tmp_path, real_cluster) as world:
        world.repository.write(whole("half", image="nginx:2", node="no: such"))
        world.pushed("an image that never becomes ready")
        held = await world.until("shop/web", lambda d: d.operation is not None and "web/web" in d.operation.waiting)
        assert "apps/Deployment web/web" in held.shown.why
        assert held.shown.health.status == "Progressing"
        live = await world.call("GET", f"{DEPLOYMENTS}/web")
        assert live["status"]["availableReplicas"] == 1
        assert await world.greeting("web", "later") == "hello"
        world.repository.write(whole("goodbye", image="nginx:3"))
        await world.synced("shop/web", world.pushed("an image that does"))
        assert await world.greeting("web", "later") == "goodbye"
        runs = await world.house.doors.store.operations("shop/web")
        assert [(run.number, str(run.result)) for run in runs] == [
            (3, "Succeeded"),
            (2, "Superseded"),
            (1, "Succeeded"),
        ]


async def test_a_rollout_past_the_run_s_deadline_ends_the_run_and_is_gone_on_with_once_it_is_through(
    tmp_path: Path, real_cluster: RealCluster
) -> None:
    async with rolled_out(tmp_path, real_cluster) as world:
        world.repository.write({".kedge/web.yaml": application("web", "  sync: {timeout: 4s}\n")})
        world.repository.write(whole("goodbye", image="nginx:2", node="kedge: late"))
        commit = world.pushed("onto a node that comes later")
        failed = await world.until("shop/web", lambda d: d.last is not None and d.last.result == "Failed")
        assert "timed out after 4 s waiting for apps/Deployment web/web" in failed.last.message
        assert await world.greeting("web", "later") == "hello"
        nodes = (await world.call("GET", "/api/v1/nodes"))["items"]
        label = {"metadata": {"labels": {"kedge": "late"}}}
        await world.call(
            "PATCH", f"/api/v1/nodes/{nodes[0]['metadata']['name']}", label, "application/merge-patch+json"
        )
        try:
            await world.synced("shop/web", commit)
        finally:
            none = {"metadata": {"labels": {"kedge": None}}}
            node = f"/api/v1/nodes/{nodes[0]['metadata']['name']}"
            await world.call("PATCH", node, none, "application/merge-patch+json")
        assert await world.greeting("web", "later") == "goodbye"
