"""The log shows whether somebody changed it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.store.opening import SeededEntropy, event, opened

from kedge.model.event import Witness
from kedge.store import chain
from kedge.store.sql import SqlStore

FORGERIES = {
    "a changed payload": ("UPDATE events SET payload = replace(payload, 'mona', 'lisa') WHERE id = 3", 3),
    "a changed digest": ("UPDATE events SET chain = replace(chain, substr(chain, 1, 1), 'f') || 'x' WHERE id = 2", 2),
    "a deleted event": ("DELETE FROM events WHERE id = 4", 4),
    "a deleted first event": ("DELETE FROM events WHERE id = 1", 1),
    "a shortened end": ("DELETE FROM events WHERE id > 3", 4),
    "an event filed under another unit": ("UPDATE events SET unit = 'shop/other' WHERE id = 2", 2),
    "an event taken out of the sequence": ("UPDATE events SET id = NULL WHERE id = 5", 5),
    "two swapped payloads": (
        "UPDATE events SET payload = (SELECT payload FROM events e WHERE e.id = 5 - events.id) WHERE id IN (2, 3)",
        2,
    ),
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened_store = opened(tmp_path / "kedge.db")
    for n in range(6):
        await opened_store.note((event(message=str(n)),))
    yield opened_store
    await opened_store.close()


def _forge(path: Path, statement: str) -> None:
    forger = sqlite3.connect(path)
    forger.execute(statement)
    forger.commit()
    forger.close()


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_the_first_forged_event_is_named(store: SqlStore, tmp_path: Path, forgery: str) -> None:
    statement, broken = FORGERIES[forgery]
    _forge(tmp_path / "kedge.db", statement)
    report = await store.verify_chain()
    assert (report.sound, report.broken) == (broken - 1, broken)
    assert report.why


async def test_a_log_rewritten_whole_is_shown_by_an_earlier_witness(store: SqlStore, tmp_path: Path) -> None:
    seen = await store.witness()
    await store.note((event(message="later"),))
    assert (await store.verify_chain(seen)).broken == 0
    digest = chain.genesis((await store.installation()).id)
    forger = sqlite3.connect(tmp_path / "kedge.db")
    for number, payload in forger.execute("SELECT id, payload FROM events ORDER BY id").fetchall():
        payload = payload.replace("mona", "lisa")
        digest = chain.link(digest, payload)
        forger.execute("UPDATE events SET payload = ?, chain = ? WHERE id = ?", (payload, digest, number))
    forger.commit()
    forger.close()
    assert (await store.verify_chain()).broken == 0
    assert (await store.verify_chain(seen)).broken == seen.id


async def test_a_log_shorter_than_its_witness_is_broken(store: SqlStore) -> None:
    seen = await store.witness()
    report = await store.verify_chain(Witness(seen.installation, 9, seen.chain))
    assert (report.sound, report.broken) == (6, 7)


async def test_a_log_of_another_installation_does_not_fit_its_witness(store: SqlStore, tmp_path: Path) -> None:
    other = opened(tmp_path / "other.db", entropy=SeededEntropy(2))
    assert (await other.verify_chain(await store.witness())).broken == 1
    await other.close()


async def test_the_chain_starts_from_the_installation(store: SqlStore) -> None:
    first = (await store.events(limit=1))[0]
    installation = await store.installation()
    payload = (
        '{"actor":"mona","after":"","before":"","chain":"","commit":"","id":0,"kind":"unit.noted","message":"0",'
        '"operation":"","reason":"","time":1.0,"unit":"shop/web"}'
    )
    assert first.chain == chain.link(chain.genesis(installation.id), payload)
