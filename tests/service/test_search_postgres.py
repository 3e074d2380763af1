"""A whole search on PostgreSQL by real processes: two targets measured for real, a front each."""

import pytest
import sqlalchemy as sa

from service.ids import new_id
from service.run import migrate
from service.settings import Settings
from tests.service.conftest import POSTGRES, postgres_answers
from tests.service.test_resources import both, fitted  # noqa: F401
from tests.service.test_search_job import done, http, processes  # noqa: F401

pytestmark = [pytest.mark.timeout(1200), pytest.mark.postgres]


@pytest.fixture
def settings(tmp_path):
    """Settings on a database of its own, migrated, and dropped at the end."""
    if not postgres_answers():
        pytest.skip("no PostgreSQL answers at NETWRIGHT_TEST_POSTGRES")
    name = new_id("netwright_test")
    server = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    try:
        url = sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        settings = Settings(home=tmp_path / "home", database_url=url, measure_rounds=20)
        migrate(settings)
        yield settings
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        server.dispose()


def test_a_whole_search_of_two_targets(http, processes, supernet, both):  # noqa: F811
    processes("worker")
    body = {
        "supernet": supernet["id"],
        "targets": list(both),
        "front": "per_target",
        "constraints": [{"metric": "latency_ms", "target": both[1], "max": 100.0}],
        "budget": {"evaluations": 2},
    }
    search = done(http, http.post("/v1/searches", json=body))
    assert search["state"] == "succeeded"
    assert search["evaluations"] == {"done": 2, "budget": 2, "reused": 0}
    assert {row["target"] for row in search["history"]} == set(both)
    points = http.get(f"/v1/searches/{search['id']}/front").json()["points"]
    # A busy machine may refuse a confirmation: that point is then on no front of that target.
    assert points or any("refused" in warning for warning in search["warnings"])
    for point in points:
        assert point["target"] in {row["target"] for row in point["measured"]} <= set(both)
        assert {row["target"] for row in point["predicted"]} == {None, *both}
        assert point["quality"]["split"] == "test"

    limit = {"metric": "latency_ms", "target": both[0], "max": 1e-6}
    again = done(http, http.post(f"/v1/searches/{search['id']}:extend", json={"constraints": [limit]}))
    assert again["evaluations"]["done"] == 0 and again["evaluations"]["reused"] <= 2
    fronts = http.get(f"/v1/searches/{again['id']}/front").json()["points"]
    assert {point["target"] for point in fronts} <= {both[1]}
    whole = {point["subnet"]: point["measured"] for point in points if len(point["measured"]) == 2}
    assert all(whole.get(point["subnet"], point["measured"]) == point["measured"] for point in fronts)

    shared = body | {"front": "shared", "budget": {"evaluations": 1}}
    fleet = done(http, http.post("/v1/searches", json=shared))
    assert fleet["state"] == "succeeded" and fleet["evaluations"]["done"] == 1
    for point in http.get(f"/v1/searches/{fleet['id']}/front").json()["points"]:
        assert point["target"] is None and {row["target"] for row in point["measured"]} == set(both)
        [limited] = [row["value"] for row in point["measured"] if row["target"] == both[1]]
        assert limited <= 100.0
