"""Every query on resources, by name. Each takes the session and the project it may see."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.db.tables import (
    Artifact,
    Export,
    Job,
    JobStep,
    Key,
    Lease,
    Measurement,
    Owned,
    Point,
    Predictor,
    Project,
    Search,
    Subnet,
    Supernet,
    Target,
    Unsupported,
    now,
)
from service.errors import InvalidError, NotFoundError
from service.ids import DEFAULT_PROJECT, new_id

Row = TypeVar("Row", bound=Owned)
MAX_PAGE = 500
INSERT_CHUNK = 500

WORDS: dict[type[Owned], str] = {
    Artifact: "artifact",
    Supernet: "supernet",
    Target: "target",
    Subnet: "subnet",
    Measurement: "measurement",
    Predictor: "predictor",
    Search: "search",
    Export: "export",
    Job: "job",
    Key: "key",
    Lease: "lease",
}


def ensure_default_project(session: Session) -> None:
    """Make the one project there is, if it is not there."""
    if session.get(Project, DEFAULT_PROJECT) is None:
        session.add(Project(id=DEFAULT_PROJECT, name="default"))


# --- any resource ----------------------------------------------------------------------------------


def get(session: Session, project: str, table: type[Row], id: str) -> Row:
    """The project's row with this id; raises :class:`NotFoundError`."""
    row = session.scalar(sa.select(table).where(table.id == id, table.project_id == project))
    if row is None:
        raise NotFoundError(WORDS[table], id)
    return row


def given(session: Session, project: str, table: type[Row], id: str, field: str) -> Row:
    """Like :func:`get`, for an id that came in a request's field: unknown is a mistake in that field."""
    row = session.scalar(sa.select(table).where(table.id == id, table.project_id == project))
    if row is None:
        word = WORDS[table]
        newest = session.scalars(
            sa.select(table.id).where(table.project_id == project).order_by(table.created_at.desc()).limit(10)
        ).all()
        allowed = list(newest) or f"none yet: POST /v1/{word}s first"
        raise InvalidError(field, id, allowed, f"{field}: there is no {word} {id!r}")
    return row


def find(session: Session, project: str, table: type[Row], **equal: Any) -> Row | None:
    """The project's newest row whose columns equal these values, or none."""
    query = sa.select(table).where(table.project_id == project, *_equal(table, equal))
    return session.scalars(query.order_by(table.created_at.desc(), table.id.desc()).limit(1)).first()


def by_id(session: Session, project: str, table: type[Row], ids: Iterable[str]) -> dict[str, Row]:
    """The project's rows with these ids."""
    query = sa.select(table).where(table.project_id == project, table.id.in_(list(ids)))
    return {row.id: row for row in session.scalars(query)}


def every(session: Session, project: str, table: type[Row]) -> list[Row]:
    """All rows of the project, newest first; for tables that stay small."""
    query = sa.select(table).where(table.project_id == project)
    return list(session.scalars(query.order_by(table.created_at.desc(), table.id.desc())))


def page(
    session: Session,
    project: str,
    table: type[Row],
    *,
    size: int,
    token: str | None,
    where: Sequence[sa.ColumnElement[bool]] = (),
    **equal: Any,
) -> tuple[list[Row], str | None]:
    """One page of the project's rows, newest first, and the token of the next page."""
    query = sa.select(table).where(table.project_id == project, *_equal(table, equal), *where)
    if token is not None:
        created_at, last = _decode_token(token)
        query = query.where(
            sa.or_(table.created_at < created_at, sa.and_(table.created_at == created_at, table.id < last))
        )
    query = query.order_by(table.created_at.desc(), table.id.desc()).limit(size + 1)
    rows = list(session.scalars(query))
    more = len(rows) > size
    rows = rows[:size]
    return rows, _encode_token(rows[-1].created_at, rows[-1].id) if more else None


def _equal(table: type[Row], equal: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [getattr(table, column) == value for column, value in equal.items() if value is not None]


def of_state(job_id: Any, state: str) -> sa.ColumnElement[bool]:
    """Rows whose job is in this state; ``job_id`` is their column."""
    condition: sa.ColumnElement[bool] = job_id.in_(sa.select(Job.id).where(Job.state == state))
    return condition


def labelled(spec: Any, labels: Mapping[str, str]) -> list[sa.ColumnElement[bool]]:
    """Rows whose ``spec`` column has all these labels."""
    return [spec["labels"][name].as_string() == value for name, value in labels.items()]


def _encode_token(created_at: datetime, id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([created_at.isoformat(), id]).encode()).decode()


def _decode_token(token: str) -> tuple[datetime, str]:
    try:
        created_at, id = json.loads(base64.urlsafe_b64decode(token.encode()))
        return datetime.fromisoformat(created_at), str(id)
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidError("page_token", token, "a next_page_token of the same list") from error


def insert_new(session: Session, table: type[Owned], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, leaving those whose unique key is there already as they are."""
    if not rows:
        return
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    for start in range(0, len(rows), INSERT_CHUNK):
        values = [{"created_at": now(), **row} for row in rows[start : start + INSERT_CHUNK]]
        session.execute(insert(table).on_conflict_do_nothing(), values)


# --- artifacts -------------------------------------------------------------------------------------


def own_artifact(session: Session, project: str, sha256: str, size: int, media_type: str, name: str) -> None:
    """Let the project read a file of the store."""
    row = {"id": new_id("art"), "project_id": project, "sha256": sha256, "bytes": size}
    insert_new(session, Artifact, [{**row, "media_type": media_type, "name": name}])


def artifact_by_hash(session: Session, project: str, sha256: str) -> Artifact:
    """The project's artifact with this hash; raises :class:`NotFoundError`."""
    row = find(session, project, Artifact, sha256=sha256)
    if row is None:
        raise NotFoundError("artifact", sha256)
    return row


# --- subnets and measurements ----------------------------------------------------------------------


def ensure_subnets(
    session: Session,
    project: str,
    supernet: str,
    archs: Iterable[tuple[str, dict[str, Any], dict[str, float]]],
) -> dict[str, str]:
    """Rows for archs ``(arch id, arch, costs)`` that have none; returns arch id to subnet id."""
    wanted = {arch_id: (arch, costs) for arch_id, arch, costs in archs}
    insert_new(
        session,
        Subnet,
        [
            {
                "id": new_id("sub"),
                "project_id": project,
                "supernet_id": supernet,
                "arch_id": arch_id,
                "arch": arch,
                "costs": costs,
            }
            for arch_id, (arch, costs) in wanted.items()
        ],
    )
    found: dict[str, str] = {}
    ids = list(wanted)
    for start in range(0, len(ids), INSERT_CHUNK):
        query = sa.select(Subnet.arch_id, Subnet.id).where(
            Subnet.project_id == project,
            Subnet.supernet_id == supernet,
            Subnet.arch_id.in_(ids[start : start + INSERT_CHUNK]),
        )
        found.update((arch_id, id) for arch_id, id in session.execute(query))
    return found


def archs_by_id(session: Session, project: str, supernet: str, limit: int) -> dict[str, dict[str, Any]]:
    """Arch id to arch, of at most ``limit`` subnets of a supernet."""
    query = sa.select(Subnet.arch_id, Subnet.arch).where(
        Subnet.project_id == project, Subnet.supernet_id == supernet
    )
    return {row.arch_id: row.arch for row in session.execute(query.limit(limit))}


def measured_rows(
    session: Session, project: str, supernet: str, metric: str, scope: str
) -> list[tuple[dict[str, Any], Measurement]]:
    """Every ``(arch, measurement)`` of a metric on a target or split, oldest first.

    What was measured before its target was refreshed no longer counts.
    """
    query = (
        sa.select(Subnet.arch, Measurement)
        .join(Subnet, Subnet.id == Measurement.subnet_id)
        .outerjoin(Target, Target.id == Measurement.target_id)
        .where(
            still_holds(),
            Measurement.project_id == project,
            Measurement.supernet_id == supernet,
            Measurement.metric == metric,
            Measurement.scope == scope,
        )
        .order_by(Measurement.created_at, Measurement.id)
    )
    return [(arch, row) for arch, row in session.execute(query)]


def count_measured(session: Session, project: str, supernet: str, metric: str, scope: str) -> int:
    """Number of distinct subnets with a value of this metric on this target or split."""
    query = (
        sa.select(sa.func.count(sa.distinct(Measurement.subnet_id)))
        .outerjoin(Target, Target.id == Measurement.target_id)
        .where(
            still_holds(),
            Measurement.project_id == project,
            Measurement.supernet_id == supernet,
            Measurement.metric == metric,
            Measurement.scope == scope,
        )
    )
    return session.scalar(query) or 0


def still_holds() -> sa.ColumnElement[bool]:
    """A measurement is no older than its target's last refresh; for queries that outer join the target."""
    return sa.or_(Target.valid_from.is_(None), Measurement.created_at >= Target.valid_from)


def supernets_of_space(session: Session, project: str, supernet: Supernet) -> list[str]:
    """The project's supernets whose space is that of ``supernet``, itself included."""
    query = sa.select(Supernet.id, Supernet.manifest).where(Supernet.project_id == project)
    wanted = supernet.manifest["space_sha256"]
    return [id for id, manifest in session.execute(query) if manifest["space_sha256"] == wanted]


def count_by_target(session: Session, project: str, supernets: Sequence[str], metric: str) -> dict[str, int]:
    """Target that is not stale to the number of distinct subnets of these supernets measured on it."""
    query = (
        sa.select(Measurement.target_id, sa.func.count(sa.distinct(Measurement.subnet_id)))
        .join(Target, Target.id == Measurement.target_id)
        .where(
            still_holds(),
            Target.stale.is_(None),
            Measurement.project_id == project,
            Measurement.supernet_id.in_(supernets),
            Measurement.metric == metric,
            Measurement.target_id.is_not(None),
        )
        .group_by(Measurement.target_id)
    )
    return {str(target): int(count) for target, count in session.execute(query)}


def archs_of(session: Session, project: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Subnet id to arch."""
    query = sa.select(Subnet.id, Subnet.arch).where(Subnet.project_id == project, Subnet.id.in_(list(ids)))
    return {row.id: row.arch for row in session.execute(query)}


def unsupported_archs(
    session: Session, project: str, supernet: str, targets: Iterable[str]
) -> list[dict[str, Any]]:
    """Archs that the runtime of one of these targets cannot run."""
    query = (
        sa.select(Subnet.arch)
        .join(Unsupported, Unsupported.subnet_id == Subnet.id)
        .where(
            Unsupported.project_id == project,
            Unsupported.supernet_id == supernet,
            Unsupported.target_id.in_(list(targets)),
        )
        .order_by(Unsupported.created_at, Unsupported.id)
    )
    return list(session.scalars(query))


def count_unsupported(session: Session, project: str, target: str) -> int:
    """How many subnets the runtime of a target could not run."""
    query = sa.select(sa.func.count()).where(
        Unsupported.project_id == project, Unsupported.target_id == target
    )
    return session.scalar(query) or 0


# --- keys ------------------------------------------------------------------------------------------


def any_key(session: Session) -> bool:
    """Whether any key was ever made: from then on every request needs one, revoked ones included."""
    return session.scalar(sa.select(Key.id).limit(1)) is not None


def key_by_hash(session: Session, sha256: str) -> Key | None:
    """The key whose secret has this hash, of whichever project: it says which."""
    return session.scalars(sa.select(Key).where(Key.sha256 == sha256)).first()


# --- predictors ------------------------------------------------------------------------------------


def newest_predictor(
    session: Session, project: str, supernet: str, target: str | None, metric: str
) -> Predictor | None:
    """The newest fitted predictor of a metric for this supernet and target."""
    query = sa.select(Predictor).where(
        Predictor.project_id == project,
        Predictor.supernet_id == supernet,
        Predictor.metric == metric,
        Predictor.target_id.is_(None) if target is None else Predictor.target_id == target,
        Predictor.version.is_not(None),
    )
    return session.scalars(query.order_by(Predictor.created_at.desc(), Predictor.id.desc()).limit(1)).first()


# --- searches and fronts ---------------------------------------------------------------------------


def points_of_search(session: Session, project: str, search: str) -> list[dict[str, Any]]:
    """The stored front of a search, best first, as the API returns its points."""
    query = sa.select(Point.body).where(Point.project_id == project, Point.search_id == search)
    return list(session.scalars(query.order_by(Point.scope, Point.rank)))


def points_of_supernet(session: Session, project: str, supernet: str, limit: int) -> list[dict[str, Any]]:
    """The stored fronts of every search of a supernet, newest first."""
    query = sa.select(Point.body).where(Point.project_id == project, Point.supernet_id == supernet)
    return list(session.scalars(query.order_by(Point.created_at.desc(), Point.rank).limit(limit)))


def count_points(session: Session, project: str, search: str) -> int:
    """Size of the stored front of a search."""
    query = sa.select(sa.func.count()).where(Point.project_id == project, Point.search_id == search)
    return session.scalar(query) or 0


# --- exports ---------------------------------------------------------------------------------------


def exports_of(session: Session, project: str, subnet: str) -> list[Export]:
    """Every export of a subnet, newest first."""
    query = sa.select(Export).where(Export.project_id == project, Export.subnet_id == subnet)
    return list(session.scalars(query.order_by(Export.created_at.desc(), Export.id.desc())))


def finished_export(session: Session, project: str, subnet: str, **like: Any) -> Export | None:
    """The newest finished export of a subnet with these properties."""
    query = sa.select(Export).where(
        Export.project_id == project,
        Export.subnet_id == subnet,
        Export.sha256.is_not(None),
        *_equal(Export, like),
    )
    return session.scalars(query.order_by(Export.created_at.desc(), Export.id.desc()).limit(1)).first()


def finished_step(session: Session, project: str, job: str, step: str) -> JobStep | None:
    """The finished execution of a step, if there is one."""
    query = sa.select(JobStep).where(
        JobStep.project_id == project,
        JobStep.job_id == job,
        JobStep.step == step,
        JobStep.finished_at.is_not(None),
    )
    return session.scalars(query.limit(1)).first()
