"""What may hold secrets is readable with the key alone."""

from __future__ import annotations

import json
import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest
from tests.store.opening import KEY, SeededEntropy, fresh, opened, wrote

from kedge.model.errors import Invalid, Unavailable
from kedge.model.manifest import Manifest
from kedge.model.ref import Ref
from kedge.store.vault import Sealed, Vault

CANARY = "canary-5f2c9e0b"
OTHER = b"o" * 32


def _secret() -> Manifest:
    body = json.dumps({"kind": "Secret", "stringData": {"password": CANARY * 20}}).encode()
    return Manifest(Ref("", "Secret", "web", "db"), "v1", body, sha256(body).hexdigest())


async def test_no_byte_of_a_rendered_secret_reaches_the_disk_in_plain(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db")
    await store.record(wrote(fresh(), rendered=("digest", (_secret(),))))
    while_open = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    assert "kedge.db-wal" in while_open
    assert await store.rendered("digest") == (_secret(),)
    effects = (await store.installation()).effects_key
    await store.close()
    closed = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    for content in [*while_open.values(), *closed.values()]:
        assert CANARY.encode() not in content
        assert effects not in content
        assert KEY not in content


async def test_one_blob_cannot_be_passed_off_as_another(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db")
    await store.record(wrote(fresh(), rendered=("one", (_secret(),))))
    forger = sqlite3.connect(tmp_path / "kedge.db")
    forger.execute("UPDATE blobs SET digest = 'two'")
    forger.commit()
    forger.close()
    with pytest.raises(Unavailable, match="two does not decrypt"):
        await store.rendered("two")
    await store.close()


async def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    vault = Vault(KEY, SeededEntropy())
    sealed = vault.seal("name", b"text")
    with pytest.raises(Unavailable, match="damaged or changed"):
        vault.open("name", Sealed(sealed.key_id, sealed.nonce, sealed.data[:-1] + bytes([sealed.data[-1] ^ 1])))


async def test_another_key_is_refused_at_opening(tmp_path: Path) -> None:
    await opened(tmp_path / "kedge.db").close()
    with pytest.raises(Invalid, match="not the one of this database"):
        opened(tmp_path / "kedge.db", key=OTHER)


async def test_after_a_rotation_old_sets_read_with_the_older_key_and_new_ones_without(tmp_path: Path) -> None:
    store = opened(tmp_path / "kedge.db")
    before = await store.installation()
    web = await store.record(wrote(fresh(), rendered=("old", (_secret(),))))
    await store.close()
    store = opened(tmp_path / "kedge.db", key=OTHER, older=(KEY,), entropy=SeededEntropy(2))
    assert await store.installation() == before
    assert await store.rendered("old") == (_secret(),)
    await store.record(wrote(web, rendered=("new", (_secret(),))))
    await store.close()
    store = opened(tmp_path / "kedge.db", key=OTHER)
    assert await store.rendered("new") == (_secret(),)
    with pytest.raises(Invalid, match="was not given"):
        await store.rendered("old")
    await store.close()


def test_every_text_has_a_nonce_of_its_own() -> None:
    vault = Vault(KEY, SeededEntropy())
    assert len({vault.seal("n", b"t").nonce for _ in range(100)}) == 100


def test_a_set_that_unpacks_without_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.store.vault.LARGEST", 1000)
    vault = Vault(KEY, SeededEntropy())
    assert vault.open_packed("n", vault.seal_packed("n", b"x" * 1000)) == b"x" * 1000
    with pytest.raises(Invalid, match="unpacks to more than 1000 bytes"):
        vault.open_packed("n", vault.seal_packed("n", b"x" * 100_000))


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(Invalid, match="32 bytes"):
        Vault(b"short", SeededEntropy())


def test_a_file_is_one_piece_and_no_other_file() -> None:
    vault = Vault(b"k" * 32, SeededEntropy())
    raw = vault.seal_file("plan", b"secret")
    assert vault.open_file("plan", raw) == b"secret"
    assert b"secret" not in raw
    with pytest.raises(Unavailable, match="damaged or changed"):
        vault.open_file("another", raw)
    with pytest.raises(Unavailable, match="damaged or changed"):
        vault.open_file("plan", raw[:-1])
    with pytest.raises(Invalid, match="which was not given"):
        vault.open_file("plan", b"cut")
