"""A target that was measured by another version of the protocol is stale, on both databases; its rows are not mixed."""

import asyncio
from datetime import timedelta

import pytest

from predictors.measuring.protocol import PROTOCOL_VERSION
from service.db.counts import add_measurements
from service.db.tables import Supernet, Target, now
from service.devices.staleness import mark_other_protocols, protocol_changed, stale_reason
from service.errors import JobError
from service.ids import new_id
from service.measurements.rows import Origin
from service.measuring import measure as measuring
from service.run import note_protocols
from service.runtime import job_queries
from service.supernets.queries import ensure_subnets
from tests.service.lease_tools import P, add_order, add_target, clean
from tests.service.test_data_layer import add_supernet
from tests.service.test_errors import assert_problem
from tests.service.test_lease_routes import ASK

NEW, OLD = str(PROTOCOL_VERSION), str(PROTOCOL_VERSION - 1)


@pytest.fixture
def db(migrated):
    clean(migrated)
    return migrated


def add_row(session, target, version, supernet=None):
    """A latency on a target, measured by a version of the protocol; imported rows have none."""
    supernet = supernet or add_supernet(session, new_id("s"))
    ids = ensure_subnets(session, P, supernet.id, [("0" * 16, {"depth": 1}, {})])
    job = job_queries.create_job(session, P, "measure", {})
    row = {
        "id": new_id("mea"),
        "project_id": P,
        "job_id": job.id,
        "step": "measure",
        "supernet_id": supernet.id,
        "subnet_id": ids["0" * 16],
        "target_id": target,
        "metric": "latency_ms",
        "scope": f"target:{target}",
        "split": None,
        "value": 1.0,
        "spread": None,
        "n": 20,
        "statistic": "made",
        "precision": "fp32",
        "protocol_version": version,
        "verdict": "good",
        "details": {},
    }
    add_measurements(session, [row])


def test_targets_with_rows_of_another_version_become_stale_and_say_both(db):
    with db.write() as session:
        names = {"old": [OLD], "both": [OLD, NEW], "new": [NEW], "imported": [None], "empty": []}
        ids = {name: add_target(session, name).id for name in names}
        for name, versions in names.items():
            for version in versions:
                add_row(session, ids[name], version)
    with db.write() as session:
        assert mark_other_protocols(session) == 2
    with db.read() as session:
        reasons = {name: stale_reason(session.get_one(Target, id)) for name, id in ids.items()}
        assert all(
            f"measured by version {OLD}" in reasons[name] and f"this is version {NEW}" in reasons[name]
            for name in ("old", "both")
        )
        assert "some of it by this one" in reasons["both"] and "some of it" not in reasons["old"]
        assert [reasons[name] for name in ("new", "imported", "empty")] == [None] * 3
    with db.write() as session:
        assert mark_other_protocols(session) == 0


def test_a_refreshed_target_starts_anew_and_another_reason_stays(db):
    with db.write() as session:
        refreshed, drifted = add_target(session, "refreshed"), add_target(session, "drifted")
        for target in (refreshed, drifted):
            add_row(session, target.id, OLD)
        refreshed.valid_from = now() + timedelta(seconds=1)
        drifted.stale = {"reason": "the runtime has changed", "since": "now"}
    with db.write() as session:
        assert protocol_changed(session, refreshed.id) is None
        assert mark_other_protocols(session) == 0
        assert stale_reason(session.get_one(Target, drifted.id)) == "the runtime has changed"


def test_a_service_and_a_worker_say_so_when_they_start(settings, database, client, target, supernet):
    with database.write() as session:
        add_row(session, target["id"], OLD, session.get_one(Supernet, supernet["id"]))
    note_protocols(settings)
    assert f"version {OLD}" in client.get(f"/v1/targets/{target['id']}").json()["stale"]


def test_an_agent_is_given_nothing_until_the_target_is_refreshed(client, database):
    made = client.post("/v1/targets", json={"kind": "agent", "name": "pi", "settings": {"threads": 2}}).json()
    assert client.post("/v1/measurement-leases", json=ASK).status_code == 204
    with database.write() as session:
        add_order(session, session.get_one(Target, made["id"]), nets=1)
        add_row(session, made["id"], OLD)
    problem = assert_problem(client.post("/v1/measurement-leases", json=ASK), 409)
    assert problem.code == "target_stale" and "netwright targets refresh pi" in problem.detail
    assert f"version {OLD}" in client.get(f"/v1/targets/{made['id']}").json()["stale"]
    client.post(f"/v1/targets/{made['id']}:refresh")
    assert client.post("/v1/measurement-leases", json=ASK).status_code == 201


class Job:
    """As much of a job's run as is used before anything is measured."""

    def __init__(self, database):
        self.project, self.read = P, database.read
        self._database = database

    async def write(self, _name, store):
        with self._database.write() as session:
            store(session)


def test_a_worker_measures_nothing_on_it_and_marks_it(database, supernet, target):
    with database.write() as session:
        row = session.get_one(Supernet, supernet["id"])
        add_row(session, target["id"], OLD, row)
    with pytest.raises(JobError, match=rf"version {OLD}.*version {NEW}.*netwright targets refresh"):
        nothing = measuring.measure(
            Origin(Job(database), row, "measure"), measuring.MeasuringRun(target["id"], [], 0)
        )
        asyncio.run(nothing)
    with database.read() as session:
        assert f"version {OLD}" in stale_reason(session.get_one(Target, target["id"]))
