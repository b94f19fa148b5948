"""Whether anything has become of Pods that whoever follows logs should look at: new ones, and new runs of old ones.

Heard from a watch of the namespaces. Where Kedge may not watch Pods, there is news every few seconds: who knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from kedge.kube.answer import mapping
from kedge.kube.client import Client
from kedge.kube.watch import Interest, Watcher, WatchEvent, What

LOOK_AGAIN = 5.0
"""Seconds between two looks where nothing can be heard."""
STATES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


class PodNews:
    """`hear` one namespace in a task each, and `wait` for what they tell."""

    def __init__(self, client: Client, namespaces: Sequence[str]) -> None:
        self._client = client
        self._deaf = set(namespaces)
        self._bell = asyncio.Event()

    async def wait(self) -> None:
        """Until there is news."""
        patience = LOOK_AGAIN if self._deaf else None
        try:
            async with asyncio.timeout(patience):
                await self._bell.wait()
        except TimeoutError:
            return
        finally:
            self._bell.clear()

    async def hear(self, namespace: str) -> None:
        """Never ends by itself."""
        runs: dict[str, Any] = {}
        watcher = Watcher(self._client, Interest("", "Pod", namespace))
        async with aclosing(watcher.events()) as events:
            async for event in events:
                self._heard(namespace, event, runs)

    def _heard(self, namespace: str, event: WatchEvent, runs: dict[str, Any]) -> None:
        if event.what is What.LOST:
            self._deaf.add(namespace)
            self._bell.set()
            return
        if event.what is What.SYNCED:
            self._deaf.discard(namespace)
            self._bell.set()  # what came before the watch began
        uid = str(mapping(event.object.get("metadata")).get("uid") or "")
        if event.what is What.DELETED:
            runs.pop(uid, None)
        elif uid and runs.get(uid) != (now := runs_of(event.object)):
            runs[uid] = now
            self._bell.set()


def runs_of(pod: Mapping[str, Any]) -> tuple[Any, ...]:
    """What differs from start to start of a Pod's containers."""
    status = mapping(pod.get("status"))
    states = [state for part in STATES for state in status.get(part) or () if isinstance(state, dict)]
    return tuple(
        (state.get("name"), state.get("restartCount"), "waiting" in mapping(state.get("state"))) for state in states
    )
