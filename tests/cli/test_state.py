"""`kedge state` over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.calling import Living, living
from tests.doors.memory_states import MemoryStateStore
from tests.doors.statefiles import output, resource, run_of, statefile
from tests.server.driver import READER, Fakes

CANARY = "canary-7f3a-secret"
ONE = statefile(1, resource("a"), outputs={"password": output(CANARY, sensitive=True), "url": output("x")})
TWO = statefile(2, resource("a", {"attributes": {"id": "a2"}}), resource("b"), outputs={"url": output("ü\u202e")})


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Living]:
    fakes = Fakes()

    async def begin() -> None:
        await (await run_of(fakes.states).granted()).applied(ONE, TWO)

    asyncio.run(begin())
    with living(fakes, tmp_path) as found:
        yield found


def newest(live: Living) -> bytes:
    store = live.fakes.states.store
    assert isinstance(store, MemoryStateStore)
    return store.kept["shop/db"][-1][1].content


def test_states_and_versions_are_listed(live: Living) -> None:
    assert live.kedge("state", "list", "-o", "name").out == "shop/db\n"
    assert "shop/db  2        2       2" in live.kedge("state", "list").out
    assert live.kedge("state", "versions", "shop/db", "-o", "name").out == "2\n1\n"
    assert "written" in live.kedge("state", "versions", "shop/db").out


def test_a_state_is_shown_without_secrets(live: Living) -> None:
    shown = live.kedge("state", "show", "shop/db", "--version", "1")
    assert CANARY not in shown.out + shown.err
    assert shown.out.splitlines()[1:] == ['output.url = "x"', "aws_s3_bucket.a"]
    assert shown.out.startswith('output.password = "++++++++ (')
    one = live.kedge("state", "show", "shop/db", "aws_s3_bucket.a")
    assert one.out == 'aws_s3_bucket.a\n  id = "a2"\n'
    assert "\u202e" not in live.kedge("state", "show", "shop/db").out


def test_a_diff_says_what_differs_and_so_does_its_exit_code(live: Living) -> None:
    found = live.kedge("state", "diff", "shop/db")
    assert found.code == 1
    assert found.out.splitlines()[:3] == ["~ aws_s3_bucket.a", '    id: "a" → "a2"', "+ aws_s3_bucket.b"]
    assert live.kedge("state", "diff", "shop/db", "2", "2").code == 0
    assert CANARY not in found.out


def test_a_pull_is_byte_for_byte(live: Living) -> None:
    assert live.kedge("state", "pull", "shop/db", "--version", "1").out == ONE.decode()
    assert live.kedge("state", "pull", "shop/db").out == TWO.decode()


def test_a_push_says_what_it_will_do_and_asks(live: Living, tmp_path: Path) -> None:
    file = tmp_path / "moved.tfstate"
    file.write_bytes(statefile(3, resource("c")))
    tried = live.kedge("state", "push", "shop/db", str(file), "--dry-run")
    assert "would do this to the state of shop/db: pushed serial 3 with 1 resource" in tried.err
    assert live.kedge("state", "push", "shop/db", str(file)).code == 2
    assert newest(live) == TWO
    assert live.kedge("state", "push", "shop/db", str(file), "-y").code == 0
    assert newest(live) == statefile(3, resource("c"))
    with_input = live.kedge("state", "push", "shop/db", "-", "-y", "--force", "--reason", "x")
    assert with_input.code == 2


def test_a_rollback_shows_the_difference_first_and_wants_a_reason(live: Living) -> None:
    assert live.kedge("state", "rollback", "shop/db", "1", "-y").code == 2
    tried = live.kedge("state", "rollback", "shop/db", "1", "--dry-run")
    assert "- aws_s3_bucket.b" in tried.out
    assert newest(live) == TWO
    done = live.kedge("state", "rollback", "shop/db", "1", "-y", "--reason", "it was better")
    assert "rolled back to version 1: serial 3 with 1 resource; it is version 3" in done.err
    assert live.kedge("state", "rollback", "shop/db", "9", "-y", "--reason", "x").code == 2


def test_a_lock_names_its_holder_and_is_broken_only_by_force_while_that_may_live(live: Living) -> None:
    async def lock() -> None:
        await (await run_of(live.fakes.states, "run-2").granted()).lock()

    asyncio.run_coroutine_threadsafe(lock(), live.loop).result(10)
    assert "locked by run-2 (OperationTypeApply, kedge@runner)" in live.kedge("state", "versions", "shop/db").err
    refused = live.kedge("state", "unlock", "shop/db", "-y")
    assert (refused.code, "not known to be over" in refused.err) == (2, True)
    assert live.kedge("state", "unlock", "shop/db", "--force", "-y").code == 2
    assert live.kedge("state", "unlock", "shop/db", "--force", "-y", "--reason", "it hangs").code == 0
    assert "is not locked" in live.kedge("state", "unlock", "shop/db", "-y").err


def test_what_is_not_permitted_ends_with_6(live: Living) -> None:
    assert live.kedge("state", "pull", "shop/db", env={"KEDGE_TOKEN": READER}).code == 6
