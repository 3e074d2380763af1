"""How many subnets of a supernet have a value of a metric, kept while measurements are written.

Counting them on request reads every measurement: with 10^5 rows a list of predictors took minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.db.queries import INSERT_CHUNK, insert_new
from service.db.tables import MeasuredCount, MeasuredSubnet, Measurement

KEY = ("project_id", "supernet_id", "metric", "scope")
Key = tuple[str, ...]


def add_measurements(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert measurements that are not there yet, and count the subnets that had none of their metric and scope."""
    insert_new(session, Measurement, rows)
    subnets = {tuple(row[name] for name in (*KEY, "subnet_id")) for row in rows}
    new = Counter[Key]()
    insert = _insert(session)
    for chunk in _chunks(sorted(subnets)):
        values = [dict(zip((*KEY, "subnet_id"), subnet, strict=True)) for subnet in chunk]
        statement = insert(MeasuredSubnet).on_conflict_do_nothing().returning(*_key(MeasuredSubnet))
        new.update(tuple(key) for key in session.execute(statement, values))
    for key, count in sorted(new.items()):  # in one order, so that two writers cannot wait for each other
        statement = insert(MeasuredCount).values(**dict(zip(KEY, key, strict=True)), subnets=count)
        add = {"subnets": MeasuredCount.subnets + statement.excluded.subnets}
        session.execute(statement.on_conflict_do_update(index_elements=KEY, set_=add))


def forget_counts(session: Session, project: str, scope: str) -> None:
    """Count from zero in a scope: what was measured there before no longer counts."""
    for table in (MeasuredSubnet, MeasuredCount):
        session.execute(sa.delete(table).where(table.project_id == project, table.scope == scope))


def count_measured(session: Session, project: str, supernet: str, metric: str, scope: str) -> int:
    """Number of subnets with a value of this metric on this target or split that still counts."""
    row = session.get(MeasuredCount, (project, supernet, metric, scope))
    return row.subnets if row is not None else 0


def count_measured_in(
    session: Session, project: str, supernet: str, metric: str, scopes: Sequence[str]
) -> int:
    """Number of subnets with a value of this metric in any of several scopes."""
    if len(scopes) == 1:
        return count_measured(session, project, supernet, metric, scopes[0])
    query = sa.select(sa.func.count(sa.distinct(MeasuredSubnet.subnet_id))).where(
        MeasuredSubnet.project_id == project,
        MeasuredSubnet.supernet_id == supernet,
        MeasuredSubnet.metric == metric,
        MeasuredSubnet.scope.in_(scopes),
    )
    return int(session.scalar(query) or 0)


def counts_by_scope(session: Session, project: str, supernets: Iterable[str], metric: str) -> dict[str, int]:
    """Scope to the number of subnets of these supernets with a value of this metric there."""
    query = (
        sa.select(MeasuredCount.scope, sa.func.sum(MeasuredCount.subnets))
        .where(
            MeasuredCount.project_id == project,
            MeasuredCount.supernet_id.in_(list(supernets)),
            MeasuredCount.metric == metric,
        )
        .group_by(MeasuredCount.scope)
    )
    return {scope: int(count) for scope, count in session.execute(query)}


def _insert(session: Session) -> Any:
    return sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert


def _key(table: type[MeasuredSubnet]) -> list[object]:
    return [getattr(table, name) for name in KEY]


def _chunks(values: Sequence[Key]) -> Iterable[Sequence[Key]]:
    return (values[start : start + INSERT_CHUNK] for start in range(0, len(values), INSERT_CHUNK))
