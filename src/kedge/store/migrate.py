"""Bringing a database to the newest schema when it is opened, under its write lock."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from kedge.model.errors import Invalid
from kedge.store import sqlite
from kedge.store.session import Session
from kedge.store.tables import HEAD

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(session: Session, path: str, migrations: Path = MIGRATIONS, head: str = HEAD) -> None:
    """Upgrade to `head` unless it is there already. Raises Invalid for a database of a newer version, and for one that
    is not Kedge's. Two processes that open the same old database upgrade it once: the second waits for the lock."""
    if revision(session) == head:
        return
    session.command(sqlite.BEGIN_WRITE)
    try:
        found = revision(session)
        if found != head:
            _check(session, found, path)
            _upgrade(session, found, (path, migrations, head))
        session.command("COMMIT")
    except BaseException:
        if sqlite.in_transaction(session):
            session.command("ROLLBACK")
        raise


def revision(session: Session) -> str | None:
    """None for a database without a schema."""
    cursor = session.raw.cursor()
    cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
    if cursor.fetchone() is None:
        return None
    cursor.execute("SELECT version_num FROM alembic_version")
    row = cursor.fetchone()
    return None if row is None else str(row[0])


def _check(session: Session, found: str | None, path: str) -> None:
    cursor = session.raw.cursor()
    cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' LIMIT 1")
    table = cursor.fetchone()
    if found is None and table is not None:
        raise Invalid(f"{path} is a database, but not Kedge's: it has a table {table[0]}", hint="name another file")


def _upgrade(session: Session, found: str | None, to: tuple[str, Path, str]) -> None:
    path, migrations, head = to
    # alembic takes longer to import than everything else here, and a database is upgraded once in its life.
    command: Any = importlib.import_module("alembic.command")
    script: Any = importlib.import_module("alembic.script")
    config: Any = importlib.import_module("alembic.config").Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = [each.revision for each in script.ScriptDirectory.from_config(config).walk_revisions()]
    if found is not None and found not in known:
        raise Invalid(
            f"the database {path} was written by a newer Kedge (schema {found}; this one knows up to {head})",
            hint="run that version of Kedge or a newer one, or restore a backup made before it",
        )
    # The engine is handed our connection, inside our transaction, and neither begins nor ends one of its own.
    engine = create_engine("sqlite://", creator=lambda: _Lent(session.raw), poolclass=StaticPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, head)


class _Lent:
    """A connection whose transaction is its owner's: what would end or close it does nothing."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def commit(self) -> None:
        """The owner commits."""

    def rollback(self) -> None:
        """The owner rolls back."""

    def close(self) -> None:
        """The owner closes."""
