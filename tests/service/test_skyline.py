"""Fronts within limits from the tree of cells: equal to comparing every point, without reading every point."""

import numpy as np
import pytest
import sqlalchemy as sa

from search.constraints import Constraint
from search.fronts.front import non_dominated
from service.db import queries
from service.db.tables import BestPoint, FrontCell, Point, Project, Search, Subnet, Table
from service.ids import DEFAULT_PROJECT
from service.search.fronts import pages
from service.search.fronts.cells import TOP, Scope, insert, remove
from service.search.fronts.pages import COLUMNS, Page
from service.search.fronts.skyline import front_within
from supernets.metrics import METRICS
from tests.service.test_data_layer import add_supernet
from tests.service.test_scale import assert_indexed, plan, statements

P = DEFAULT_PROJECT
COSTS = ("energy_mj", "params", "macs", "size_mb")


@pytest.fixture
def scope(migrated):
    """A scope without points, and a point of a search that all its best points refer to."""
    empty(migrated)
    with migrated.write() as session:
        queries.ensure_default_project(session)
        supernet = add_supernet(session).id
    yield Scope(P, supernet, "any")
    empty(migrated)


def empty(db):
    with db.write() as session:
        for table in reversed(Table.metadata.sorted_tables):
            if table.name != Project.__tablename__:
                session.execute(table.delete())


def add_subnets(db, scope, count):
    with db.write() as session:
        common = {"project_id": P, "supernet_id": scope.supernet}
        rows = [
            {**common, "id": f"sub_{n}", "arch_id": str(n), "arch": {}, "costs": {}} for n in range(count)
        ]
        session.execute(sa.insert(Subnet), rows)
        session.add(Search(id="sea_x", project_id=P, supernet_id=scope.supernet, spec={}))
        session.flush()
        session.add(
            Point(id="pnt_x", **common, search_id="sea_x", subnet_id="sub_0", scope="any", rank=0, body={})
        )


def rows_of(scope, numbers, values, quality):
    """Best points of these subnets with ``values (n, metrics)``, NaN where a metric is not known."""
    names = (quality, "latency_ms", *COSTS)
    rows = []
    for number, line in zip(numbers, values.tolist(), strict=True):
        figures = {name: value for name, value in zip(names, line, strict=True) if value == value}
        rows.append({"project_id": P, "supernet_id": scope.supernet, "scope": scope.scope, "on_front": False,
                     "subnet_id": f"sub_{number}", "point_id": "pnt_x", "figures": figures,
                     "quality": METRICS[quality].sign * line[0], "latency": line[1]})  # fmt: skip
    return rows


def write(db, scope, rows):
    """Points in place of older ones of the same subnets."""
    with db.write() as session:
        mine = (*scope.of(BestPoint), BestPoint.subnet_id.in_([row["subnet_id"] for row in rows]))
        old = session.execute(sa.select(BestPoint.subnet_id, BestPoint.cell).where(*mine))
        remove(session, scope, {row.subnet_id: row.cell for row in old})
        session.execute(sa.delete(BestPoint).where(*mine))
        insert(session, scope, rows)


def expected(known, quality, limits):
    """The slow reference: every point that meets the limits, compared with every other."""
    inside = [row for row in known.values() if all(meets(row["figures"], limit) for limit in limits)]
    scores = np.array([(row["quality"], row["latency"]) for row in inside]).reshape(len(inside), 2)
    return {row["subnet_id"] for row, kept in zip(inside, non_dominated(scores), strict=True) if kept}


def meets(figures, limit):
    value = figures.get(limit.metric, float("nan"))
    low = -np.inf if limit.min is None else limit.min
    return low <= value <= (np.inf if limit.max is None else limit.max)


def some_limits(rng, known, quality):
    """One to three limits on any metrics, some exactly at the value of a point."""
    found = []
    for name in rng.permutation([quality, "latency_ms", *COSTS])[: rng.integers(1, 4)].tolist():
        values = [row["figures"][name] for row in known.values() if name in row["figures"]]
        low, high = sorted(rng.choice(values, 2).tolist())
        side = rng.integers(0, 3)
        found.append(Constraint(name, min=low if side else None, max=None if side == 1 else high))
    return found


def check_cells(db, scope):
    """Every point is in the page of its cell and within all entries above; no page is too full. The top's level."""
    with db.read() as session:
        found = session.scalars(sa.select(FrontCell).where(*scope.of(FrontCell))).all()
        cells = {cell.cell: (cell.level, Page.decode([cell.page])) for cell in found}
        rows = session.scalars(sa.select(BestPoint).where(*scope.of(BestPoint))).all()
        session.expunge_all()
    held = {id: number for number, (level, page) in cells.items() if not level for id in page.ids}
    assert held == {row.subnet_id: row.cell for row in rows}
    assert sum(len(page.ids) for level, page in cells.values() if not level) == len(rows)
    values = {row.subnet_id: row for row in rows}
    reached = [TOP]
    for level, page in cells.values():
        assert len(page.ids) <= pages.FULL
        for row, id in enumerate(page.ids):
            if level:
                below, inner = cells[int(id)]
                reached.append(int(id))
                assert below == level - 1
                known = np.isfinite(inner.low)
                assert (page.low[row] <= inner.low)[known].all() and (page.high[row] >= inner.high)[
                    known
                ].all()
            else:
                assert page.low[row, 0] == page.high[row, 0] == values[id].quality
                stored = {name: page.low[row, COLUMNS.index(name)] for name in values[id].figures}
                assert stored == values[id].figures
    assert sorted(reached) == sorted(cells)
    return cells[TOP][0]


@pytest.mark.parametrize("quality", ["accuracy", "mean_absolute_error"])
def test_fronts_within_any_limits_are_those_of_all_points(migrated, scope, monkeypatch, quality):
    monkeypatch.setattr(pages, "FULL", 4)  # deep trees of few points
    rng = np.random.default_rng(7)
    add_subnets(migrated, scope, 100)
    known = {}
    for number in range(8):
        numbers = rng.permutation(100)[:25].tolist()
        size = rng.uniform(0.1, 1, (25, 1))
        values = size * rng.uniform(0.5, 1.5, (25, 2 + len(COSTS)))
        values[:, 0] = np.minimum(values[:, 0], 1)
        if number % 2:
            values = np.round(values, 1) + 0.1 * (np.arange(2 + len(COSTS)) == 0)  # many equal ones
            values[:, 0] = np.minimum(values[:, 0], 1)
        values[rng.random(25) < 0.2, 2] = np.nan
        rows = rows_of(scope, numbers, values, quality)
        write(migrated, scope, rows)
        known.update({row["subnet_id"]: row for row in rows})
        for limits in ([], *(some_limits(rng, known, quality) for _ in range(6))):
            with migrated.read() as session:
                found = set(front_within(session, scope, quality, limits).ids)
            assert found == expected(known, quality, limits), limits
    assert check_cells(migrated, scope) >= 2


def test_a_front_within_limits_opens_the_cells_along_it(migrated, scope):
    """Thirty times as many points, the same front within a limit: not thirty times as many cells."""
    rng, count = np.random.default_rng(1), 3000
    add_subnets(migrated, scope, count)
    size = rng.uniform(0.1, 1, (count, 1))
    values = size * rng.uniform(0.8, 1.2, (count, 2 + len(COSTS)))
    values[:, 0] = np.sqrt(size[:, 0]) * rng.uniform(0.8, 1, count) * 0.95
    rows = rows_of(scope, range(count), values, "accuracy")
    for start in range(0, count, 500):
        write(migrated, scope, rows[start : start + 500])
    limits = [Constraint("params", max=0.4), Constraint("latency_ms", min=0.2)]

    def ask():
        with migrated.read() as session:
            found = set(front_within(session, scope, "accuracy", limits).ids)
        assert found == expected({row["subnet_id"]: row for row in rows}, "accuracy", limits)

    asked = statements(migrated.engine, ask)
    with migrated.read() as session:
        cells = session.scalar(sa.select(sa.func.count()).where(*scope.of(FrontCell)))
    opened = [value for _, parameters in asked
              for value in (parameters.values() if isinstance(parameters, dict) else parameters)
              if isinstance(value, int)]  # fmt: skip
    assert len(set(opened)) == len(opened) < cells / 2
    assert len(asked) < 8
    for statement, parameters in asked:
        assert_indexed(migrated, statement, parameters)
    check_cells(migrated, scope)


def test_a_snapshot_does_not_see_what_is_written_meanwhile(migrated, scope):
    add_subnets(migrated, scope, 30)
    values = np.random.default_rng(2).uniform(0.1, 1, (30, 2 + len(COSTS)))
    rows = rows_of(scope, range(30), values, "accuracy")
    write(migrated, scope, rows[:20])
    count = sa.select(sa.func.count()).where(*scope.of(BestPoint))
    with migrated.snapshot() as session:
        assert session.scalar(count) == 20
        write(migrated, scope, rows[20:])
        assert session.scalar(count) == 20
        assert set(front_within(session, scope, "accuracy").ids) <= {row["subnet_id"] for row in rows[:20]}
    with migrated.snapshot() as session:
        assert session.scalar(count) == 30


def test_points_of_a_scope_are_found_by_their_subnets_also_without_statistics(migrated, scope):
    mine = (*scope.of(BestPoint), BestPoint.subnet_id.in_(["sub_1", "sub_2"]))

    def ask():
        with migrated.read() as session:
            session.execute(sa.select(BestPoint.cell).where(*mine)).all()

    (asked,) = statements(migrated.engine, ask)
    assert "on_front" not in plan(migrated, *asked)
    assert_indexed(migrated, *asked)
