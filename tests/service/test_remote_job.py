"""A measuring job on another machine, end to end: it rests without a worker, and survives the death of one."""

import re

import pytest

from netwright.client import Client
from netwright.errors import JobFailedError
from service.db.tables import Job
from service.http.keys import make_key
from tests.service.house import House, ended, said, wait_until
from tests.service.lease_tools import P

pytestmark = pytest.mark.timeout(900)
COUNT, TRIES = 6, 5


@pytest.fixture
def house(settings, tmp_path):
    folder = tmp_path / "house"
    folder.mkdir()
    house = House(settings, folder)
    yield house
    house.close()


def succeeds(job):
    """Whether a measuring job had a value; it fails for no other reason than that it had none."""
    try:
        job.wait(300)
    except JobFailedError as error:
        assert error.code == "measuring_failed", error
        return False
    return True


def test_a_job_on_a_device_rests_until_its_agent_has_measured(house, database):
    with database.write() as session:
        mine = make_key(session, P, "me", ["write"])[1]
    house.serve(mine)
    worker = house.start("worker")
    with Client(house.url, mine) as client:
        supernet = client.supernets.add("digits")
        target = client.targets.add("agent", name="pi")
        with database.write() as session:
            device = make_key(session, P, "device", ["agent"], target="pi")[1]
        metrics = ["latency_ms", "peak_memory_mb"]
        job = target.measure(supernet.id, count=COUNT, seed=0)

        def rests():
            with database.read() as session:
                return session.get_one(Job, job.id).waiting_since is not None

        wait_until(rests)
        wait_until(lambda: "none is connected" in (job.refresh().message or ""))
        assert job.state == "running"
        # The worker is free for others meanwhile, and its death changes nothing.
        other = supernet.evaluate(count=1).wait(300)
        assert other.state == "succeeded"
        worker.kill()
        worker.wait(30)
        agent = house.agent(device, "--until-idle", "--batch", "2")
        assert ended(agent) == 0, said(agent)
        assert job.refresh().state == "queued"
        house.start("worker")
        for _ in range(TRIES):  # a busy machine may refuse every latency; the job fails then with a message
            if succeeds(job):
                break
            job = target.measure(supernet.id, count=COUNT, seed=0)
            wait_until(rests)
            agent = house.agent(device, "--until-idle", "--batch", "2")
            assert ended(agent) == 0, said(agent)
        rows = list(client.measurements.list(job=job.id))
        # On a busy machine the protocol refuses a latency; the job counts what it measured.
        measured = re.match(rf"measured (\d+) of {COUNT} subnets", job.message)
        assert measured is not None and len(rows) == int(measured[1]) > 0
        assert {row.metric for row in rows} == {"latency_ms"}
        for row in rows:
            assert row.target == target.id and row.stale is None
            assert row.details["provenance"]["agent"] == "a"
            assert row.details["provenance"]["runtime"]["name"] == "onnxruntime"
            assert len(row.details["file_sha256"]) == 64
        found = client.targets.get("pi")
        assert found.calibrations and found.metrics[0] == "latency_ms"
        assert job.progress.done == job.progress.total
        assert job.attempts == 1  # to rest is no failed attempt

        if "peak_memory_mb" in found.metrics:
            again = found.measure(supernet.id, count=2, seed=0, metrics=metrics)
            house.agent(device)
            again.wait(300)
            rows = list(client.measurements.list(job=again.id))
            memory = [row for row in rows if row.metric == "peak_memory_mb"]
            assert len(memory) == 2 and all(row.value > 0 and row.unit == "MB" for row in memory)
