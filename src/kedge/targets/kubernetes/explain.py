"""Why a workload is not healthy: its Pods know, and are asked only then.

One task a cluster: unhealthy workloads wait in a queue by time, each is asked about again after a growing pause, and
what its worst Pod says becomes part of the workload's sentence.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Mapping
from typing import Any

from kedge.engine.health import judge
from kedge.engine.health.read import whole
from kedge.kube.client import Client
from kedge.model.errors import KedgeError
from kedge.model.health import Status
from kedge.model.ref import Ref
from kedge.targets.kubernetes.index import Index
from kedge.targets.kubernetes.slot import Slot

WORKLOADS = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet"), ("batch", "Job")}
)
FIRST, LONGEST = 1.0, 30.0
_SOUND = (Status.HEALTHY, Status.SUSPENDED, Status.MISSING)


class Explainer:
    """Follows an index's unhealthy objects until they are well, or gone."""

    def __init__(self, client: Client, index: Index) -> None:
        self._client = client
        self._clock = client.clock
        self._index = index
        self._pauses: dict[Ref, float] = {}
        self._queue: list[tuple[float, Ref]] = []
        self._wake = asyncio.Event()
        index.changed = self.notice

    def notice(self, slot: Slot) -> None:
        """An object changed: ask soon when it is ill, and soon again although it was asked before."""
        if slot.health.status in _SOUND:
            self._pauses.pop(slot.ref, None)
        elif self._pauses.get(slot.ref) != FIRST:
            self._plan(slot.ref, FIRST)

    def _plan(self, ref: Ref, pause: float) -> None:
        self._pauses[ref] = pause
        heapq.heappush(self._queue, (self._clock.monotonic() + pause, ref))
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            due = self._queue[0][0] - self._clock.monotonic() if self._queue else None
            if due is None or due > 0:
                await self._rest(due)
                continue
            _, ref = heapq.heappop(self._queue)
            await self._ask(ref)

    async def _rest(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _ask(self, ref: Ref) -> None:
        slot, pause = self._index.get(ref), self._pauses.pop(ref, None)
        if slot is None or pause is None or slot.health.status in _SOUND:
            return
        self._index.rejudge(slot)
        if ref.group_kind in WORKLOADS and looked_at(workload := slot.object()):
            try:
                self._index.explain(ref, await self._sentence(slot, workload))
            except KedgeError as error:
                self._index.explain(ref, f"its Pods can not be read: {error}")
        if ref not in self._pauses:
            self._plan(ref, min(LONGEST, pause * 2))

    async def _sentence(self, slot: Slot, workload: Mapping[str, Any]) -> str:
        """The words of the workload's worst Pod; "" when no Pod has anything to say."""
        selector = selector_of(workload)
        kind = await self._client.discovery.find("", "Pod")
        if not selector or kind is None:
            return ""
        pods = await self._client.list(kind, slot.ref.namespace, labels=selector)
        now = self._clock.now()
        judged = [
            (judge(pod, now), pod) for pod in pods.items if not (pod.get("metadata") or {}).get("deletionTimestamp")
        ]
        ill = [(health, pod) for health, pod in judged if health.status not in _SOUND]
        if not ill:
            return ""
        health, pod = max(ill, key=lambda entry: entry[0].status.rank)
        more = sum(1 for other, _ in ill if other.status is health.status) - 1
        others = f" (and {more} more pods)" if more > 1 else " (and 1 more pod)" if more else ""
        return f"pod {(pod.get('metadata') or {}).get('name')}: {health.message}{others}"


def looked_at(workload: Mapping[str, Any]) -> bool:
    """Whether its controller has seen a workload as it is now: until then its Pods are of what it was."""
    if workload.get("kind") == "Job":
        return True  # its controller does not tell
    return whole(workload, "status", "observedGeneration") == whole(workload, "metadata", "generation")


def selector_of(workload: Mapping[str, Any]) -> str:
    """The label selector of a workload's Pods, "" where it has none that is simple: `a=b,c in (d,e)`."""
    spec = workload.get("spec")
    selector = spec.get("selector") if isinstance(spec, dict) else None
    if not isinstance(selector, dict):
        return ""
    labels = selector.get("matchLabels")
    parts = [f"{key}={value}" for key, value in sorted((labels if isinstance(labels, dict) else {}).items())]
    rules = selector.get("matchExpressions")
    for rule in rules if isinstance(rules, list) else []:
        parts.append(_rule(rule) if isinstance(rule, dict) else "")
    return ",".join(parts) if all(parts) else ""


def _rule(rule: Mapping[str, Any]) -> str:
    key, operator = rule.get("key"), rule.get("operator")
    values = rule.get("values")
    listed = ",".join(map(str, values)) if isinstance(values, list) else ""
    forms = {
        "In": f"{key} in ({listed})",
        "NotIn": f"{key} notin ({listed})",
        "Exists": f"{key}",
        "DoesNotExist": f"!{key}",
    }
    return forms.get(str(operator), "")
