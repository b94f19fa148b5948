"""The first record of a database: whose it is, and the keys that go with it."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from kedge.model.errors import Invalid
from kedge.model.installation import Installation
from kedge.ports import Entropy
from kedge.store import chain
from kedge.store.session import Session, Statement
from kedge.store.tables import installation, sealer
from kedge.store.vault import Sealed, Vault, key_id

_ROW = Statement(
    select(
        installation.c.id,
        installation.c.key_id,
        installation.c.vault_key_id,
        installation.c.effects_nonce,
        installation.c.effects_key,
    )
)
_KEY = ("effects_key", "effects_nonce", "vault_key_id")
_FOUND = Statement(insert(installation), ("id", "key_id", "created", *_KEY))
_REKEY = Statement(update(installation), _KEY)
_SEALER = Statement(insert(sealer), ("name", "id", "chain"))


def found(session: Session, vault: Vault, entropy: Entropy, now: float, name: str = "") -> Installation:
    """Read whose database it is, or make it ours: the installation `name`'s, or a new one's for "". After a rotation
    the effects key moves under the new key.

    Raises Invalid when the key file is not the one the database was made with, or the database not `name`'s."""
    row = session.one(_ROW)
    if row is None:
        return _make(session, vault, entropy, now, name)
    identity, effects_id, under, nonce, data = row
    if name and name != identity:
        raise Invalid(
            f"the database is of the installation {identity}, the file beside it names {name}",
            hint="put back the database that belongs here, or remove the file `installation` to go on as this one",
        )
    try:
        effects = vault.open(_name(identity), Sealed(under, nonce, data))
    except Invalid as error:
        raise Invalid(
            f"the key file is not the one of this database: it was made with key {under}, given was {vault.key_id}",
            hint="give the key file that belongs to it; after a rotation, give the older key as well",
        ) from error
    if under != vault.key_id:
        session.run(_REKEY, **_sealed(vault, identity, effects))
    return Installation(identity, effects, effects_id)


def _make(session: Session, vault: Vault, entropy: Entropy, now: float, name: str) -> Installation:
    identity, effects = name or entropy.token(8), bytes.fromhex(entropy.token(32))
    made = Installation(identity, effects, key_id(effects))
    session.run(_FOUND, id=identity, key_id=made.key_id, created=now, **_sealed(vault, identity, effects))
    session.run(_SEALER, name=chain.ROW, id=0, chain=chain.genesis(identity))
    return made


def _sealed(vault: Vault, identity: str, effects: bytes) -> dict[str, str | bytes]:
    sealed = vault.seal(_name(identity), effects)
    return {"effects_key": sealed.data, "effects_nonce": sealed.nonce, "vault_key_id": sealed.key_id}


def _name(identity: str) -> str:
    return f"the effects key of installation {identity}"
