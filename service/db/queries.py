"""Every query on resources, by name. Each takes the session and the project it may see."""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.db.tables import (
    Artifact,
    Export,
    FineTune,
    Instant,
    Job,
    Key,
    Lease,
    Measurement,
    Owned,
    Predictor,
    Project,
    Search,
    SearchLabel,
    Subnet,
    Supernet,
    Target,
    name_key,
    now,
)
from service.errors import LISTED, InvalidError, NotFoundError, nearest_words
from service.ids import DEFAULT_PROJECT
from service.problems import plain

Row = TypeVar("Row", bound=Owned)
MAX_PAGE = 500
INSERT_CHUNK = 500
MAX_CHOICES = 10
MAX_COMPARED = 1000
MAX_NAME = 130

WORDS: dict[type[Owned], str] = {
    Artifact: "artifact",
    Supernet: "supernet",
    Target: "target",
    Subnet: "subnet",
    Measurement: "measurement",
    Predictor: "predictor",
    Search: "search",
    Export: "export",
    FineTune: "finetune",
    Job: "job",
    Key: "key",
    Lease: "lease",
}
MADE_BY = {
    word: f": POST /v1/{path} first"
    for word, path in LISTED.items()
    if word in ("predictor", "search", "supernet", "target")
}
"""What makes the first of a kind that a request makes directly."""


def ensure_default_project(session: Session) -> None:
    """Make the one project there is, if it is not there."""
    if session.get(Project, DEFAULT_PROJECT) is None:
        session.add(Project(id=DEFAULT_PROJECT, name="default"))


# --- any resource ----------------------------------------------------------------------------------


def get(session: Session, project: str, table: type[Row], text: str) -> Row:
    """The project's row with this id or name, see :func:`named`; raises :class:`NotFoundError`."""
    row = named(session, project, table, text)
    if row is None:
        raise NotFoundError(WORDS[table], text, _nearest(session, project, table, text))
    return row


def given(
    session: Session, project: str, table: type[Row], text: str, field: str, *, archived: bool = False
) -> Row:
    """Like :func:`get`, for an id or name in a field of a request: a mistake in it is one in that field.

    Archived rows are refused unless ``archived``.
    """
    row = named(session, project, table, text)
    if row is None:
        word, near = WORDS[table], _nearest(session, project, table, text)
        allowed = list(dict.fromkeys([*near, *_newest(session, project, table)]))
        raise InvalidError(
            field,
            text,
            allowed or f"none yet{MADE_BY.get(word, '')}",
            f"{field}: there is no {word} {plain(text)!r}{nearest_words(near)}",
        )
    if not archived and getattr(row, "archived_at", None) is not None:
        raise InvalidError(
            field, text, "one that is not archived", f"{field}: {WORDS[table]} {text!r} is archived"
        )
    return row


def filter_id(session: Session, project: str, table: type[Row], text: str | None, field: str) -> str | None:
    """The id behind a list's query parameter, an id or name; None where it is absent."""
    return None if text is None else given(session, project, table, text, field, archived=True).id


def named(session: Session, project: str, table: type[Row], text: str) -> Row | None:
    """The project's row with this id, or else with this name where the table has unique names.

    Names are compared without case and without spaces around them. An archived row has given its name up.
    """
    row = find(session, project, table, id=text)
    if row is None and hasattr(table, "name_key"):
        row = find(session, project, table, name=text)
    return row


def _newest(session: Session, project: str, table: type[Row]) -> list[str]:
    """Names of the newest rows, or ids where rows have no unique names; archived ones left out."""
    column = getattr(table, "name", table.id) if hasattr(table, "name_key") else table.id
    query = sa.select(column).where(table.project_id == project, *_not_archived(table))
    return list(session.scalars(query.order_by(table.created_at.desc()).limit(MAX_CHOICES)))


def _nearest(session: Session, project: str, table: type[Row], text: str) -> list[str]:
    """The names most like ``text``, best first; none of tables without unique names."""
    if not hasattr(table, "name_key"):
        return []
    query = sa.select(table.name_key, table.name).where(  # type: ignore[attr-defined]
        table.project_id == project, *_not_archived(table)
    )
    names = {row.name_key: row.name for row in session.execute(query.limit(MAX_COMPARED))}
    return [names[key] for key in difflib.get_close_matches(name_key(text)[:MAX_NAME], names)]


def find(session: Session, project: str, table: type[Row], **equal: object) -> Row | None:
    """The project's newest row whose columns equal these values, or none."""
    query = sa.select(table).where(table.project_id == project, *equal_columns(table, equal))
    return session.scalars(query.order_by(table.created_at.desc(), table.id.desc()).limit(1)).first()


def with_ids(table: type[Owned], project: str, ids: Iterable[str]) -> sa.ColumnElement[bool]:
    """The project's rows with these ids, found by their ids.

    SQLite takes an index that begins with the project for ``project_id = ?``, and then reads all its rows; an
    expression leaves it only the ids.
    """
    return sa.and_(table.id.in_(list(ids)), unindexed(table.project_id) == project)


def unindexed(column: sa.orm.attributes.QueryableAttribute[object]) -> sa.ColumnElement[str]:
    """A column of text, for a condition that no index shall be chosen for."""
    return sa.literal("").concat(column)


def by_id(session: Session, project: str, table: type[Row], ids: Iterable[str]) -> dict[str, Row]:
    """The project's rows with these ids."""
    query = sa.select(table).where(with_ids(table, project, ids))
    return {row.id: row for row in session.scalars(query)}


def every(session: Session, project: str, table: type[Row]) -> list[Row]:
    """All rows of the project that are not archived, newest first; for tables that stay small."""
    query = sa.select(table).where(table.project_id == project, *_not_archived(table))
    return list(session.scalars(query.order_by(table.created_at.desc(), table.id.desc())))


def page(
    session: Session,
    project: str,
    table: type[Row],
    *,
    size: int,
    token: str | None,
    where: Sequence[sa.ColumnElement[bool]] = (),
    archived: bool = False,
    through: type[SearchLabel] | None = None,
    **equal: object,
) -> tuple[list[Row], str | None]:
    """One page of the project's rows, newest first, and the token of the next page; archived rows on request.

    With ``through``, a table of ids that ``where`` selects from, its index gives the rows in their order.
    """
    hidden = [] if archived else _not_archived(table)
    query = sa.select(table).where(*where, *hidden)
    if through is None:
        query = query.where(table.project_id == project, *equal_columns(table, equal))
    else:
        query = query.join(through, through.id == table.id)
        kept = {"project_id": project, **{name: value for name, value in equal.items() if value is not None}}
        query = query.where(*(unindexed(getattr(table, name)) == value for name, value in kept.items()))
    by = table if through is None else through
    if token is not None:
        created_at, last = _decode_token(token)
        query = query.where(
            sa.tuple_(by.created_at, by.id) < sa.tuple_(sa.literal(created_at, Instant()), sa.literal(last))
        )
    query = query.order_by(by.created_at.desc(), by.id.desc()).limit(size + 1)
    rows = list(session.scalars(query))
    more = len(rows) > size
    rows = rows[:size]
    return rows, _encode_token(rows[-1].created_at, rows[-1].id) if more else None


def _not_archived(table: type[Row]) -> list[sa.ColumnElement[bool]]:
    column = getattr(table, "archived_at", None)
    return [] if column is None else [column.is_(None)]


def equal_columns(table: type[Row], equal: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    """Conditions that these columns have these values; ``None`` leaves a column out.

    Names of supernets and targets are compared without case.
    """
    found = {column: value for column, value in equal.items() if value is not None}
    if "name" in found and hasattr(table, "name_key"):
        found["name_key"] = name_key(found.pop("name"))
    return [getattr(table, column) == value for column, value in found.items()]


TOKEN = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?\+00:00) ([a-z]{2,4}_[0-9a-z]{8,32})", re.ASCII
)


def _encode_token(created_at: datetime, id: str) -> str:
    return base64.urlsafe_b64encode(f"{created_at.astimezone(UTC).isoformat()} {id}".encode()).decode()


def _decode_token(token: str) -> tuple[datetime, str]:
    try:
        match = TOKEN.fullmatch(base64.urlsafe_b64decode(token.encode()).decode())
        if match is None:
            raise ValueError("another form")
        return datetime.fromisoformat(match[1]), match[2]
    except ValueError as error:  # also of base64 and of UTF-8
        raise InvalidError("page_token", token, "a next_page_token of the same list") from error


def insert_new(session: Session, table: type[Owned], rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows, leaving those whose unique key is there already as they are."""
    if not rows:
        return
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    for start in range(0, len(rows), INSERT_CHUNK):
        values = [{"created_at": now(), **row} for row in rows[start : start + INSERT_CHUNK]]
        session.execute(insert(table).on_conflict_do_nothing(), values)


# --- artifacts -------------------------------------------------------------------------------------


# --- subnets and measurements ----------------------------------------------------------------------


# --- keys ------------------------------------------------------------------------------------------


# --- predictors ------------------------------------------------------------------------------------


# --- searches and fronts ---------------------------------------------------------------------------


# --- exports ---------------------------------------------------------------------------------------
