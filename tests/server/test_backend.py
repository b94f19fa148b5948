"""The state backend as a tool meets it over HTTP; what it decides is told by `tests/contracts/test_states.py`."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import md5

import pytest
from tests.doors.statefiles import Run, lock_info, resource, run_of, statefile
from tests.server.driver import TOKEN, Answer, Client, Fakes, running

from kedge.control.states.backend import LARGEST_INFO
from kedge.model.state import LARGEST_STATE

PATH = "/state/shop/db"
CANARY = "canary-7f3a-secret"


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


class Tool:
    """A run's tool: it asks with its own token."""

    def __init__(self, client: Client, run: Run) -> None:
        self.client, self.run = client, run

    async def ask(self, method: str, body: bytes = b"", *, path: str = PATH, **headers: str) -> Answer:
        sent = {
            "content-type": "application/json",
            "authorization": basic(self.run.execution, self.run.token),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return await self.client.ask(method, path, body=body, headers=sent, token=None)

    async def post(self, content: bytes, id: str = "lock-1", **headers: str) -> Answer:
        return await self.ask("POST", content, path=f"{PATH}?ID={id}", **headers)


@pytest.fixture
async def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
async def tool(fakes: Fakes) -> AsyncIterator[Tool]:
    async with running(fakes) as client:
        yield Tool(client, await run_of(fakes.states).granted())


async def other(tool: Tool, fakes: Fakes, *, unit: str = "shop/db", write: bool = True) -> Tool:
    return Tool(tool.client, await run_of(fakes.states, "run-2", unit).granted(write=write))


async def test_a_whole_apply(tool: Tool) -> None:
    assert (await tool.ask("GET")).status == 204
    assert (await tool.ask("LOCK", lock_info())).status == 200
    content = statefile(1, resource())
    checksum = b64encode(md5(content).digest()).decode()
    assert (await tool.post(content, content_md5=checksum)).status == 200
    assert (await tool.ask("UNLOCK", lock_info())).status == 200
    got = await tool.ask("GET")
    assert (got.status, got.body) == (200, content)
    assert got.headers["cache-control"] == "no-store"


async def test_a_lock_that_is_taken_is_answered_with_the_words_of_whoever_has_it(tool: Tool, fakes: Fakes) -> None:
    await tool.ask("LOCK", lock_info("lock-1"))
    refused = await (await other(tool, fakes)).ask("LOCK", lock_info("lock-2"))
    assert (refused.status, refused.json) == (423, json.loads(lock_info("lock-1")))
    assert (await tool.ask("LOCK", lock_info("lock-1"))).status == 200


async def test_a_write_after_the_lock_was_broken_is_a_conflict(tool: Tool, fakes: Fakes) -> None:
    await tool.ask("LOCK", lock_info("lock-1"))
    await tool.ask("UNLOCK", b"")
    assert (await tool.post(statefile(1))).status == 409
    thief = await other(tool, fakes)
    await thief.ask("LOCK", lock_info("lock-2"))
    assert (await tool.post(statefile(1))).status == 409
    assert (await tool.post(statefile(1), "lock-2")).status == 409
    assert (await tool.ask("UNLOCK", lock_info("lock-2"))).status == 409
    assert (await thief.post(statefile(1), "lock-2")).status == 200


async def test_a_reading_token_only_reads(tool: Tool, fakes: Fakes) -> None:
    await tool.ask("LOCK", lock_info())
    await tool.post(statefile(1))
    reader = await other(tool, fakes, write=False)
    assert (await reader.ask("GET")).status == 200
    refused = [
        await reader.ask("LOCK", lock_info()),
        await reader.ask("UNLOCK", lock_info()),
        await reader.post(statefile(2)),
        await reader.ask("DELETE"),
    ]
    assert [answer.status for answer in refused] == [403] * 4


async def test_the_holder_may_delete_and_nobody_else(tool: Tool, fakes: Fakes) -> None:
    assert (await tool.ask("DELETE")).status == 409
    await tool.ask("LOCK", lock_info())
    await tool.post(statefile(1))
    assert (await (await other(tool, fakes)).ask("DELETE")).status == 409
    assert (await tool.ask("DELETE")).status == 200
    assert (await tool.ask("GET")).status == 204


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + "QQ" * 5000,
        b"Basic \xff".decode("latin-1"),
        basic("run-1", ""),
        basic("run-1", "wrong"),
        basic("", ""),
        basic("run-9", "x" * 64),
        basic("run-1\0", "x"),
        f"Bearer {TOKEN}",
    ],
)
async def test_without_the_token_of_a_run_nothing_is_told(tool: Tool, authorization: str) -> None:
    for method in ("GET", "POST", "DELETE", "LOCK", "UNLOCK"):
        refused = await tool.ask(method, b"{}", authorization=authorization)
        assert (method, refused.status) == (method, 401)
        assert refused.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "path",
    [
        "/state/shop/other",
        "/state/shop/db@prod",
        "/state/shop/db?environment=prod",
        "/state/shop/..",
        "/state/shop/%2e%2e",
        "/state/shop/db/",
        "/state/shop/db/x",
        "/state//db",
        "/state/shop/DB",
        "/state/shop/db%00",
        "/state/SHOP/db",
    ],
)
async def test_a_token_opens_no_other_path(tool: Tool, path: str) -> None:
    for method in ("GET", "POST", "LOCK"):
        assert (await tool.ask(method, b"{}", path=path)).status in (307, 401, 404, 405, 422)
    assert (await tool.ask("GET")).status == 204


async def test_a_revoked_token_opens_nothing(tool: Tool, fakes: Fakes) -> None:
    await fakes.states.revoke("run-1")
    assert (await tool.ask("GET")).status == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"not json " + CANARY.encode(), 422),
        (b'{"serial": "' + CANARY.encode() + b'"}', 422),
        (b"[" * 1_000_000, 422),
        (b"x" * (LARGEST_STATE + 1), 422),
        (b"\x00\xff" * 100, 422),
    ],
)
async def test_what_is_no_state_is_refused_and_not_quoted(tool: Tool, body: bytes, status: int) -> None:
    await tool.ask("LOCK", lock_info())
    refused = await tool.post(body)
    assert refused.status == status
    assert CANARY.encode() not in refused.body
    assert (await tool.ask("GET")).status == 204


@pytest.mark.parametrize("checksum", ["AAAAAAAAAAAAAAAAAAAAAA==", "not base64!", "AA==", "é"])
async def test_a_state_that_arrived_otherwise_than_it_was_sent_is_refused(tool: Tool, checksum: str) -> None:
    await tool.ask("LOCK", lock_info())
    assert (await tool.post(statefile(1), content_md5=checksum)).status == 422


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"ID": 1}', b'{"ID": ""}', b"\xff", b'{"ID": "' + b"x" * LARGEST_INFO + b'"}']
)
async def test_what_is_no_lock_is_refused(tool: Tool, fakes: Fakes, body: bytes) -> None:
    assert (await tool.ask("LOCK", body)).status == 422
    assert (await fakes.states.store.facts("shop/db")).lock is None


async def test_a_body_that_says_it_is_too_large_is_not_read(tool: Tool) -> None:
    refused = await tool.post(b"{}", content_length=str(LARGEST_STATE + 1))
    assert refused.status == 413


async def test_no_answer_holds_the_token(tool: Tool) -> None:
    await tool.ask("LOCK", lock_info())
    answers = [await tool.ask("GET"), await tool.post(b"x"), await tool.post(statefile(1)), await tool.ask("LOCK")]
    assert all(tool.run.token.encode() not in answer.body for answer in answers)
    assert all(tool.run.token not in str(answer.headers) for answer in answers)


async def test_what_a_run_may_a_person_may_not_with_its_token_and_the_other_way_round(tool: Tool) -> None:
    asked = await tool.client.get("/api/v1/units", token=tool.run.token)
    assert asked.status == 401
