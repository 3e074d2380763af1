"""What the page asks for: metrics, the subnets behind a front, the layers of a subnet, the page's own files."""

import gzip

import numpy as np
import pytest

from search.fronts.front import non_dominated
from service.db.tables import Search
from service.ids import DEFAULT_PROJECT, new_id
from service.page import routes as page
from service.search.request.schemas import SearchSpec
from supernets.metrics import METRICS


@pytest.fixture
def search(database, supernet, target, measured):
    """A search without a job, on rows that were measured before."""
    spec = SearchSpec(
        supernet=supernet["id"],
        targets=[target["id"]],
        constraints=[{"metric": "latency_ms", "max": 0.02}],
        budget={"evaluations": 4},
    )
    with database.write() as session:
        row = Search(
            id=new_id("sea"),
            project_id=DEFAULT_PROJECT,
            supernet_id=supernet["id"],
            spec=spec.model_dump(mode="json"),
        )
        session.add(row)
        return row.id


def test_metrics_have_units_and_directions(client):
    found = {each["name"]: each for each in client.get("/v1/metrics").json()["items"]}
    assert set(found) == set(METRICS)
    assert found["latency_ms"]["unit"] == "ms"
    assert found["accuracy"]["direction"] == "max"


def test_evaluated_subnets_are_those_that_were_measured_and_evaluated(client, search, measured, target):
    view = client.get(f"/v1/searches/{search}/evaluations").json()
    assert view["total"] == len(measured) == len(view["points"])
    assert {point["subnet"] for point in view["points"]} == set(measured.values())
    rows = [{value["metric"]: value["value"] for value in point["values"]} for point in view["points"]]
    for point, row in zip(view["points"], rows, strict=True):
        assert point["feasible"] == (row["latency_ms"] <= 0.02)
        assert not point["own"]
    feasible = [index for index, point in enumerate(view["points"]) if point["feasible"]]
    assert 0 < len(feasible) < len(rows)
    scores = np.array([[-rows[index]["accuracy"], rows[index]["latency_ms"]] for index in feasible])
    front = {feasible[index] for index in np.flatnonzero(non_dominated(scores))}
    assert {index for index, point in enumerate(view["points"]) if point["front"]} == front


def test_evaluated_subnets_are_thinned_front_first(client, search):
    whole = client.get(f"/v1/searches/{search}/evaluations").json()
    front = [point["subnet"] for point in whole["points"] if point["front"]]
    thinned = client.get(f"/v1/searches/{search}/evaluations", params={"max_points": len(front) + 3}).json()
    assert thinned["total"] == whole["total"]
    assert len(thinned["points"]) == len(front) + 3
    assert [point["subnet"] for point in thinned["points"][: len(front)]] == front
    assert (
        len(client.get(f"/v1/searches/{search}/evaluations", params={"max_points": 1}).json()["points"]) == 1
    )


def test_a_target_that_the_search_does_not_have_is_refused(client, search, target):
    answer = client.get(f"/v1/searches/{search}/evaluations", params={"target": "tgt_other"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["allowed"] == [target["id"]]


def test_layers_add_up_to_the_subnet(client, target, measured):
    subnet = client.get(f"/v1/subnets/{next(iter(measured.values()))}").json()
    view = client.get(f"/v1/subnets/{subnet['id']}/layers", params={"target": target["id"]}).json()
    assert sum(layer["params"] for layer in view["layers"]) == subnet["costs"]["params"]
    assert sum(layer["macs"] for layer in view["layers"]) == subnet["costs"]["macs"]
    parts = [layer["latency_ms"] for layer in view["layers"]]
    assert min(parts) >= 0
    assert sum(parts) == pytest.approx(view["latency"]["layers_ms"])
    measured_ms = next(row["value"] for row in subnet["measurements"] if row["metric"] == "latency_ms")
    assert view["latency"]["fixed_ms"] + sum(parts) == pytest.approx(measured_ms, rel=0.2)
    assert view["predicted"] == []


def test_without_a_target_layers_have_no_latency(client, measured):
    view = client.get(f"/v1/subnets/{next(iter(measured.values()))}/layers").json()
    assert view["latency"] is None
    assert {layer["latency_ms"] for layer in view["layers"]} == {None}


@pytest.mark.parametrize("path", ["/", *(f"/page/{path}" for path in [*page.static_paths(), page.PLOTLY])])
def test_every_file_of_the_page_is_served_without_a_key(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self' 'unsafe-inline';" in policy
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_plotly_is_sent_compressed_and_cached(client):
    with client.stream("GET", "/page/plotly.js", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(raw) < 2_000_000
    assert gzip.decompress(raw) == page.load(page.PLOTLY).body
    assert "max-age" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["/page/routes.py", "/page/../routes.py", "/page/%2e%2e/routes.py", "/page/", "/page/x.js"]
)
def test_nothing_else_is_served(client, path):
    assert client.get(path).status_code == 404
