"""A stored database is upgraded when it is opened, and never opened by a version older than itself."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from tests.builders import manifest, owned, ref
from tests.store.opening import fresh, opened, wrote

from kedge.model.errors import Invalid, Unavailable
from kedge.model.fleet import UnitQuery
from kedge.model.manifest import digest_of
from kedge.model.ref import UnitName
from kedge.store import migrate, sqlite, tables

FIRST = Path(__file__).parent / "data" / "first.sql"

LATER = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{before}"

def upgrade():
    op.add_column("heads", sa.Column("etag", sa.Text, nullable=False, server_default=""))
    op.execute("UPDATE heads SET etag = ref")
    {trouble}
"""


def _first(path: Path) -> None:
    """A database as the first migration and the code of its day left it."""
    database = sqlite3.connect(path)
    database.executescript(FIRST.read_text())
    database.close()


def _later(tmp_path: Path, trouble: str = "") -> Path:
    migrations = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, migrations)
    (migrations / "versions" / "v9999_later.py").write_text(LATER.format(before=tables.HEAD, trouble=trouble))
    return migrations


def test_the_migrations_end_where_the_tables_are() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [tables.HEAD]


def test_a_migrated_database_has_exactly_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    session = sqlite.connect(str(tmp_path / "kedge.db"))
    migrate.migrate(session, "kedge.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'kedge.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    engine.dispose()
    session.raw.close()


async def test_a_database_of_the_first_migration_opens_with_all_it_held(tmp_path: Path) -> None:
    _first(tmp_path / "kedge.db")
    store = opened(tmp_path / "kedge.db")
    web = await store.load(UnitName("shop", "web"))
    assert web is not None
    assert (web.version, web.runs, web.unit.source.path) == (1, 1, "apps/web")
    assert web.inventory == (owned(ref("ConfigMap", "web")),)
    assert await store.claims("default", [ref("ConfigMap", "web")]) == {ref("ConfigMap", "web"): "shop/web"}
    assert web.plan is not None
    assert web.operation == (await store.operations("shop/web"))[0]
    manifests = (manifest("ConfigMap", "web"),)
    assert await store.rendered(digest_of(manifests)) == manifests
    assert await store.frozen("shop/web", 1) == web.unit
    assert [each.kind for each in await store.events()] == ["unit.noted", "operation.begun"]
    assert (await store.verify_chain()).sound == 2
    assert (await store.units(UnitQuery(labels=(("tier", "front"),)))).total == 1
    assert [each.ref for each in await store.heads()] == ["main"]
    assert [each.name for each in await store.clusters()] == ["prod"]
    assert (await store.record(wrote(web))).version == 2
    await store.close()


def test_stored_data_is_upgraded_in_place(tmp_path: Path) -> None:
    _first(tmp_path / "kedge.db")
    session = sqlite.connect(str(tmp_path / "kedge.db"))
    migrate.migrate(session, "kedge.db", _later(tmp_path), "9999")
    assert migrate.revision(session) == "9999"
    cursor = session.raw.cursor()
    cursor.execute("SELECT ref, etag FROM heads")
    assert cursor.fetchall() == [("main", "main")]
    session.raw.close()


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    _first(tmp_path / "kedge.db")
    session = sqlite.connect(str(tmp_path / "kedge.db"))
    with pytest.raises(ZeroDivisionError):
        migrate.migrate(session, "kedge.db", _later(tmp_path, "1 / 0"), "9999")
    assert migrate.revision(session) == "0001"
    cursor = session.raw.cursor()
    cursor.execute("SELECT name FROM pragma_table_info('heads')")
    assert ("etag",) not in cursor.fetchall()
    session.raw.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    session = sqlite.connect(str(tmp_path / "kedge.db"))
    migrate.migrate(session, "kedge.db", _later(tmp_path), "9999")
    session.raw.close()
    with pytest.raises(Invalid, match=rf"newer Kedge \(schema 9999; this one knows up to {tables.HEAD}\)"):
        opened(tmp_path / "kedge.db", threads=False)


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "kedge.db")
    other.execute("CREATE TABLE invoices (id INTEGER)")
    other.close()
    with pytest.raises(Invalid, match="not Kedge's: it has a table invoices"):
        opened(tmp_path / "kedge.db", threads=False)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kedge.db").write_bytes(b"not a database, but long enough to be one " * 100)
    with pytest.raises(Unavailable, match=r"kedge\.db is damaged"):
        opened(tmp_path / "kedge.db", threads=False)


async def test_a_new_database_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    store = opened(tmp_path / "state" / "kedge.db")
    await store.record(wrote(fresh()))
    assert {each.name: each.stat().st_mode & 0o077 for each in (tmp_path / "state").iterdir()} == {
        "kedge.db": 0,
        "kedge.db-wal": 0,
        "kedge.db-shm": 0,
    }
    await store.close()


async def test_a_database_at_the_newest_schema_opens_without_alembic(tmp_path: Path) -> None:
    await opened(tmp_path / "kedge.db").close()
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.store.opening import opened\n"
        "async def main():\n"
        "    await opened(Path(sys.argv[1])).close()\n"
        "asyncio.run(main())\n"
        "sys.exit('alembic' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "kedge.db")],
        cwd=Path(__file__).resolve().parents[2],
        env={"PYTHONPATH": "src:."},
        check=False,
    )
    assert done.returncode == 0
