"""Fronts side by side: hypervolumes that follow from the points, and which points are new."""

import pytest

from service.db.tables import Point, Search
from service.ids import DEFAULT_PROJECT, new_id
from tests.service.test_errors import assert_problem


def stored(database, supernet, points, objectives=("accuracy", "latency_ms"), target=None):
    """A search whose front has these (subnet, accuracy, latency) points."""
    with database.write() as session:
        search = Search(
            id=new_id("sea"),
            project_id=DEFAULT_PROJECT,
            supernet_id=supernet["id"],
            spec={"objectives": list(objectives), "targets": [], "labels": {}},
        )
        session.add(search)
        session.flush()
        for rank, (subnet, accuracy, latency) in enumerate(points):
            value = {
                "metric": "accuracy",
                "value": accuracy,
                "standard_error": 0.01,
                "n": 10,
                "precision": "fp32",
            }
            measured = {"metric": "latency_ms", "target": "tgt_a", "value": latency, "spread": None, "n": 9}
            body = {
                "subnet": subnet,
                "search": search.id,
                "target": target,
                "arch": {},
                "feasible": True,
                "predicted": [],
                "measured": [
                    {**measured, "statistic": "made", "protocol_version": None, "verdict": "good", "raw": {}}
                ],
                "quality": None,
                "validation": {**value, "split": "validation"},
                "costs": {},
            }
            session.add(
                Point(
                    id=new_id("pnt"),
                    project_id=DEFAULT_PROJECT,
                    search_id=search.id,
                    supernet_id=supernet["id"],
                    subnet_id=subnet,
                    scope=target or "",
                    rank=rank,
                    body=body,
                )
            )
        return search.id


@pytest.fixture
def subnets(measured):
    return list(measured.values())


def test_hypervolumes_have_one_reference_point(client, database, supernet, subnets):
    a, b, c = subnets[:3]
    first = stored(database, supernet, [(a, 0.9, 2.0), (b, 0.8, 1.0)])
    second = stored(database, supernet, [(a, 0.9, 2.0), (c, 0.85, 1.0)])
    found = client.get("/v1/searches:compare", params={"search": [first, second]}).json()
    # The worst values are .8 and 2.0; a tenth of the ranges .1 and 1.0 beyond them.
    assert found["reference_point"] == pytest.approx({"accuracy": 0.79, "latency_ms": 2.1})
    base, other = found["fronts"]
    assert base["hypervolume"] == pytest.approx(0.11 * 0.1 + 0.01 * 1.0)
    assert other["hypervolume"] == pytest.approx(0.11 * 0.1 + 0.06 * 1.0)
    assert (other["share"], base["share"]) == pytest.approx((1.0, 0.021 / 0.071))
    assert (base["new"], base["best"], other["new"], other["best"]) == (0, 1, 1, 2)
    assert [(point["subnet"], point["new"], point["best"]) for point in other["points"]] == [
        (a, False, True),
        (c, True, True),
    ]
    assert other["points"][1]["values"] == {"accuracy": 0.85, "latency_ms": 1.0}


def test_an_empty_front_has_no_volume(client, database, supernet, subnets):
    empty = stored(database, supernet, [])
    full = stored(database, supernet, [(subnets[0], 0.9, 2.0)])
    found = client.get("/v1/searches:compare", params={"search": [empty, full]}).json()["fronts"]
    assert (found[0]["hypervolume"], found[0]["points"], found[1]["share"]) == (0, [], 1.0)
    found = client.get("/v1/searches:compare", params={"search": [empty, empty]}).json()
    assert found["reference_point"] == {} and found["fronts"][0]["share"] is None


def test_what_cannot_be_compared_is_refused(client, database, supernet, subnets):
    first = stored(database, supernet, [(subnets[0], 0.9, 2.0)])
    other = stored(database, supernet, [], objectives=("accuracy", "macs"))
    pairs = {"target": [first, stored(database, supernet, [(subnets[1], 0.9, 2.0)], target="tgt_b")]}
    pairs |= {"search": [first, other]}
    for field, searches in pairs.items():
        problem = assert_problem(client.get("/v1/searches:compare", params={"search": searches}), 422)
        assert problem.errors[0].field == field, problem.detail
    assert_problem(client.get("/v1/searches:compare", params={"search": [first, "sea_x"]}), 422)
    assert_problem(client.get("/v1/searches:compare", params={"search": [first]}), 422)
