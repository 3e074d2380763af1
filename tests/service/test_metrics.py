"""Metrics over HTTP, and the query parameters that are generated from them."""

import pytest

from supernets.metrics import METRICS


def test_every_metric_is_listed_with_its_bounds(client):
    items = client.get("/v1/metrics").json()["items"]
    assert [item["name"] for item in items] == list(METRICS)
    [accuracy] = [item for item in items if item["name"] == "accuracy"]
    assert (accuracy["direction"], accuracy["minimum"], accuracy["maximum"]) == ("max", 0.0, 1.0)
    [latency] = [item for item in items if item["name"] == "latency_ms"]
    assert (latency["unit"], latency["source"], latency["maximum"]) == ("ms", "measured", None)


def test_every_metric_has_both_query_parameters(client):
    route = client.get("/openapi.json").json()["paths"]["/v1/fronts"]["get"]
    names = {parameter["name"] for parameter in route["parameters"]}
    assert {f"{side}_{name}" for name in METRICS for side in ("max", "min")} <= names


@pytest.mark.parametrize("limit", [{"max_accuracy": 1.5}, {"min_accuracy": -0.1}, {"max_latency_ms": 0}])
def test_limits_outside_the_bounds_are_refused(client, supernet, limit):
    answer = client.get("/v1/fronts", params={"supernet": supernet["id"], **limit})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == next(iter(limit))


def test_limits_on_both_sides_are_taken(client, supernet):
    params = {"supernet": supernet["id"], "min_latency_ms": 0, "max_latency_ms": 2, "min_macs": 5}
    assert client.get("/v1/fronts", params=params).json()["points"] == []


@pytest.mark.parametrize("path", ["/v1/predictors", "/v1/measurements"])
def test_a_list_filtered_by_an_unknown_metric_names_the_nearest(client, path):
    problem = client.get(path, params={"metric": "latncy_ms"})
    assert problem.status_code == 422 and "did you mean latency_ms?" in problem.json()["detail"]
    assert client.get(path, params={"metric": "latency_ms"}).json()["items"] == []


def test_an_unknown_subnet_names_where_subnets_are_listed(client):
    problem = client.get("/v1/subnets/sub_0000000000000000")
    assert problem.status_code == 404 and "GET /v1/fronts" in problem.json()["detail"]
