"""What keeps reads fast at a million rows: an index behind every list, and counts that are kept, not counted."""

import itertools
import threading

import pytest
import sqlalchemy as sa

from service.db import queries
from service.db.counts import add_measurements, count_measured, counts_by_scope, forget_counts
from service.db.tables import (
    FineTune,
    Job,
    MeasuredSubnet,
    Measurement,
    Predictor,
    Search,
    SearchLabel,
    Supernet,
    Table,
    Target,
    now,
)
from service.ids import DEFAULT_PROJECT, new_id
from service.runtime import job_queries
from service.search.fronts.best import ANY, best_points, points_of
from service.search.fronts.cells import Scope
from service.search.request.labels import add_labels, with_labels
from service.search.request.queries import points_of_search
from service.supernets.queries import archs_of, ensure_subnets
from tests.service.test_data_layer import add_supernet

P = DEFAULT_PROJECT
SCOPE = "split:validation"


@pytest.fixture
def db(migrated):
    with migrated.write() as session:
        for table in reversed(Table.metadata.sorted_tables):
            session.execute(table.delete())
        queries.ensure_default_project(session)
    return migrated


# --- query plans -----------------------------------------------------------------------------------

# Each list of the API with the filters that it can be asked for; target and split are one column, the scope.
LISTS = [
    (Supernet, ()),
    (Target, ()),
    (Job, ("kind", "state")),
    (Predictor, ("supernet_id", "target_id", "metric")),
    (Search, ("supernet_id",)),
    (FineTune, ("subnet_id",)),
    (Measurement, ("supernet_id", "metric", "scope", "subnet_id", "job_id")),
]
CASES = [
    (table, chosen)
    for table, filters in LISTS
    for size in range(len(filters) + 1)
    for chosen in itertools.combinations(filters, size)
]


def statements(engine, ask):
    """What is sent to the database while ``ask`` runs."""
    found = []

    def note(_connection, _cursor, statement, parameters, *_):
        found.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return [each for each in found if each[0].lstrip().startswith("SELECT")]


def plan(db, statement, parameters):
    """The database's plan as text. PostgreSQL is made to avoid scans and sorts, which tiny tables invite."""
    with db.engine.connect() as connection:
        if db.is_sqlite:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            return "\n".join(row[3] for row in rows)
        for setting in ("enable_seqscan", "enable_bitmapscan"):
            connection.exec_driver_sql(f"SET LOCAL {setting} = off")
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))


def assert_indexed(db, statement, parameters):
    text = plan(db, statement, parameters)
    if db.is_sqlite:
        assert "SCAN" not in text and "TEMP B-TREE" not in text, text
    else:
        assert "Seq Scan" not in text and "Sort" not in text, text


@pytest.mark.parametrize("table", [table for table, _ in LISTS], ids=lambda table: table.__tablename__)
def test_every_list_with_every_filter_reads_an_index_in_its_order(db, table):
    token = queries._encode_token(now(), new_id("mea"))
    for _, chosen in [case for case in CASES if case[0] is table]:
        for start in (None, token):

            def ask(chosen=chosen, start=start):
                with db.read() as session:
                    queries.page(session, P, table, size=50, token=start, **dict.fromkeys(chosen, "x"))

            (asked,) = statements(db.engine, ask)
            assert_indexed(db, *asked)


def add_searches(db, count):
    """Searches of one moment each; every third has team=a, every tenth run=b."""
    with db.write() as session:
        supernet = add_supernet(session).id
        for number in range(count):
            row = Search(
                id=f"sea_{number:08d}", project_id=P, created_at=now(), supernet_id=supernet, spec={}
            )
            session.add(row)
            add_labels(
                session,
                row,
                {"team": "a" if number % 3 == 0 else "z", **({"run": "b"} if number % 10 == 0 else {})},
            )
    return supernet


def listed(db, labels, **equal):
    """All pages of the searches with these labels."""
    found, token = [], None
    while True:
        with db.read() as session:
            where = with_labels(session, P, labels)
            rows, token = queries.page(
                session, P, Search, size=2, token=token, where=where, through=SearchLabel, **equal
            )
        found += [int(row.id.removeprefix("sea_")) for row in rows]
        if token is None:
            return found


def test_searches_with_labels_are_listed_newest_first(db):
    supernet = add_searches(db, 40)
    assert listed(db, {("team", "a")}) == list(range(39, -1, -3))
    assert listed(db, {("team", "a"), ("run", "b")}) == [30, 0]
    assert listed(db, {("run", "b")}, supernet_id=supernet) == [30, 20, 10, 0]
    for labels in ({("team", "a"), ("team", "z")}, {("run", "c")}, {("team", "a"), ("none", "b")}):
        assert listed(db, labels) == []
    assert listed(db, {("run", "b")}, supernet_id="sup_other") == []


def test_lists_of_labels_read_the_index_of_labels_in_its_order(db):
    add_searches(db, 20)
    token = queries._encode_token(now(), new_id("sea"))
    cases = itertools.product(
        ({("team", "a")}, {("team", "a"), ("run", "b")}), (None, token), (None, "sup_x")
    )
    for labels, start, supernet in cases:

        def ask(labels=labels, start=start, supernet=supernet):
            with db.read() as session:
                where = with_labels(session, P, labels)
                queries.page(
                    session, P, Search, size=50, token=start, where=where, through=SearchLabel,
                    supernet_id=supernet,
                )  # fmt: skip

        for asked in statements(db.engine, ask):
            assert_indexed(db, *asked)
            assert "project_id_name_value" in plan(db, *asked)


def test_rows_are_found_by_their_ids_and_not_by_their_project(db):
    def ask():
        with db.read() as session:
            queries.by_id(session, P, Target, ["a", "b"])
            archs_of(session, P, ["a", "b"])

    asked = statements(db.engine, ask)
    assert len(asked) == 2
    for statement, parameters in asked:
        assert_indexed(db, statement, parameters)
        if db.is_sqlite:
            assert "(id=?)" in plan(db, statement, parameters)
            assert "project_id=?" not in plan(db, statement, parameters)


def test_fronts_read_the_points_that_are_on_them_only(db):
    with db.write() as session:
        supernet = add_supernet(session)

    def whole():
        with db.read() as session:
            best_points(session, supernet, None, [])

    (asked,) = statements(db.engine, whole)
    assert_indexed(db, *asked)
    assert "on_front" in plan(
        db, *asked
    )  # a column of the index, not a filter on every point of the supernet

    def bodies():
        with db.read() as session, pytest.raises(KeyError):
            points_of(session, Scope(supernet.project_id, supernet.id, ANY), ["sub_1", "sub_2"])

    (asked,) = statements(db.engine, bodies)
    assert_indexed(db, *asked)

    def of_search():
        with db.read() as session:
            points_of_search(session, P, "sea_x")

    (asked,) = statements(db.engine, of_search)
    found = plan(db, *asked)
    assert "search_id" in found and "SCAN" not in found and "Seq Scan" not in found


def test_a_count_of_measured_subnets_reads_one_row(db):
    def ask():
        with db.read() as session:
            count_measured(session, P, "sup", "accuracy", SCOPE)

    (asked,) = statements(db.engine, ask)
    assert "measured_counts" in asked[0]
    assert_indexed(db, *asked)


# --- page tokens -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "W1tbW1tb",
        "MjAyMC0wMS0wMVQwMDowMDowMCswMDowMCBtZWFfAAA=",
        "MjAyMC05OS0wMVQwMDowMDowMCswMDowMCBtZWFfMTIzNDU2Nzg=",
        "=" * 500,
    ],
)
def test_a_foreign_page_token_is_refused(db, token):
    with db.read() as session, pytest.raises(queries.InvalidError) as refused:
        queries.page(session, P, Job, size=2, token=token)
    assert refused.value.errors[0].field == "page_token"


# --- counts ----------------------------------------------------------------------------------------


def rows_of(session, supernet, numbers, step="s", metric="accuracy"):
    archs = [(f"{n:016x}", {"depth": n}, {}) for n in numbers]
    ids = ensure_subnets(session, P, supernet, archs)
    job = job_queries.create_job(session, P, "evaluate", {})
    common = {
        "project_id": P,
        "job_id": job.id,
        "step": step,
        "supernet_id": supernet,
        "target_id": None,
        "metric": metric,
        "scope": SCOPE,
        "split": "validation",
        "value": 0.5,
        "spread": None,
        "n": 1,
        "statistic": "mean",
        "precision": "fp32",
        "protocol_version": None,
        "verdict": None,
        "details": {},
    }
    return [common | {"id": new_id("mea"), "subnet_id": ids[arch_id]} for arch_id, _, _ in archs]


def test_subnets_are_counted_once_however_often_they_are_measured(db):
    with db.write() as session:
        supernet = add_supernet(session).id
        rows = rows_of(session, supernet, range(5))
        add_measurements(session, rows)
        add_measurements(session, rows)  # the same step again
        add_measurements(session, rows_of(session, supernet, range(3, 8)))
        add_measurements(session, [])
    with db.read() as session:
        assert count_measured(session, P, supernet, "accuracy", SCOPE) == 8
        assert count_measured(session, P, supernet, "latency_ms", SCOPE) == 0
        assert count_measured(session, "other", supernet, "accuracy", SCOPE) == 0
        assert counts_by_scope(session, P, [supernet], "accuracy") == {SCOPE: 8}
        counted = sa.select(sa.func.count(sa.distinct(Measurement.subnet_id)))
        assert session.scalar(counted) == session.scalar(
            sa.select(sa.func.count()).select_from(MeasuredSubnet)
        )


def test_a_scope_that_is_forgotten_counts_from_zero(db):
    with db.write() as session:
        supernet = add_supernet(session).id
        add_measurements(session, rows_of(session, supernet, range(5)))
        forget_counts(session, P, SCOPE)
        assert count_measured(session, P, supernet, "accuracy", SCOPE) == 0
        add_measurements(session, rows_of(session, supernet, range(2)))
        session.expire_all()
        assert count_measured(session, P, supernet, "accuracy", SCOPE) == 2


def test_writers_at_once_count_every_subnet_once(db):
    with db.write() as session:
        supernet = add_supernet(session).id
        batches = [rows_of(session, supernet, range(n, n + 20)) for n in range(0, 40, 10)]
    failures = []

    def write(rows):
        try:
            with db.write() as session:
                add_measurements(session, rows)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(rows,)) for rows in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    with db.read() as session:
        assert count_measured(session, P, supernet, "accuracy", SCOPE) == 50
