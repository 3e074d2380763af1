"""The front of everything stored: kept by every write, and equal to what comparing all points gives."""

import numpy as np
import pytest

from search.constraints import Constraint
from search.fronts.front import non_dominated
from service.db import queries
from service.db.tables import Point, Project, Search, Subnet, Supernet, Table
from service.ids import DEFAULT_PROJECT, new_id
from service.search.fronts.best import best_of_search, best_points, restore, store_points
from service.search.fronts.views import scores, thin, within
from service.search.request.schemas import FrontPoint
from tests.service.test_fronts import OBJECTIVES, point

P = DEFAULT_PROJECT
TARGETS = ("tgt_a", "tgt_b")
LIMITS = [
    [],
    [Constraint("latency_ms", max=6.0)],
    [Constraint("accuracy", min=0.5), Constraint("latency_ms", max=8.0)],
    [Constraint("macs", max=20.0)],
    [Constraint("accuracy", max=0.6)],
    [Constraint("latency_ms", min=3.0), Constraint("macs", min=5.0)],
    [Constraint("energy_mj", max=1.0)],
]


@pytest.fixture
def db(migrated):
    yield migrated
    with migrated.write() as session:
        for table in reversed(Table.metadata.sorted_tables):
            if table.name != Project.__tablename__:
                session.execute(table.delete())


@pytest.fixture
def supernet(db):
    with db.write() as session:
        row = Supernet(id=new_id("sup"), project_id=P, name="s", source="zoo", weights_sha256="0" * 64,
                       manifest={"quality": "accuracy"}, files={})  # fmt: skip
        session.add(row)
        session.flush()
        subnets = [Subnet(id=f"sub_{n}", project_id=P, supernet_id=row.id, arch_id=str(n), arch={}, costs={})
                   for n in range(60)]  # fmt: skip
        session.add_all(subnets)
        return row


def store(db, supernet, rng, count, target):
    """A search whose front has ``count`` points of random subnets on a coarse grid, so that many are equal."""
    search = new_id("sea")
    with db.write() as session:
        session.add(Search(id=search, project_id=P, supernet_id=supernet.id, spec={}))
        session.flush()
        rows = []
        for rank, number in enumerate(rng.permutation(60)[:count].tolist()):
            accuracy, latency = rng.integers(3, 9) / 10, float(rng.integers(1, 12))
            body = point(number, accuracy, latency, search, target)
            rows.append({"id": new_id("pnt"), "project_id": P, "search_id": search, "supernet_id": supernet.id,
                         "subnet_id": body.subnet, "scope": "shared", "rank": rank,
                         "body": body.model_dump(mode="json")})  # fmt: skip
        store_points(session, supernet, rows)
    return search


def best_of(points, objectives, target):
    """The non-dominated points among these, best first."""
    values = scores(points, objectives, target)
    usable = np.flatnonzero(np.isfinite(values).all(axis=1))
    kept = usable[non_dominated(values[usable])]
    rank = np.lexsort(([points[row].subnet for row in kept], *values[kept].T[::-1]))
    return [points[row] for row in kept[rank]]


def compared(db, supernet, target, limits):
    """What all points give: each subnet once, by its newest point."""
    with db.read() as session:
        rows = session.query(Point).order_by(Point.created_at.desc(), Point.rank).all()
        points = [FrontPoint.model_validate(row.body) for row in rows]
    mine = [p for p in points if target is None or any(m.target == target for m in p.measured)]
    newest = list({p.subnet: p for p in reversed(mine)}.values())
    return {(p.subnet, p.search) for p in best_of(within(newest, limits, target), OBJECTIVES, target)}


def kept(db, supernet, target, limits):
    with db.read() as session:
        points, total = best_points(session, supernet, target, limits)
        few, of = best_points(session, supernet, target, limits, 3)
    assert total == of == len(points)
    assert points == best_of(points, OBJECTIVES, target) and points == within(points, limits, target)
    assert few == thin(points, OBJECTIVES, 3)
    return {(p.subnet, p.search) for p in points}


def check(db, supernet):
    for target in (None, *TARGETS):
        for limits in LIMITS:
            assert kept(db, supernet, target, limits) == compared(db, supernet, target, limits), (
                target,
                limits,
            )


def test_the_kept_front_is_that_of_all_points(db, supernet):
    rng = np.random.default_rng(0)
    searches = []
    for number in range(8):
        searches.append(store(db, supernet, rng, 15, TARGETS[number % 2]))
        check(db, supernet)
    # An old best point counts however many come after it, and a deleted search takes its points away.
    with db.write() as session:
        row = queries.get(session, P, Search, searches[-1])
        from service.db.removal import remove_search

        lost = best_of_search(session, row.id)
        remove_search(session, row)
        restore(session, supernet, lost)
    check(db, supernet)


def test_of_a_search_with_a_front_for_each_target_a_target_has_its_own_points(db, supernet):
    search = new_id("sea")
    bodies = []
    for target in TARGETS:  # each is measured on both, as in a search on both
        body = point(1, 0.8, 2.0, search, target).model_dump(mode="json")
        body["measured"] = [{**body["measured"][0], "target": each} for each in TARGETS]
        bodies.append({**body, "target": target})
    with db.write() as session:
        session.add(Search(id=search, project_id=P, supernet_id=supernet.id, spec={}))
        session.flush()
        rows = [{"id": new_id("pnt"), "project_id": P, "search_id": search, "supernet_id": supernet.id,
                 "subnet_id": body["subnet"], "scope": body["target"], "rank": 0, "body": body}
                for body in bodies]  # fmt: skip
        store_points(session, supernet, rows)
    with db.read() as session:
        for target in TARGETS:
            assert [found.target for found in best_points(session, supernet, target, [])[0]] == [target]
