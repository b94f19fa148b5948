"""Controllers that real clusters have and these lack: load balancers, ingresses and gateways, Argo CD and its Rollouts.

They report as the real ones do, and do nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.e2e.world import asked

from kedge.kube.kubeconfig import Access

MERGE = "application/merge-patch+json"
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


def accepted(*types: str) -> Report:
    """Whoever looks after the kind says yes to everything."""

    def report(found: dict[str, Any]) -> dict[str, Any] | None:
        seen = found["metadata"]["generation"]
        given = [{"type": type, "status": "True", "reason": type, "observedGeneration": seen} for type in types]
        told = {"conditions": [{**each, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"} for each in given]}
        return None if found.get("status") == told else {"status": told}

    return report


CLUSTER = "/apis/{0}/{1}/{{1}}/status"
NAMESPACED = "/apis/{0}/namespaces/{{0}}/{1}/{{1}}"
ARGO, GATEWAY, CERTIFICATES = "argoproj.io/v1alpha1", "gateway.networking.k8s.io/v1", "cert-manager.io/v1"
KINDS: dict[str, tuple[str, Report]] = {
    "/api/v1/services": ("/api/v1/namespaces/{}/services/{}/status", balanced),
    "/apis/networking.k8s.io/v1/ingresses": ("/apis/networking.k8s.io/v1/namespaces/{}/ingresses/{}/status", routed),
    f"/apis/{ARGO}/rollouts": (NAMESPACED.format(ARGO, "rollouts") + "/status", rolled_out),
    f"/apis/{ARGO}/applications": (NAMESPACED.format(ARGO, "applications"), synced),
    f"/apis/{CERTIFICATES}/clusterissuers": (CLUSTER.format(CERTIFICATES, "clusterissuers"), accepted("Ready")),
    f"/apis/{GATEWAY}/gatewayclasses": (CLUSTER.format(GATEWAY, "gatewayclasses"), accepted("Accepted")),
    f"/apis/{GATEWAY}/gateways": (
        NAMESPACED.format(GATEWAY, "gateways") + "/status",
        accepted("Accepted", "Programmed"),
    ),
}


@asynccontextmanager
async def controlled(access: Access) -> AsyncIterator[None]:
    """They are at work in a cluster until the end of the block."""
    task = asyncio.create_task(_work(access))
    try:
        yield
    finally:
        task.cancel()
        ended = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(ended[0], asyncio.CancelledError), ended


async def _work(access: Access) -> None:
    while True:
        for kind, (path, report) in KINDS.items():
            with suppress(AssertionError):  # what is refused is tried again, as controllers do
                found = await asked(access, "GET", kind)
                for each in found["items"] if found else ():
                    metadata, body = each["metadata"], report(each)
                    if body is not None:
                        place = path.format(metadata.get("namespace", ""), metadata["name"])
                        await asked(access, "PATCH", f"{place}?fieldManager=controller", body, MERGE)
        await asyncio.sleep(0.2)
