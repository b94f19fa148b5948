"""Statements written once in SQLAlchemy Core, compiled once per dialect, run on the bare DBAPI cursor.

Why not SQLAlchemy's own execution: a small record is half a dozen statements, and going through `Connection.execute`
costs more than SQLite does. The text is still SQLAlchemy's, so another dialect compiles its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import ClauseElement

Row = tuple[Any, ...]
Compiled = tuple[str, Callable[[Mapping[str, Any]], Any], dict[str, Any]]
"""A statement's text, how its parameters are taken from values by name, and the values that it already holds."""


class Cursor(Protocol):
    rowcount: int

    def execute(self, text: str, values: Any = ..., /) -> Any: ...

    def executemany(self, text: str, values: Any, /) -> Any: ...

    def fetchall(self) -> list[Row]: ...

    def fetchone(self) -> Any: ...

    def fetchmany(self, size: int, /) -> list[Row]: ...


class Raw(Protocol):
    """A DBAPI connection in autocommit: transactions are statements like any other."""

    def cursor(self) -> Cursor: ...

    def close(self) -> None: ...


class Statement:
    """One statement. `columns` names the columns an INSERT or UPDATE sets; each becomes a parameter of that name."""

    __slots__ = ("_clause", "_columns", "_compiled")

    def __init__(self, clause: ClauseElement, columns: Iterable[str] = ()) -> None:
        self._clause = clause
        self._columns = list(columns)
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            done: Any = self._clause.compile(
                dialect=dialect,
                column_keys=self._columns or None,
                compile_kwargs={"render_postcompile": True},
            )
            held = {name: at for name, at in done.params.items() if at is not None and name not in self._columns}
            found = self._compiled[dialect.name] = str(done), _picking(done.positiontup), held
        return found


class Upsert(Statement):
    """Insert a whole row of `table`, or replace every other column of the row with the same primary key."""

    __slots__ = ("_table",)

    def __init__(self, table: Table) -> None:
        super().__init__(insert(table), table.columns.keys())
        self._table = table

    def compiled(self, dialect: Dialect) -> Compiled:
        # The two dialects word it alike, but SQLAlchemy has one construct for each.
        if dialect.name not in self._compiled:
            make = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
            statement = make(self._table)
            self._clause = self._otherwise(statement, [column.name for column in self._table.primary_key])
        return super().compiled(dialect)

    def _otherwise(self, statement: Any, keys: list[str]) -> ClauseElement:
        rest = {name: statement.excluded[name] for name in self._columns if name not in keys}
        clause: ClauseElement = statement.on_conflict_do_update(index_elements=keys, set_=rest)
        return clause


class Adding(Upsert):
    """Insert a whole row of `table`, or leave the row with the same primary key as it is."""

    __slots__ = ()

    def _otherwise(self, statement: Any, keys: list[str]) -> ClauseElement:
        clause: ClauseElement = statement.on_conflict_do_nothing(index_elements=keys)
        return clause


def inserting(table: Table) -> Statement:
    return Statement(insert(table), [column.name for column in table.columns if column.autoincrement is not True])


class Session:
    """A connection on which statements run, one thread at a time. `unsealed` are the (unit, payload) of events that its
    transaction brings and the sealer has not written yet."""

    __slots__ = ("_cursor", "dialect", "raw", "unsealed")

    def __init__(self, raw: Raw, dialect: Dialect) -> None:
        self.raw = raw
        self.dialect = dialect
        self._cursor = raw.cursor()
        self.unsealed: list[tuple[str, str]] = []

    def command(self, text: str) -> None:
        """BEGIN, SAVEPOINT and their kin."""
        self._cursor.execute(text)

    def all(self, statement: Statement, /, **values: Any) -> list[Row]:
        self._execute(statement, values)
        return self._cursor.fetchall()

    def one(self, statement: Statement, /, **values: Any) -> Row | None:
        """Of a statement that answers one row at most."""
        rows = self.all(statement, **values)
        return rows[0] if rows else None

    def run(self, statement: Statement, /, **values: Any) -> int:
        """Answers how many rows it touched."""
        self._execute(statement, values)
        return self._cursor.rowcount

    def many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> int:
        """The same statement for each of `rows`. Answers how many rows it touched."""
        if not rows:
            return 0
        text, pick, held = statement.compiled(self.dialect)
        self._cursor.executemany(text, [pick({**held, **row} if held else row) for row in rows])
        return self._cursor.rowcount

    def stream(self, statement: Statement, size: int, /, **values: Any) -> Iterator[list[Row]]:
        """Rows in lots of `size`, so that a long table is never in memory whole."""
        text, pick, held = statement.compiled(self.dialect)
        cursor = self.raw.cursor()
        cursor.execute(text, pick({**held, **values}))
        while rows := cursor.fetchmany(size):
            yield rows

    def _execute(self, statement: Statement, values: Mapping[str, Any]) -> None:
        text, pick, held = statement.compiled(self.dialect)
        self._cursor.execute(text, pick({**held, **values} if held else values))


def _picking(order: Sequence[str] | None) -> Callable[[Mapping[str, Any]], Any]:
    """By name, where they have no order."""
    if order is None:
        return dict
    return itemgetter(*order) if len(order) > 1 else lambda values: [values[name] for name in order]
