"""Logs of a unit's Pods: which containers are meant, and their lines, one by one or, when followed, as they come.

A Pod or container that has no log says so in a line of its own, among those that have.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from kedge.kube.answer import mapping
from kedge.kube.podlog import NoLog, log_lines
from kedge.model.errors import Invalid, KedgeError
from kedge.model.family import LogLine, LogWish
from kedge.model.ref import Ref
from kedge.ports import Log
from kedge.spawn import Spawner
from kedge.targets.kubernetes.census import WORKLOADS
from kedge.targets.kubernetes.family import NAMESPACES, Kin, kinship, namespaces_of
from kedge.targets.kubernetes.naming import named
from kedge.targets.kubernetes.podnews import PodNews
from kedge.targets.kubernetes.site import Site

POD = ("", "Pod")
STREAMS = 60
"""Containers that one person reads at once."""
OPEN = 96
"""Streams in all: each is a connection, and those of a cluster are also what is applied through."""
HELD = 1_000
"""Lines that wait for a reader; then the containers' streams wait, too."""
PULSE = 1.0
"""Seconds of silence after which a follower is told that nobody has said anything."""
SHARE = 20
"""A look for new Pods is followed by a rest of so many times as long as it took."""


NOT_YET = "waits 0 "
"""The run of a container that has never begun: there is news when it does."""


@dataclass(frozen=True, slots=True)
class Container:
    """`run` differs from start to start of the same container."""

    pod: Ref
    name: str
    run: str = ""


class Places:
    """How many streams may still be opened."""

    def __init__(self, left: int = OPEN) -> None:
        self.left = left

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Whether there is a place; it is kept for the block."""
        found = self.left > 0
        self.left -= found
        try:
            yield found
        finally:
            self.left += found


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read for one person, and with what."""

    site: Site
    spawner: Spawner
    places: Places
    refs: Sequence[Ref]
    wish: LogWish


async def logs_of(reading: Reading) -> Log:
    """The lines that are wished for. Raises Invalid, before any line, when the wish names nothing of the unit's."""
    pods = await _pods(reading.site, reading.refs, reading.wish)
    containers = _containers(pods, reading.wish.container)
    if not containers and pods:
        raise Invalid(f"no Pod has a container “{reading.wish.container}”", hint=f"one of {', '.join(_names(pods))}")
    lines = _followed(_Following(reading), containers) if reading.wish.follow else _in_turn(reading, containers)
    return Log(len(containers) > 1, lines)


def _left_out(containers: Sequence[Container]) -> LogLine | None:
    more = len(containers) - STREAMS
    return LogLine("", "", f"{more} more containers are not read: name an object", note=True) if more > 0 else None


async def _pods(site: Site, refs: Sequence[Ref], wish: LogWish) -> list[tuple[Ref, Mapping[str, Any]]]:
    """Pods and their bodies, in order. Unusual makers of Pods are only looked for when the usual ones made none."""
    found = await kinship(site, refs, WORKLOADS)
    if not any(entry.child.ref.group_kind == POD for entry in found.kin):
        found = await kinship(site, refs)
    bodies = {entry.child.ref: entry.body for entry in found.kin if entry.child.ref.group_kind == POD}
    for ref in refs:
        if ref.group_kind == POD and found.sights[ref].exists:
            bodies[ref] = await site.get(ref) or {}
    meant = set(bodies)
    if wish.object:
        catalog = await site.client.discovery.catalog()
        chosen = set(named(wish.object, [*refs, *(entry.child.ref for entry in found.kin)], catalog))
        meant = {pod for pod in bodies if chosen & set(_upwards(pod, found.kin))}
    if not meant:
        what = f"“{wish.object}”" if wish.object else "the unit"
        raise Invalid(
            f"{what} has no Pods just now", hint="; ".join(found.notes) or "kedge tree NAME shows its objects"
        )
    return [(pod, bodies[pod]) for pod in sorted(meant)]


def _upwards(ref: Ref, kin: Iterable[Kin]) -> list[Ref]:
    owners = {entry.child.ref: entry.child.owner for entry in kin}
    line = [ref]
    while (above := owners.get(line[-1])) is not None and above not in line:
        line.append(above)
    return line


def _containers(pods: Iterable[tuple[Ref, Mapping[str, Any]]], name: str) -> list[Container]:
    return [Container(pod, one, _run(body, one)) for pod, body in pods for one in _of(body, name)]


def _of(pod: Mapping[str, Any], name: str) -> list[str]:
    """The containers that are meant: the one of that name, else all that stay. Those that only prepare the Pod count
    while it is being prepared."""
    spec, status = mapping(pod.get("spec")), mapping(pod.get("status"))
    first = _listed(spec.get("initContainers"))
    plain = [one["name"] for one in (*_listed(spec.get("containers")), *_listed(spec.get("ephemeralContainers")))]
    if name:
        return [one for one in (*plain, *(other["name"] for other in first)) if one == name]
    sidecars = [one["name"] for one in first if one.get("restartPolicy") == "Always"]
    if any("waiting" not in mapping(state.get("state")) for state in _listed(status.get("containerStatuses"))):
        return [*sidecars, *plain]
    begun = [state["name"] for state in _listed(status.get("initContainerStatuses")) if not _completed(state)]
    return [*(one for one in begun if one not in sidecars), *sidecars, *plain]


def _completed(state: Mapping[str, Any]) -> bool:
    return mapping(mapping(state.get("state")).get("terminated")).get("reason") == "Completed"


def _run(pod: Mapping[str, Any], name: str) -> str:
    status = mapping(pod.get("status"))
    for part in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for state in _listed(status.get(part)):
            if state["name"] == name:
                now = "waits" if "waiting" in mapping(state.get("state")) else "runs"
                return f"{now} {state.get('restartCount')} {state.get('containerID')}"
    return ""


def _listed(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("name"), str)]


def _names(pods: Iterable[tuple[Ref, Mapping[str, Any]]]) -> list[str]:
    return sorted({one["name"] for _, body in pods for one in _listed(mapping(body.get("spec")).get("containers"))})


def _query(container: Container, wish: LogWish) -> dict[str, str]:
    query = {"container": container.name}
    if wish.follow:
        query["follow"] = "true"
    if wish.previous:
        query["previous"] = "true"
    if wish.since is not None:
        query["sinceSeconds"] = str(max(1, int(wish.since)))
    if wish.tail is not None:
        query["tailLines"] = str(wish.tail)
    return query


async def _lines(reading: Reading, container: Container, wish: LogWish) -> AsyncGenerator[LogLine, None]:
    pod, name = container.pod, container.name
    with reading.places.taken() as free:
        if not free:
            yield LogLine(pod.name, name, f"{OPEN} logs are being read already: try again later", note=True)
            return
        try:
            query = _query(container, wish)
            async with aclosing(log_lines(reading.site.client, pod.namespace, pod.name, query)) as texts:
                async for text in texts:
                    yield LogLine(pod.name, name, text)
        except NoLog as error:
            yield LogLine(pod.name, name, str(error), note=True)
        except KedgeError as error:
            yield LogLine(pod.name, name, f"the log can not be read: {error}", note=True)


async def _in_turn(reading: Reading, containers: Sequence[Container]) -> AsyncIterator[LogLine]:
    for container in containers[:STREAMS]:
        async with aclosing(_lines(reading, container, reading.wish)) as lines:
            async for line in lines:
                yield line
    if note := _left_out(containers):
        yield note


class _Following:
    """Streams side by side into one queue, and a look for new Pods when there is news of any."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.queue: asyncio.Queue[LogLine] = asyncio.Queue(HELD)
        self._tasks: list[asyncio.Task[Any]] = []
        self._seen: set[Container] = set()

    def start(self, containers: Iterable[Container], wish: LogWish) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        for container in containers:
            if container not in self._seen and len(self._tasks) < STREAMS:
                self._seen.add(container)
                work = self._pump(container, wish)
                self._tasks.append(self.reading.spawner.start(work, f"log {container.pod.name}"))

    def watch(self) -> None:
        self._tasks.append(self.reading.spawner.start(self._look(), "log: new Pods"))

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def next(self) -> LogLine:
        """The next line; an empty note when there was none for a while."""
        try:
            async with asyncio.timeout(PULSE):
                return await self.queue.get()
        except TimeoutError:
            return LogLine("", "", "", note=True)

    async def _pump(self, container: Container, wish: LogWish) -> None:
        line = None
        async with aclosing(_lines(self.reading, container, wish)) as lines:
            async for line in lines:
                await self.queue.put(line)
        if line is None or not line.note:
            await self.queue.put(LogLine(container.pod.name, container.name, "the log has ended", note=True))

    async def _look(self) -> None:
        told, site, wish = "", self.reading.site, self.reading.wish
        clock, spaces = site.client.clock, namespaces_of(self.reading.refs)[:NAMESPACES]
        news = PodNews(site.client, spaces)
        self._tasks += [self.reading.spawner.start(news.hear(space), f"log: Pods of {space}") for space in spaces]
        while True:
            await news.wait()
            began = clock.monotonic()
            try:
                pods = await _pods(site, self.reading.refs, wish)
                # what begins while somebody looks on is of interest from its first line on
                begun = [one for one in _containers(pods, wish.container) if not one.run.startswith(NOT_YET)]
                self.start(begun, replace(wish, since=None, tail=None))
                told = ""
            except KedgeError as error:
                if str(error) != told:
                    told = str(error)
                    await self.queue.put(LogLine("", "", told, note=True))
            await clock.sleep(SHARE * (clock.monotonic() - began))


async def _followed(following: _Following, containers: Sequence[Container]) -> AsyncIterator[LogLine]:
    """Until whoever reads goes away."""
    following.start(containers, following.reading.wish)
    following.watch()
    try:
        if note := _left_out(containers):
            yield note
        while True:
            yield await following.next()
    finally:
        following.close()
