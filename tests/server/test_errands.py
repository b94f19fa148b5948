"""What an execution elsewhere may ask: with its own token, and nothing of another's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from tests.server.driver import TOKEN, Answer, Client, Fakes, running

from kedge.model.errors import Conflict
from kedge.model.execution import LARGEST_WORD, Report, Task, Word
from kedge.server.desk import Desk

WORD = Word(Report("one", "shop/db", Task.PLAN, 1.0), b"a line\n")


@dataclass
class Told:
    """Executions that were claimed by a pod, and what was told of them."""

    heard: list[tuple[str, Word]] = field(default_factory=list)
    runner: str = ""

    def admitted(self, id: str, token: str) -> bool:
        return (id, token) == ("one", "token-of-one")

    async def claim(self, id: str, runner: str) -> bytes:
        if self.runner not in ("", runner):
            raise Conflict("another pod runs it")
        self.runner = runner
        return b'{"what": "to do"}'

    async def hear(self, id: str, word: Word) -> None:
        self.heard.append((id, word))


class WithErrands(Fakes):
    def __init__(self) -> None:
        super().__init__()
        self.told = Told()

    def desk(self) -> Desk:
        return replace(super().desk(), errands=self.told)


@pytest.fixture
async def fakes() -> WithErrands:
    return WithErrands()


@pytest.fixture
async def client(fakes: WithErrands) -> AsyncIterator[Client]:
    async with running(fakes) as one:
        yield one


async def ask(client: Client, what: str, body: Any, *, token: str = "token-of-one", id: str = "one") -> Answer:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.ask("POST", f"/executions/{id}/{what}", body=raw, headers=headers, token=None)


async def test_a_pod_is_told_what_to_do_and_tells_how_it_goes(client: Client, fakes: WithErrands) -> None:
    answer = await ask(client, "claim", {"runner": "a pod"})
    assert (answer.status, answer.body) == (200, b'{"what": "to do"}')
    assert answer.headers["cache-control"] == "no-store"
    assert (await ask(client, "word", msgspec.json.encode(WORD))).status == 204
    assert fakes.told.heard == [("one", WORD)]
    assert (await ask(client, "claim", {"runner": "another"})).status == 409


@pytest.mark.parametrize(("token", "id"), [("token-of-one", "two"), (TOKEN, "one"), ("", "one"), ("x" * 9_000, "one")])
async def test_no_other_token_opens_an_execution(client: Client, token: str, id: str) -> None:
    assert (await ask(client, "claim", {"runner": "a pod"}, token=token, id=id)).status == 401
    assert (await ask(client, "word", msgspec.json.encode(WORD), token=token, id=id)).status == 401


async def test_the_token_of_an_execution_opens_nothing_else(client: Client) -> None:
    assert (await client.get("/api/v1/units", token="token-of-one")).status == 401


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"report": {}}', b"\xff", b'{"report": 1}', b"[" * 90_000])
async def test_what_is_no_word_is_refused(client: Client, fakes: WithErrands, body: bytes) -> None:
    assert (await ask(client, "word", body)).status == 422
    assert (await ask(client, "claim", body)).status == 422
    assert fakes.told.heard == []


async def test_a_word_that_is_too_large_is_refused_unread(client: Client) -> None:
    headers = {
        "content-type": "application/json",
        "authorization": "Bearer token-of-one",
        "content-length": str(LARGEST_WORD + 1),
    }
    answer = await client.ask("POST", "/executions/one/word", body=b"", headers=headers, token=None)
    assert answer.status == 413
