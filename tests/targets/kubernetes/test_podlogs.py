"""Which containers are read, and what becomes of those who follow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import pytest
from tests.doors.kube_world import WEB, World, deployment, ref, staged

from kedge.kube.transport import Refused, Response
from kedge.model.errors import Invalid, Unavailable
from kedge.model.family import LogLine, LogWish
from kedge.targets.kubernetes.podlogs import _of

DEPLOYED = ref("Deployment", "web", group="apps")
FOLLOW = LogWish(follow=True, tail=3)


class Containers:
    """What containers write, by Pod; a stream stays open until its Pod's name is in `ended`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[Mapping[str, str]] = []
        self.open = 0
        self.ended: set[str] = set()
        self.refuse: str = ""
        world.transport.stream = self.stream

    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        pod = path.split("/")[-2]
        self.asked.append(query)
        if self.refuse:
            raise Refused(path, Response(400, {}, self.refuse.encode()))
        self.open += 1
        try:
            yield f"hello from {pod}\n".encode()
            while query.get("follow") and pod not in self.ended:
                await self.world.clock.sleep(0.5)
        finally:
            self.open -= 1


async def rolled_out(world: World) -> Containers:
    await world.deploy(deployment())
    await world.until(DEPLOYED, "Healthy")
    return Containers(world)


async def heard(world: World, wish: LogWish, enough: int, pulses: int = 0) -> list[LogLine]:
    """Lines until there are `enough` (and so many pulses), then the reader leaves."""
    lines: list[LogLine] = []
    log = await world.target.live.logs(WEB, (DEPLOYED,), wish)
    async with aclosing(log.lines) as source:
        async for line in source:
            if line.note and not line.text:
                pulses -= 1
            else:
                lines.append(line)
            if len(lines) >= enough and pulses <= 0:
                return lines
    return lines


@staged
async def test_a_reader_who_leaves_closes_every_stream(world: World) -> None:
    containers = await rolled_out(world)
    lines = await heard(world, FOLLOW, 2)
    assert {line.text for line in lines} == {f"hello from {line.pod}" for line in lines}
    await world.clock.sleep(1)
    assert containers.open == 0
    asked = len(containers.asked)
    await world.clock.sleep(60)
    assert len(containers.asked) == asked


@staged
async def test_a_pod_that_comes_while_somebody_follows_is_heard_from_its_first_line(world: World) -> None:
    containers = await rolled_out(world)
    log = await world.target.live.logs(WEB, (DEPLOYED,), FOLLOW)
    lines: list[LogLine] = []
    async with aclosing(log.lines) as source:
        async for line in source:
            lines += [] if line.note else [line]
            if len(lines) == 2:
                await world.target.live.restart(WEB, DEPLOYED)
                lines.append(line)
            if len(lines) == 5:
                break
    assert len({line.pod for line in lines}) == 4
    assert [query.get("tailLines") for query in containers.asked] == ["3", "3", None, None]


@staged
async def test_a_log_that_ends_says_so_and_is_not_read_again(world: World) -> None:
    containers = await rolled_out(world)
    pods = [child.ref.name for child in (await world.target.live.family(WEB, (DEPLOYED,))).children[1:]]
    containers.ended.add(pods[0])
    lines = await heard(world, FOLLOW, 3, pulses=20)
    assert [line.text for line in lines if line.pod == pods[0]] == [f"hello from {pods[0]}", "the log has ended"]
    assert len(containers.asked) == 2


@staged
async def test_a_kubelet_that_can_not_be_reached_is_a_note_for_each_container(world: World) -> None:
    containers = await rolled_out(world)
    containers.refuse = "dial tcp 10.0.0.1:10250: connection refused"
    lines = await heard(world, LogWish(), 9)
    assert [line.note for line in lines] == [True, True]
    assert {line.text for line in lines} == {containers.refuse}


@staged
async def test_a_cluster_that_is_gone_is_an_error_before_the_first_line(world: World) -> None:
    await rolled_out(world)
    world.transport.down = True
    with pytest.raises(Unavailable, match="connection refused"):
        await world.target.live.logs(WEB, (DEPLOYED,), LogWish())


@staged
async def test_a_unit_without_pods_says_so(world: World) -> None:
    await world.deploy(deployment(replicas=0))
    with pytest.raises(Invalid, match="the unit has no Pods just now"):
        await world.target.live.logs(WEB, (DEPLOYED,), LogWish())


def pod(states: Any = (), first: Any = (), **first_spec: Any) -> dict[str, Any]:
    return {
        "spec": {
            "initContainers": [{"name": "prepare"}, {"name": "proxy", "restartPolicy": "Always"}],
            "containers": [{"name": "web"}, "odd"],
            "ephemeralContainers": [{"name": "debug"}],
        },
        "status": {"containerStatuses": list(states), "initContainerStatuses": list(first)},
    }


WAITS: dict[str, Any] = {"state": {"waiting": {"reason": "PodInitializing"}}}
RUNS: dict[str, Any] = {"state": {"running": {}}}


def test_what_only_prepares_a_pod_is_read_while_it_does() -> None:
    preparing = pod([{"name": "web", **WAITS}], [{"name": "prepare", **RUNS}, {"name": "proxy", **WAITS}])
    assert _of(preparing, "") == ["prepare", "proxy", "web", "debug"]
    assert _of(pod([{"name": "web", **RUNS}], [{"name": "prepare", **RUNS}]), "") == ["proxy", "web", "debug"]


def test_a_container_is_read_by_its_name_whatever_it_is_for() -> None:
    for name in ("prepare", "proxy", "web", "debug"):
        assert _of(pod(), name) == [name]
    assert _of(pod(), "other") == []


def test_an_odd_pod_has_no_containers() -> None:
    assert _of({"spec": "odd", "status": 3}, "") == []


@staged
async def test_streams_are_counted_over_all_readers_and_come_free_again(world: World) -> None:
    containers = await rolled_out(world)
    world.target.live._places.left = 1
    lines = await heard(world, FOLLOW, 2)
    assert sorted(line.note for line in lines) == [False, True]
    assert any("logs are being read already" in line.text for line in lines)
    await world.clock.sleep(1)
    assert (containers.open, world.target.live._places.left) == (0, 1)
    assert [line.note for line in await heard(world, LogWish(), 9)] == [False, False]


@staged
async def test_a_reader_who_leaves_in_the_middle_of_a_log_closes_it(world: World) -> None:
    containers = await rolled_out(world)
    assert len(await heard(world, LogWish(), 1)) == 1
    assert (containers.open, len(containers.asked)) == (0, 1)


@staged
async def test_more_containers_than_one_person_can_read_are_counted(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kedge.targets.kubernetes.podlogs.STREAMS", 1)
        await rolled_out(world)
        for wish in (LogWish(), FOLLOW):
            lines = await heard(world, wish, 2)
            assert "1 more containers are not read: name an object" in [line.text for line in lines if line.note]


@staged
async def test_who_follows_in_a_quiet_cluster_asks_nothing_and_hears_of_a_pod_at_once(world: World) -> None:
    await rolled_out(world)
    log = await world.target.live.logs(WEB, (DEPLOYED,), FOLLOW)
    heard_at: list[float] = []
    pulses = 0
    async with aclosing(log.lines) as source:
        async for line in source:
            pulses += line.note
            if pulses == 30:
                asked = len(world.transport.calls())
                pulses += 1
            elif pulses == 90:
                assert len(world.transport.calls()) == asked, "half a minute and more without a question"
                await world.target.live.restart(WEB, DEPLOYED)
                heard_at.append(world.clock.monotonic())
                pulses += 1
            elif heard_at and not line.note:
                heard_at.append(world.clock.monotonic())
                break
    assert heard_at[1] - heard_at[0] < 4
