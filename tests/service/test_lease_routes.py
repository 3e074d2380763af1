"""The agent's conversation with the service over HTTP; what it may say is tested in test_leasing.py."""

import pytest

from predictors.measuring.references import SIZES, reference_net
from service.devices import lease_queries
from service.runtime import parts
from tests.service.lease_tools import DEVICE, RUNTIME, P, add_order, calibrations, row
from tests.service.test_errors import assert_problem

ASK = {
    "target": "pi",
    "agent": "a",
    "description": {"device": DEVICE, "runtime": RUNTIME, "metrics": ["latency_ms", "peak_memory_mb"]},
}


@pytest.fixture
def pi(client):
    answer = client.post("/v1/targets", json={"kind": "agent", "name": "pi", "settings": {"threads": 2}})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def order(client, database, pi):
    """Two nets that a job waits for, and a device that has shown itself."""
    assert client.post("/v1/measurement-leases", json=ASK).status_code == 204
    with database.write() as session:
        target = lease_queries.locked_target(session, pi["id"])
        _, order = add_order(session, target, nets=2)
    return order


def test_a_target_of_kind_agent_waits_for_its_device(client, pi):
    assert pi["description"]["device"] is None and pi["agents"] == []
    assert client.post("/v1/measurement-leases", json=ASK).status_code == 204
    known = client.get(f"/v1/targets/{pi['id']}").json()
    assert known["description"] == {
        "kind": "agent",
        "device": DEVICE,
        "runtime": RUNTIME,
        "settings": pi["settings"],
    }
    assert known["metrics"] == ["latency_ms", "peak_memory_mb"]
    assert [(a["name"], a["connected"]) for a in known["agents"]] == [("a", True)]
    same = {"kind": "agent", "name": "pi", "settings": {"threads": 2}}
    assert client.post("/v1/targets", json=same).status_code == 200
    other = {"kind": "agent", "name": "pi", "settings": {"threads": 3}}
    assert_problem(client.post("/v1/targets", json=other), 409)
    bad = {"kind": "agent", "name": "x", "settings": {"threads": 0}}
    assert_problem(client.post("/v1/targets", json=bad), 422)


def test_a_batch_is_leased_downloaded_renewed_and_told_of(client, order):
    lease = client.post("/v1/measurement-leases", json=ASK).json()
    assert len(lease["items"]) == 2 and lease["settings"]["threads"] == 2 and lease["calibrations"] is None
    assert [entry["name"] for entry in lease["references"]] == list(SIZES)
    for entry in lease["references"]:
        file = client.get(f"/v1/artifacts/{entry['sha256']}")
        assert file.content == reference_net(entry["name"])
    renewed = client.post(f"/v1/measurement-leases/{lease['id']}:renew", json={"done": 1, "total": 20})
    assert renewed.json()["items"] == [item["id"] for item in lease["items"]]

    class Leased:
        def __init__(self, entry):
            self.id, self.sha256 = entry["id"], entry["sha256"]

    first, second = map(Leased, lease["items"])
    path = f"/v1/measurement-leases/{lease['id']}/results"
    wrong = client.post(path, json={"rows": [row(first, sha256="e" * 64)]})
    assert assert_problem(wrong, 422).errors[0].field == "rows.0.sha256"
    content = client.build_request(
        "POST", path, json={"rows": [row(first), row(second)], "calibrations": calibrations()}
    ).content
    as_json = {"Content-Type": "application/json"}
    no_json = client.post(path, content=content.replace(b"0.5,", b"NaN,", 1), headers=as_json)
    assert assert_problem(no_json, 422).errors[0].field == "body"
    told = client.post(path, content=content.replace(b"0.5,", b"-0.5,", 1), headers=as_json).json()
    assert (told["recorded"], told["refused"][0]["item"], told["refused"][0]["got"]) == (1, first.id, -0.5)
    again = client.post(path, json={"rows": [row(second)]}).json()
    assert again == {"recorded": 0, "known": 1, "refused": []}


def test_another_device_and_another_runtime_are_conflicts_that_say_what_to_do(client, pi, order):
    device = {**ASK["description"], "device": {**DEVICE, "cpu": "M2"}}
    other = client.post("/v1/measurement-leases", json={**ASK, "agent": "b", "description": device})
    problem = assert_problem(other, 409)
    assert problem.code == "other_device" and "cpu is 'A53' there, 'M2' here" in problem.detail
    assert client.get(f"/v1/targets/{pi['id']}").json()["stale"] is None

    runtime = {**ASK["description"], "runtime": {**RUNTIME, "version": "2"}}
    newer = {**ASK, "description": runtime}
    problem = assert_problem(client.post("/v1/measurement-leases", json=newer), 409)
    assert problem.code == "target_stale" and "netwright targets refresh pi" in problem.detail
    assert "version was '1.20.0', is '2'" in client.get(f"/v1/targets/{pi['id']}").json()["stale"]

    fresh = client.post(f"/v1/targets/{pi['id']}:refresh").json()
    assert fresh["stale"] is None and fresh["calibrations"] is None and fresh["valid_from"]
    assert client.post("/v1/measurement-leases", json=newer).status_code == 201
    known = client.get(f"/v1/targets/{pi['id']}").json()
    assert known["description"]["runtime"]["version"] == "2" and known["description"]["device"] == DEVICE
    elsewhere = client.post("/v1/measurement-leases", json={**newer, "description": device})
    assert assert_problem(elsewhere, 409).code == "other_device"


def test_an_unknown_target_says_the_choices(client, pi):
    problem = assert_problem(client.post("/v1/measurement-leases", json={**ASK, "target": "no"}), 422)
    assert problem.errors[0].allowed == ["pi"]


def test_a_waiting_job_can_be_cancelled_at_once(client, database, order):
    answer = client.post(f"/v1/jobs/{order.job_id}:cancel")
    assert answer.json()["state"] == "cancelled"
    assert client.post("/v1/measurement-leases", json=ASK).status_code == 204
    with database.read() as session:
        assert parts.count_items(session, order.id, "waiting") == 2
        assert order.project_id == P
