"""Fronts side by side: hypervolumes that follow from the points, and which points are new."""

import pytest

from service.db.tables import Point, Search
from service.ids import DEFAULT_PROJECT, new_id
from service.search.fronts.compare_routes import _share
from tests.service.test_errors import assert_problem


def stored(database, supernet, points, objectives=("accuracy", "latency_ms"), target=None, targets=()):
    """A search whose front has these (subnet, accuracy, latency) points."""
    with database.write() as session:
        search = Search(
            id=new_id("sea"),
            project_id=DEFAULT_PROJECT,
            supernet_id=supernet["id"],
            spec={"objectives": list(objectives), "targets": list(targets), "labels": {}},
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
            measured = {"metric": "latency_ms", "value": latency, "spread": None, "n": 9}
            body = {
                "subnet": subnet,
                "search": search.id,
                "target": target,
                "arch": {},
                "feasible": True,
                "predicted": [],
                "measured": [
                    {
                        **measured,
                        "target": of,
                        "statistic": "made",
                        "protocol_version": None,
                        "verdict": "good",
                        "raw": {},
                    }
                    for of in targets or ("tgt_a",)
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


def compare(client, *searches, **query):
    return client.get("/v1/searches:compare", params={"search": list(searches), **query})


def test_searches_on_different_targets_are_refused(client, database, supernet, target, subnets):
    other = client.post("/v1/targets", json={"name": "other", "settings": {"threads": 2}}).json()
    a, b, point = target["id"], other["id"], [(subnets[0], 0.9, 2.0)]
    on_a, on_b = (stored(database, supernet, point, targets=[each]) for each in (a, b))
    both = stored(database, supernet, point, targets=[a, b])
    refused = assert_problem(compare(client, on_a, on_b), 422)
    got = f"searches to compare must have the same targets, got {on_a} on {target['name']}; {on_b} on other; "
    assert refused.detail == got + "they have none in common: choose searches of one target"
    assert refused.errors[0].allowed == []
    refused = assert_problem(compare(client, on_a, both), 422)
    assert refused.errors[0].allowed == [target["name"]]
    assert refused.detail.endswith(f"target must be one that all have: {target['name']}")
    assert compare(client, on_a, both, target=a).json()["fronts"][1]["hypervolume"] > 0
    assert (
        "on target other must all have it"
        in assert_problem(compare(client, on_a, both, target=b), 422).detail
    )
    apart = stored(database, supernet, point, target=a, targets=[a, b])
    assert_problem(compare(client, both, apart), 422)
    assert compare(client, both, apart, target=a).json()["fronts"][1]["share"] == 1.0
    assert compare(client, both, stored(database, supernet, [], targets=[b, a])).status_code == 200


def test_targets_are_alike_where_no_objective_is_measured(client, database, supernet, subnets):
    first, second = (
        stored(database, supernet, [], objectives=("accuracy", "macs"), targets=[each]) for each in "ab"
    )
    assert compare(client, first, second).status_code == 200


def test_subnets_on_both_fronts_are_counted(client, database, supernet, subnets):
    a, b, c = subnets[:3]
    first = stored(database, supernet, [(a, 0.9, 2.0), (b, 0.8, 1.0)])
    second = stored(database, supernet, [(a, 0.9, 2.02), (b, 0.8, 1.01), (c, 0.7, 1.0)])
    fronts = compare(client, first, second).json()["fronts"]
    assert [(front["common"], front["new"]) for front in fronts] == [(2, 0), (2, 1)]


def test_equal_hypervolumes_have_a_share_of_one():
    assert _share(0.1 + 0.2, 0.3) == 1.0 == _share(0.3, 0.1 + 0.2)
    assert _share(0.3 * (1 - 1e-6), 0.3) < 1.0
    assert _share(0.0, 0.0) is None
