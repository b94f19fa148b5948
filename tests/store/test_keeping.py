"""A kept secret: nowhere in the file as it is, nothing without its key, not to be passed off as another."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.store.opening import KEY, SeededEntropy, event, opened

from kedge.model.errors import Invalid, Unavailable

CANARY = "canary-7f3a-secret"


async def test_a_kept_secret_is_in_no_file_and_opens_with_its_key_alone(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db")
    await store.keep("forge", CANARY, event())
    await store.close()
    assert all(CANARY.encode() not in file.read_bytes() for file in tmp_path.iterdir())
    store = opened(tmp_path / "kedge.db", key=b"o" * 32, older=(KEY,), entropy=SeededEntropy(2))
    assert await store.kept("forge") == CANARY
    await store.close()
    store = opened(tmp_path / "kedge.db", key=b"o" * 32, entropy=SeededEntropy(3))
    with pytest.raises(Invalid, match="was not given"):
        await store.kept("forge")
    await store.close()


async def test_one_secret_can_not_be_passed_off_as_another(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db")
    await store.keep("forge", CANARY, event())
    await store.keep("registry", "other", event())
    await store.close()
    raw = sqlite3.connect(tmp_path / "kedge.db")
    row = raw.execute("SELECT nonce, data FROM secrets WHERE name = 'forge'").fetchone()
    raw.execute("UPDATE secrets SET nonce = ?, data = ? WHERE name = 'registry'", row)
    raw.commit()
    raw.close()
    store = opened(tmp_path / "kedge.db")
    with pytest.raises(Unavailable, match="does not decrypt"):
        await store.kept("registry")
    await store.close()
