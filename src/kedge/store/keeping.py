"""Secrets that Credentials name: encrypted under their name, read one at a time, never listed with their value."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from kedge.model.event import Event
from kedge.store import chain
from kedge.store.session import Session, Statement, Upsert
from kedge.store.tables import secrets
from kedge.store.vault import Sealed, Vault

_KEEP = Upsert(secrets)
_ONE = Statement(select(secrets.c.key_id, secrets.c.nonce, secrets.c.data).where(secrets.c.name == bindparam("at")))
_NAMES = Statement(select(secrets.c.name).order_by(secrets.c.name))
_FORGET = Statement(delete(secrets).where(secrets.c.name == bindparam("at")))


def keep(session: Session, vault: Vault, name: str, value: str | None, event: Event) -> None:
    """Put a secret in place of the one of that name; None takes it away."""
    if value is None:
        session.run(_FORGET, at=name)
    else:
        sealed = vault.seal(_bound(name), value.encode())
        session.run(_KEEP, name=name, key_id=sealed.key_id, nonce=sealed.nonce, data=sealed.data)
    chain.insert(session, (event,))


def kept(session: Session, vault: Vault, name: str) -> str | None:
    """Raises Invalid without its key, Unavailable when it was damaged."""
    row = session.one(_ONE, at=name)
    return None if row is None else vault.open(_bound(name), Sealed(*row)).decode()


def names(session: Session) -> list[str]:
    return [row[0] for row in session.all(_NAMES)]


def _bound(name: str) -> str:
    """A blob's name is a digest, so no secret can be passed off as one, nor one as a secret."""
    return f"secret {name}"
