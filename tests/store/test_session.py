"""Every statement of the room can be said in the other dialect too."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql

import kedge.store
from kedge.store import recording, sqlite
from kedge.store.session import Statement
from kedge.store.tables import units

ROOM = Path(kedge.store.__file__).parent
MODULES = [each.name for each in pkgutil.iter_modules([str(ROOM)]) if each.name != "migrations"]


def _statements(value: object) -> list[Statement]:
    if isinstance(value, Statement):
        return [value]
    if isinstance(value, (list, tuple)):
        return [each for item in value for each in _statements(item)]
    return [each for item in value.values() for each in _statements(item)] if isinstance(value, dict) else []


@pytest.mark.parametrize("name", MODULES)
def test_every_statement_compiles_for_sqlite_and_for_postgresql(name: str) -> None:
    module = importlib.import_module(f"kedge.store.{name}")
    for statement in _statements({key: value for key, value in vars(module).items() if not key.startswith("__")}):
        text, pick, _ = statement.compiled(sqlite.dialect())
        assert text.count("?") == len(pick(defaultdict(str)))
        text, pick, held = statement.compiled(postgresql.dialect())
        assert "?" not in text
        assert pick({**held, "name": "by name"})["name"] == "by name"


@pytest.mark.parametrize("still", [[], ["root"], recording._INDEXED])
def test_an_update_sets_every_column_but_those_that_stand_still(still: list[str]) -> None:
    for dialect in (sqlite.dialect(), postgresql.dialect()):
        text = recording._updating(frozenset(still)).compiled(dialect)[0]
        unset = [column.name for column in units.columns if f"{column.name}=" not in text.replace('"', "")]
        assert unset == [column.name for column in units.columns if column.name in {"name", *still}]


def test_only_the_writer_starts_threads_and_only_sqlite_speaks_to_its_driver() -> None:
    texts = {each.name: each.read_text() for each in ROOM.glob("*.py")}
    assert [name for name, text in texts.items() if "import threading" in text] == ["writer.py"]
    assert [name for name, text in texts.items() if "import sqlite3" in text] == ["sqlite.py"]


def test_importing_the_room_imports_no_sqlalchemy() -> None:
    program = "import sys, kedge.store; sys.exit(any(name in sys.modules for name in ('sqlalchemy', 'alembic')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
