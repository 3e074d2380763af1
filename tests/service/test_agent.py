"""Real agents against a real service over loopback: sharing, killed, restarted, refused.

The agents run where nothing of the server's can be imported (``no_server``).
"""

import signal
from pathlib import Path

import pytest

from predictors.measuring.protocol import PATIENCE
from predictors.measuring.references import reference_net
from service.artifacts import ArtifactStore, own_artifact
from service.db import queries
from service.db.tables import Agent, Item, Job, Lease, Order, Target
from service.devices import lease_queries
from service.devices.leasing import store_references
from service.http.keys import make_key, revoke_key
from service.runtime import job_queries, parts
from tests.service.house import House, ended, said, wait_until
from tests.service.lease_tools import P, add_target

pytestmark = pytest.mark.timeout(900)
QUICK = {"seed": 0, "rounds_max": 20, "calibration_rounds": 20, "block_ms": 1.0}
SLOW = {**QUICK, "block_ms": 60.0}  # a batch takes seconds: time to kill somebody in it


@pytest.fixture
def house(settings, tmp_path):
    folder = tmp_path / "house"
    folder.mkdir()
    house = House(
        settings, folder, NETWRIGHT_LEASE_S="8"
    )  # renewed by agents that a busy machine may hold up
    yield house
    house.close()


@pytest.fixture
def target(settings, database):
    """The target ``pi``, whose agents find the reference nets."""
    with database.write() as session:
        target = add_target(session)
        store_references(session, P, ArtifactStore(settings.artifacts))
    return target


@pytest.fixture
def key(database, target):
    with database.write() as session:
        return make_key(session, P, "device", ["agent"], target=target.id)[1]


@pytest.fixture
def order(settings, database, target):
    """Ask for nets to be measured on the target ``pi``."""
    store = ArtifactStore(settings.artifacts)

    def order(nets, protocol=QUICK):
        with database.write() as session:
            job = job_queries.create_job(session, P, "measure", {})
            job_queries.set_state(session, job, "running")
            job_queries.rest(job)
            files = []
            for number, content in enumerate(nets):
                sha256 = store.put(content)
                own_artifact(session, P, sha256, len(content), "application/octet-stream", f"{number}.onnx")
                files.append({"file_sha256": sha256, "bytes": len(content)})
            return parts.place_order(
                session,
                P,
                job.id,
                "measure",
                files,
                target_id=target.id,
                protocol=protocol,
                metrics=["latency_ms"],
                together=False,
                span=[0, len(nets), len(nets)],
            ).id

    return order


SMALL, MEDIUM = reference_net("small"), reference_net("medium")


def results(database, order):
    with database.read() as session:
        return [item.result for item in parts.items_of(session, order)]


def count(database, order, *states):
    with database.read() as session:
        return parts.count_items(session, order, *states)


def leases(database, **equal):
    with database.read() as session:
        rows = queries.every(session, P, Lease)
        return [row for row in rows if all(getattr(row, name) == value for name, value in equal.items())]


def test_an_agent_without_the_server_measures_what_there_is_and_ends(house, database, key, order):
    id = order([SMALL, MEDIUM, b"no net at all", SMALL])
    house.serve(key)
    agent = house.agent(key, "--until-idle", "--batch", "3")
    assert ended(agent) == 0, said(agent)
    small, medium, bad, again = results(database, id)
    assert small["timing"]["verdict"] in ("good", "noisy", "contended", "refused")
    assert small["timing"]["raw_ms"]["min"] < medium["timing"]["raw_ms"]["min"]
    assert bad["timing"]["verdict"] == "unsupported" and bad["timing"]["error"]
    assert again["provenance"]["agent"] == "a" and again["provenance"]["runtime"]["name"] == "onnxruntime"
    assert "3 nets to measure, and reference nets to calibrate" in said(agent)
    assert "nothing to do" in said(agent)
    with database.read() as session:
        target = queries.find(session, P, Target, name="pi")
        scale = {name: entry["latency_ms"] for name, entry in target.calibrations.items()}
    for result in (small, medium, again):
        reference = result["timing"]["reference"]
        assert reference["calibrated_ms"] == scale[reference["name"]]
    assert [len(list(folder.iterdir())) for folder in (house.folder / "work").glob("*/a/*s")] == [0, 0]


def test_two_agents_share_and_a_killed_one_loses_and_doubles_nothing(house, database, key, order):
    first = order([SMALL], QUICK)
    house.serve(key)
    assert ended(house.agent(key, "--until-idle")) == 0  # calibrated
    slow = order([SMALL, MEDIUM] * 4, SLOW)
    agents = [house.agent(key, "--batch", "2", name=name) for name in ("a", "b")]
    wait_until(lambda: count(database, slow, "leased") == 4)
    victim = agents[0]
    with database.read() as session:
        (held,) = [
            lease
            for lease in lease_queries.open_leases(session, P, queries.find(session, P, Target, name="pi").id)
            if session.get_one(Agent, lease.agent_id).name == "a"
        ]
    victim.send_signal(signal.SIGKILL)
    victim.wait(30)
    wait_until(lambda: count(database, slow, "done") == 8)
    # More than 20 where a busy machine would have refused the latency.
    rounds = {result["timing"]["rounds"] for result in results(database, slow)}
    assert min(rounds) >= SLOW["rounds_max"] and max(rounds) <= PATIENCE * SLOW["rounds_max"]
    assert [row.id for row in leases(database, state="expired")] == [held.id]
    with database.read() as session:
        items = session.query(Item).filter(Item.order_id == slow).all()
        assert len(items) == 8 and all(item.lease_id != held.id for item in items)
        job = session.get_one(Job, session.get_one(Order, slow).job_id)
        assert (job.state, job.waiting_since) == ("queued", None)  # woken, once, by the last row
    agents[1].send_signal(signal.SIGINT)
    assert ended(agents[1]) == 130
    assert count(database, first, "done") == 1


def test_a_server_that_is_restarted_in_the_middle_changes_nothing(house, database, key, order):
    server = house.serve(key)
    id = order([SMALL, MEDIUM], SLOW)
    agent = house.agent(key, "--until-idle")
    wait_until(lambda: "measuring" in said(agent))
    server.kill()
    server.wait(30)
    wait_until(lambda: "trying again in" in said(agent))
    house.serve(key)
    assert ended(agent) == 0, said(agent)
    assert "the server answers again" in said(agent)
    assert count(database, id, "done") == 2
    assert len(leases(database)) == 1, said(agent)


def test_rows_that_were_measured_before_a_crash_are_told_by_the_next_agent(house, database, key, order):
    server = house.serve(key)
    id = order([SMALL, MEDIUM], SLOW)
    agent = house.agent(key)
    wait_until(lambda: "measuring" in said(agent))
    server.kill()
    server.wait(30)
    wait_until(lambda: list((house.folder / "work").glob("*/a/rows/*.json")))
    agent.kill()
    agent.wait(30)
    house.serve(key)
    second = house.agent(key, "--until-idle")
    assert ended(second) == 0, said(second)
    assert "2 rows were measured but not sent" in said(second)
    assert count(database, id, "done") == 2 and len(leases(database)) == 1


def test_an_interrupted_agent_gives_its_batch_back_at_once(house, database, key, order):
    house.serve(key)
    id = order([SMALL, MEDIUM], SLOW)
    agent = house.agent(key)
    wait_until(lambda: "measuring" in said(agent))
    agent.send_signal(signal.SIGINT)
    assert ended(agent) == 130
    assert "the batch is given back" in said(agent) and "Traceback" not in said(agent)
    assert count(database, id, "waiting") == 2
    assert [row.state for row in leases(database)] == ["closed"]


def test_what_the_server_refuses_ends_an_agent_with_a_message(house, database, key, order):
    order([])
    house.serve(key)
    wrong, nobody, unknown = (
        house.agent("nw_wrong"),
        house.agent(None, name="b"),
        house.agent(key, target="toaster", name="c"),
    )
    for agent in (wrong, nobody):
        assert ended(agent) == 1
        assert "401 unauthorized" in said(agent) and "Traceback" not in said(agent)
    assert ended(unknown) == 1 and "existing: pi" in said(unknown)
    working = house.agent(key, name="d")
    wait_until(lambda: "asking every" in said(working))
    twin = house.agent(key, name="d")
    assert ended(twin) == 1 and "is running on this machine" in said(twin)
    with database.write() as session:
        revoke_key(session, P, "device")
    assert ended(working) == 1
    assert "'device' was revoked" in said(working)


def test_rows_of_a_key_that_was_revoked_meanwhile_are_left_to_the_next_agent(house, database, key, order):
    server = house.serve(key)
    id = order([SMALL, MEDIUM], SLOW)
    agent = house.agent(key)
    wait_until(lambda: "measuring" in said(agent))
    server.kill()
    server.wait(30)
    wait_until(lambda: list((house.folder / "work").glob("*/a/rows/*.json")))
    with database.write() as session:
        revoke_key(session, P, "device")
        other = make_key(session, P, "other", ["agent"], target="pi")[1]
    house.serve(other)
    assert ended(agent) == 1 and "2 rows are kept in" in said(agent), said(agent)
    assert ended(house.agent(other, "--until-idle")) == 0
    assert count(database, id, "done") == 2


def test_an_agent_gives_up_on_a_server_that_stays_away(house):
    agent = house.agent("nw_any", "--patience", "2")
    assert ended(agent) == 5
    assert said(agent).count("trying again in") >= 2 and "no answer from" in said(agent)


def test_the_folder_of_agents_is_where_it_was_asked_for(house, key, order):
    order([])
    house.serve(key)
    agent = house.agent(key, "--once", name=None)
    assert ended(agent) == 0
    (path,) = (house.folder / "work").glob("*/*")
    assert (path / "lock").exists() and path.parent.name.startswith("tgt_") and isinstance(path, Path)
