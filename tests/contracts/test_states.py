"""What the state backend does for the road and for runs, whatever keeps the states."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.doors.memory_states import MemoryStateStore
from tests.doors.statefiles import LINEAGE, Run, output, resource, run_of, statefile
from tests.store.opening import StillClock, opened

from kedge.control.states.backend import StateBackend
from kedge.model.errors import Conflict, Denied, Invalid, Unavailable
from kedge.model.event import Event
from kedge.model.installation import Installation
from kedge.model.output import Output
from kedge.model.state import LARGEST_STATE, Locked, Origin, StateFacts

DB = "shop/db"


@dataclass
class World:
    backend: StateBackend
    clock: StillClock
    events: Callable[[], Awaitable[list[Event]]]

    async def facts(self, execution: str = "") -> StateFacts:
        return await self.backend.store.facts(DB, execution)

    async def told(self) -> list[str]:
        return [event.kind for event in await self.events()]


@pytest.fixture(params=["threads", "inline", "memory"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    clock, key = StillClock(), Installation("inst", b"k" * 32, "key")
    if request.param == "memory":
        twin = MemoryStateStore()

        async def told() -> list[Event]:
            return twin.told

        yield World(StateBackend(twin, key, clock, lambda: "http://kedge"), clock, told)
        return
    store = opened(tmp_path / "kedge.db", threads=request.param == "threads", clock=clock)

    async def sealed() -> list[Event]:
        return list(await store.events())

    yield World(StateBackend(store.states, key, clock, lambda: "http://kedge"), clock, sealed)
    await store.close()


async def applied(world: World, *contents: bytes, execution: str = "run-1") -> Run:
    run = await run_of(world.backend, execution).granted()
    await run.applied(*contents)
    return run


async def test_a_unit_without_a_state_has_no_head(world: World) -> None:
    assert await world.backend.head(DB) is None
    assert await world.backend.read(DB) is None
    assert await world.facts() == StateFacts(DB)


async def test_what_a_run_wrote_is_read_back_byte_for_byte_and_its_head_tells_outputs_and_addresses(
    world: World,
) -> None:
    content = statefile(
        3,
        resource("b", {"index_key": 0}, {"index_key": 1}),
        resource("a", {"index_key": 'x"y'}, module='module.net["eu"]'),
        resource("read", mode="data"),
        outputs={"url": output({"b": 1, "a": [2**70, "ü"]}), "password": output("hunter2", sensitive=True)},
    )
    await applied(world, content)
    assert await world.backend.read(DB) == content
    head = await world.backend.head(DB)
    assert head is not None
    assert (head.unit, head.lineage, head.serial, head.at) == (DB, LINEAGE, 3, 1000.0)
    assert head.outputs == (
        Output("password", '"hunter2"', True),
        Output("url", f'{{"a":[{2**70},"ü"],"b":1}}'),
    )
    assert head.resources == (
        "aws_s3_bucket.b[0]",
        "aws_s3_bucket.b[1]",
        'module.net["eu"].aws_s3_bucket.a["x\\"y"]',
    )


async def test_every_version_is_kept_and_the_digest_moves_with_the_content(world: World) -> None:
    contents = [statefile(n, resource(f"r{n}")) for n in (1, 2, 3)]
    await applied(world, *contents)
    versions = await world.backend.store.versions(DB)
    assert [(v.number, v.serial, v.execution, v.origin) for v in versions] == [
        (n, n, "run-1", Origin.WRITTEN) for n in (3, 2, 1)
    ]
    assert len({version.digest for version in versions}) == 3
    assert [await world.backend.store.content(DB, n) for n in (1, 2, 3)] == contents
    assert [version.number for version in await world.backend.store.versions(DB, before=3, limit=1)] == [2]
    assert await world.backend.store.content(DB, 4) is None


async def test_a_large_state_is_kept_as_it_is(world: World) -> None:
    content = statefile(1, *(resource(f"r{n}", {"attributes": {"v": "x" * 500}}) for n in range(1000)))
    await applied(world, content)
    assert await world.backend.read(DB) == content
    head = await world.backend.head(DB)
    assert head is not None
    assert len(head.resources) == 1000


async def test_one_state_says_nothing_about_another(world: World) -> None:
    await applied(world, statefile(1))
    other = await run_of(world.backend, "run-2", "shop/db@prod").granted()
    await other.applied(statefile(7, lineage="another"))
    head = await world.backend.head(DB)
    assert head is not None
    assert head.serial == 1
    assert [line.newest.unit for line in await world.backend.store.everything()] == [DB, "shop/db@prod"]


async def test_the_same_execution_is_given_the_same_token_again_and_another_another(world: World) -> None:
    first = await world.backend.grant(DB, "run-1", write=True)
    assert first == await world.backend.grant(DB, "run-1", write=True)
    other = await world.backend.grant(DB, "run-2", write=True)
    assert first.token != other.token
    assert (first.address, first.user) == ("http://kedge/state/shop/db", "run-1")
    assert first.token not in repr(first)


async def test_an_execution_gets_no_second_kind_of_access(world: World) -> None:
    await world.backend.grant(DB, "run-1", write=False)
    with pytest.raises(Conflict):
        await world.backend.grant(DB, "run-1", write=True)
    with pytest.raises(Conflict):
        await world.backend.grant("shop/other", "run-1", write=False)


async def test_without_a_server_there_is_no_access(world: World) -> None:
    backend = StateBackend(world.backend.store, world.backend.installation, world.clock, lambda: "")
    with pytest.raises(Unavailable):
        await backend.grant(DB, "run-1", write=True)


async def test_a_token_opens_its_own_unit_for_its_own_execution_until_it_is_revoked(world: World) -> None:
    run = await run_of(world.backend).granted()
    admitted = world.backend.admitted
    assert await admitted(DB, "run-1", run.token) is not None
    assert await admitted("shop/db@prod", "run-1", run.token) is None
    assert await admitted(DB, "run-2", run.token) is None
    assert await admitted(DB, "run-1", run.token[:-1]) is None
    assert await admitted(DB, "run-1", "") is None
    assert await admitted(DB, "", "") is None
    await world.backend.revoke("run-1")
    assert await admitted(DB, "run-1", run.token) is None
    with pytest.raises(Conflict, match="is over"):
        await world.backend.grant(DB, "run-1", write=True)


async def test_a_reading_run_can_neither_lock_nor_write(world: World) -> None:
    run = await run_of(world.backend).granted(write=False)
    for act in (run.lock(), run.unlock(), run.write(statefile(1)), world.backend.delete(await run.grant(), "")):
        with pytest.raises(Denied, match="may only read"):
            await act


async def test_of_two_runs_one_gets_the_lock_and_the_other_is_told_who_has_it(world: World) -> None:
    one, two = await run_of(world.backend).granted(), await run_of(world.backend, "run-2").granted()
    answers = await asyncio.gather(one.lock(), two.lock(), return_exceptions=True)
    lost = [answer for answer in answers if isinstance(answer, Locked)]
    assert len(lost) == 1
    held = (await world.facts()).lock
    assert held is not None
    assert lost[0].lock == held
    assert (held.who, held.operation, held.since) == ("kedge@runner", "OperationTypeApply", 1000.0)


async def test_a_lock_asked_for_again_with_the_same_id_is_the_same_lock(world: World) -> None:
    run = await run_of(world.backend).granted()
    await run.lock()
    await run.lock()
    await run.unlock()
    await run.unlock()
    assert (await world.facts()).lock is None


async def test_a_run_lets_no_lock_go_but_its_own(world: World) -> None:
    one, two = await run_of(world.backend).granted(), await run_of(world.backend, "run-2").granted()
    await one.lock()
    with pytest.raises(Locked):
        await two.unlock()
    with pytest.raises(Locked):
        await world.backend.unlock(await two.grant(), b"")
    await world.backend.unlock(await one.grant(), b"")
    assert (await world.facts()).lock is None


async def test_nothing_is_written_without_the_lock(world: World) -> None:
    one, two = await run_of(world.backend).granted(), await run_of(world.backend, "run-2").granted()
    with pytest.raises(Conflict, match="does not hold the lock"):
        await one.write(statefile(1))
    await one.lock()
    with pytest.raises(Conflict, match="is locked by run-1"):
        await two.write(statefile(1))
    with pytest.raises(Conflict):
        await world.backend.write(await one.grant(), "", statefile(1))
    assert await world.backend.read(DB) is None


async def test_the_same_write_again_is_no_second_version(world: World) -> None:
    await applied(world, statefile(1), statefile(1))
    assert len(await world.backend.store.versions(DB)) == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (statefile(5, lineage="another"), "another lineage"),
        (statefile(3), "serial 3"),
        (statefile(4, resource("other")), "another content under serial 4"),
    ],
)
async def test_a_state_that_does_not_follow_is_refused(world: World, content: bytes, why: str) -> None:
    run = await applied(world, statefile(4))
    await run.lock()
    with pytest.raises(Conflict, match=why):
        await run.write(content)
    assert await world.backend.read(DB) == statefile(4)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        statefile(1, version=3),
        statefile(-1),
        statefile(2**64),
        statefile(1, lineage=""),
        statefile(1, lineage="l" * 1000),
        statefile(1)[:-10],
        b"\xff" + statefile(1),
        statefile(1).replace(b"1.12.6", b"\xff\xfe"),
        b'{"version":4,"serial":1,"lineage":"l","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"version":4,"serial":1,"lineage":"l","outputs":{"a":{"value":' + b"[" * 900 + b"]" * 900 + b"}}}" * 2,
        b" " * (LARGEST_STATE + 1),
    ],
)
async def test_what_is_no_state_is_refused_and_nothing_of_it_is_quoted(world: World, content: bytes) -> None:
    run = await run_of(world.backend).granted()
    await run.lock()
    with pytest.raises(Invalid) as refused:
        await run.write(content)
    assert "1.12.6" not in str(refused.value)
    assert await world.backend.read(DB) is None


async def test_a_checksum_that_does_not_fit_is_refused(world: World) -> None:
    run = await run_of(world.backend).granted()
    await run.lock()
    with pytest.raises(Invalid, match="MD5"):
        await world.backend.write(await run.grant(), run.id, statefile(1), b"0" * 16)


async def test_a_deleted_state_is_gone_its_versions_are_not_and_another_may_begin(world: World) -> None:
    run = await applied(world, statefile(4))
    await run.lock()
    await world.backend.delete(await run.grant(), "")
    assert await world.backend.read(DB) is None
    assert await world.backend.head(DB) is None
    await run.write(statefile(1, lineage="another"))
    assert await world.backend.read(DB) == statefile(1, lineage="another")
    assert await world.backend.store.content(DB, 1) == statefile(4)


async def test_revoking_breaks_the_lock_of_the_dead_and_says_so(world: World) -> None:
    run = await run_of(world.backend).granted()
    await run.lock()
    await run.write(statefile(1, resource()))
    await world.backend.revoke("run-1")
    await world.backend.revoke("run-1")
    assert (await world.facts()).lock is None
    assert await world.told() == ["state.lock-broken", "state.written"]
    await applied(world, statefile(2), execution="run-2")


async def test_revoking_an_execution_that_has_let_go_or_never_was_says_nothing(world: World) -> None:
    await applied(world, statefile(1))
    await world.backend.revoke("run-1")
    await world.backend.revoke("never-was")
    assert await world.told() == ["state.written"]


async def test_revoking_one_execution_leaves_the_lock_of_another(world: World) -> None:
    await run_of(world.backend).granted()
    other = await run_of(world.backend, "run-2").granted()
    await other.lock()
    await world.backend.revoke("run-1")
    held = (await world.facts()).lock
    assert held is not None
    assert held.execution == "run-2"


@pytest.mark.parametrize("revoked", [True, False])
async def test_what_a_run_could_not_send_is_brought_home(world: World, revoked: bool) -> None:
    run = await applied(world, statefile(1))
    await run.lock()
    if revoked:
        await world.backend.revoke("run-1")
    await world.backend.bring_home(DB, "run-1", statefile(4, resource()))
    await world.backend.bring_home(DB, "run-1", statefile(4, resource()))
    newest = (await world.facts()).newest
    assert newest is not None
    assert (newest.number, newest.serial, newest.origin, newest.execution) == (2, 4, Origin.BROUGHT_HOME, "run-1")


async def test_it_is_brought_home_over_what_the_same_run_wrote_before(world: World) -> None:
    run = await run_of(world.backend).granted()
    await run.lock()
    await run.write(statefile(1))
    await world.backend.bring_home(DB, "run-1", statefile(2, resource()))
    head = await world.backend.head(DB)
    assert head is not None
    assert head.serial == 2


async def test_nothing_is_brought_home_once_another_has_written_or_locked(world: World) -> None:
    run = await applied(world, statefile(1))
    await run.lock()
    await world.backend.revoke("run-1")
    other = await run_of(world.backend, "run-2").granted()
    await other.lock()
    with pytest.raises(Conflict, match="locked by run-2"):
        await world.backend.bring_home(DB, "run-1", statefile(9, resource()))
    await other.write(statefile(2))
    await other.unlock()
    for _ in range(2):
        with pytest.raises(Conflict, match=r"moved on to version 3 .* kept as version 2"):
            await world.backend.bring_home(DB, "run-1", statefile(9, resource()))
    assert await world.backend.read(DB) == statefile(2)


async def test_what_the_state_moved_on_without_is_kept_beside_it_and_disturbs_nobody(world: World) -> None:
    run = await applied(world, statefile(1))
    await run.lock()
    await world.backend.revoke("run-1")
    other = await run_of(world.backend, "run-2").granted()
    await other.lock()
    with pytest.raises(Conflict, match="kept as version 2"):
        await world.backend.bring_home(DB, "run-1", statefile(9, resource()))
    await other.write(statefile(2))
    await other.unlock()
    versions = await world.backend.store.versions(DB)
    assert [(v.number, v.origin) for v in versions] == [(3, Origin.WRITTEN), (2, Origin.LEFT), (1, Origin.WRITTEN)]
    assert await world.backend.store.content(DB, 2) == statefile(9, resource())
    head = await world.backend.head(DB)
    assert head is not None
    assert (head.serial, head.resources) == (2, ())
    (line,) = await world.backend.store.everything()
    assert line.newest.number == 3
    assert await world.told() == ["state.written", "state.lock-broken", "state.left-behind", "state.written"]


async def test_an_ended_execution_is_let_in_no_more_although_nobody_has_revoked_it_yet(world: World) -> None:
    run = await run_of(world.backend).granted()
    backend = replace(world.backend, over=lambda execution: execution == "run-1")
    assert await backend.admitted(DB, "run-1", run.token) is None


async def test_nothing_is_brought_home_of_a_run_that_never_had_the_lock(world: World) -> None:
    await run_of(world.backend).granted()
    with pytest.raises(Conflict, match="never held the lock"):
        await world.backend.bring_home(DB, "run-1", statefile(1))
    with pytest.raises(Invalid):
        await world.backend.bring_home(DB, "run-1", b"half a sta")
