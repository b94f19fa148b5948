"""What only SQLite can do: connecting, its pragmas, its words for a transaction, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from typing import cast

from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect

from kedge.model.errors import KedgeError, Unavailable
from kedge.store.session import Raw, Session

MEMORY = ":memory:"
BEGIN_WRITE = "BEGIN IMMEDIATE"
BEGIN_READ = "BEGIN"

Error = sqlite3.Error
KeyConflict = sqlite3.IntegrityError

_PATIENCE = 5.0
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # FULL syncs the log at every commit: what was acknowledged survives kill -9 and a power cut.
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
    # A stored function could otherwise run from a database file that somebody handed us.
    "PRAGMA trusted_schema = OFF",
)


def dialect() -> Dialect:
    return sqlite.dialect(paramstyle="qmark")


def connect(path: str, *, reading: bool = False) -> Session:
    """Open `path` (made with mode 0600 when it is not there). Raises Unavailable when it cannot be opened."""
    try:
        if path != MEMORY:
            os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
            # SQLite gives the log beside it the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE)
        for pragma in _PRAGMAS:
            raw.execute(pragma).fetchall()
        if reading:
            raw.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except OSError as error:
        raise Unavailable(f"the database {path} cannot be opened: {error.strerror}") from error
    return Session(cast(Raw, raw), dialect())


def in_transaction(session: Session) -> bool:
    """Some errors (a full disk) make SQLite end the transaction by itself."""
    return bool(getattr(session.raw, "in_transaction", False))


def explain(error: sqlite3.Error, path: str) -> KedgeError:
    """A driver's error as one of ours. Nothing of the transaction it ended was kept."""
    text = str(error)
    if "disk is full" in text:
        return Unavailable(
            f"the database {path} cannot be written: the disk is full", hint="free space; nothing was half-written"
        )
    if "locked" in text or "busy" in text:
        return Unavailable(f"the database {path} is held by another process", hint="end the other process")
    if isinstance(error, sqlite3.OperationalError):
        return Unavailable(f"the database {path} cannot be used: {text}")
    return Unavailable(f"the database {path} is damaged: {text}", hint="restore it from a backup")
