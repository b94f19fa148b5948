"""Controllers that real clusters have and these lack: load balancers, an ingress controller, Argo Rollouts, Argo CD.

They report as the real ones do, and do nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.e2e.world import World

ADDRESS = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}}
Report = Callable[[dict[str, Any]], dict[str, Any] | None]


def balanced(service: dict[str, Any]) -> dict[str, Any] | None:
    awaited = service["spec"].get("type") == "LoadBalancer" and not service["status"]["loadBalancer"].get("ingress")
    return ADDRESS if awaited else None


def routed(ingress: dict[str, Any]) -> dict[str, Any] | None:
    return None if ingress["status"]["loadBalancer"].get("ingress") else ADDRESS


def rolled_out(rollout: dict[str, Any]) -> dict[str, Any] | None:
    """As Argo Rollouts under a blue-green strategy: a new version pauses until somebody promotes it."""
    status, tag = rollout.get("status") or {}, rollout["spec"]["template"]["spec"]["containers"][0]["image"]
    seen = str(rollout["metadata"]["generation"])
    if status.get("stableRS") in (None, tag):
        wanted = {"phase": "Healthy", "currentPodHash": tag, "stableRS": tag, "pauseConditions": None}
    elif status.get("currentPodHash") != tag:
        paused = [{"reason": "BlueGreenPause", "startTime": "2026-01-01T00:00:00Z"}]
        wanted = {"phase": "Paused", "message": "BlueGreenPause", "currentPodHash": tag, "pauseConditions": paused}
    elif status.get("pauseConditions"):
        wanted = {}
    else:
        wanted = {"phase": "Healthy", "message": None, "stableRS": tag}
    wanted["observedGeneration"] = seen
    same = all(status.get(name) == value for name, value in wanted.items())
    return None if same else {"status": wanted}


def synced(application: dict[str, Any]) -> dict[str, Any] | None:
    """As Argo CD, which lets go of an application once it has deleted what is in it."""
    if application["metadata"].get("deletionTimestamp"):
        return {"metadata": {"finalizers": None}}
    said = {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}
    return None if application.get("status") == said else {"status": said}


KINDS: dict[str, tuple[str, Report]] = {
    "/api/v1/services": ("/api/v1/namespaces/{}/services/{}/status", balanced),
    "/apis/networking.k8s.io/v1/ingresses": ("/apis/networking.k8s.io/v1/namespaces/{}/ingresses/{}/status", routed),
    "/apis/argoproj.io/v1alpha1/rollouts": ("/apis/argoproj.io/v1alpha1/namespaces/{}/rollouts/{}/status", rolled_out),
    "/apis/argoproj.io/v1alpha1/applications": ("/apis/argoproj.io/v1alpha1/namespaces/{}/applications/{}", synced),
}


@asynccontextmanager
async def controlled(world: World) -> AsyncIterator[None]:
    """They are at work until the end of the block."""
    task = asyncio.create_task(_work(world))
    try:
        yield
    finally:
        task.cancel()
        ended = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(ended[0], asyncio.CancelledError), ended


async def _work(world: World) -> None:
    while True:
        for kind, (path, report) in KINDS.items():
            with suppress(AssertionError):  # what is refused is tried again, as controllers do
                found = await world.call("GET", kind)
                for each in found["items"] if found else ():
                    await _told(
                        world, path.format(each["metadata"]["namespace"], each["metadata"]["name"]), report(each)
                    )
        await asyncio.sleep(0.2)


async def _told(world: World, path: str, body: dict[str, Any] | None) -> None:
    if body is not None:
        await world.call("PATCH", f"{path}?fieldManager=controller", body, "application/merge-patch+json")
