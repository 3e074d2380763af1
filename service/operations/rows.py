"""Rows of a database as lines of JSON, the same for SQLite and PostgreSQL.

The tables are read from the database itself, so that the rows of an older schema can be loaded before it is migrated.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice

import sqlalchemy as sa

CHUNK_ROWS = 1000
VERSION_TABLE = "alembic_version"
FRESH_TABLES = ("projects",)
"""Tables in which the migrations put rows."""


def find_tables(connection: sa.Connection) -> list[sa.Table]:
    """The tables that a backup holds, each after those that it refers to."""
    metadata = sa.MetaData()
    metadata.reflect(connection)
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, sa.JSON):  # None is no value, not the JSON value null
                column.type = type(column.type)(none_as_null=True)
    return [table for table in metadata.sorted_tables if table.name != VERSION_TABLE]


def count_rows(connection: sa.Connection, table: sa.Table) -> int:
    """Number of rows."""
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def used_tables(connection: sa.Connection) -> list[str]:
    """Names of the tables that hold more than a database that was just migrated."""
    return [
        table.name
        for table in find_tables(connection)
        if table.name not in FRESH_TABLES
        and connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
    ]


# --- out -------------------------------------------------------------------------------------------


def lines(connection: sa.Connection, table: sa.Table) -> Iterator[bytes]:
    """The rows of a table, a line each."""
    for row in connection.execution_options(yield_per=CHUNK_ROWS).execute(sa.select(table)):
        yield json.dumps([_plain(value) for value in row], separators=(",", ":")).encode() + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if not isinstance(value, datetime):
        return value
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)  # SQLite forgets time zones
    return aware.astimezone(UTC).isoformat()


# --- in --------------------------------------------------------------------------------------------


def load(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], lines: Iterable[bytes]
) -> Iterator[int]:
    """Insert rows; yields how many each batch had.

    References to other rows of the same table are set at the end: those rows may come later.
    """
    rows = (_row(table, columns, line) for line in lines)
    own = [key.parent.name for key in table.foreign_keys if key.column.table is table]
    later: list[Mapping[str, object]] = []
    while batch := list(islice(rows, CHUNK_ROWS)):
        for row in batch:
            if any(row[name] is not None for name in own):
                later.append(dict(row))
                row.update(dict.fromkeys(own))
        connection.execute(sa.insert(table), batch)
        yield len(batch)
    for referring in later:
        keys = [key == referring[key.name] for key in table.primary_key.columns]
        connection.execute(sa.update(table).where(*keys).values({name: referring[name] for name in own}))


def _row(table: sa.Table, columns: Sequence[str], line: bytes) -> dict[str, object]:
    values = zip(columns, json.loads(line), strict=True)
    return {name: _value(value, table.columns[name]) for name, value in values}


def _value(value: object, column: sa.ColumnElement[object]) -> object:
    if isinstance(value, str) and isinstance(column.type, sa.DateTime):
        return datetime.fromisoformat(value)
    if isinstance(value, str) and isinstance(column.type, sa.LargeBinary):
        return base64.b64decode(value, validate=True)
    return value


def advance_sequences(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Let PostgreSQL number new rows after those that were loaded; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        for column in table.primary_key.columns:
            if isinstance(column.type, sa.Integer):
                sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
                last = sa.select(sa.func.max(column)).scalar_subquery()
                query = sa.select(sa.func.setval(sequence, sa.func.coalesce(last, 1), last.is_not(None)))
                connection.execute(query.where(sequence.is_not(None)))
