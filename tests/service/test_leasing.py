"""Leases, the same on SQLite and PostgreSQL: nothing is given twice at once, nothing lost, nothing doubled."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from predictors.measuring.protocol import PROTOCOL_VERSION
from service.db.tables import Job, Lease, Target, now
from service.devices import lease_queries, leasing, results
from service.devices.lease_schemas import LeaseRenew, ResultsCreate
from service.devices.staleness import DRIFT_RUNS, drift_reason, stale_reason
from service.devices.waiting import look_after
from service.errors import ConflictError, InvalidError, LostLeaseError, OtherDeviceError
from service.runtime import job_queries, parts
from service.settings import Settings
from tests.service.lease_tools import (
    P,
    add_order,
    add_target,
    agent,
    calibrations,
    clean,
    description,
    row,
)


@pytest.fixture
def db(migrated):
    clean(migrated)
    return migrated


@pytest.fixture
def target(db):
    """A calibrated target that a device has shown itself to."""
    with db.write() as session:
        target = add_target(session, calibrations=calibrations())
        assert leasing.attach(target, description()) is None
        return target


def queued(db):
    """The jobs that a worker may take."""
    with db.read() as session:
        return list(session.scalars(sa.select(Job.id).where(Job.state == "queued")))


def take(db, target, name="a", most=16, seconds=60.0):
    with db.write() as session:
        row = lease_queries.locked_target(session, target.id)
        lease = leasing.take(session, row, agent(session, row, name), most, seconds)
        return leasing.view(session, lease, row) if lease else None


def bring(db, lease, rows, **more):
    with db.write() as session:
        held = leasing.held(session, P, lease.id)
        return results.record(session, *held, ResultsCreate(rows=rows, **more))


def let_expire(db, lease):
    with db.write() as session:
        session.get_one(Lease, lease.id).expires_at = now() - timedelta(seconds=1)


def states(db, order):
    with db.read() as session:
        return [item.state for item in parts.items_of(session, order.id)]


def test_an_order_is_shared_and_its_job_woken_by_the_last_row(db, target):
    with db.write() as session:
        job, order = add_order(session, target, nets=5)
    first, second = take(db, target, "a", most=3), take(db, target, "b", most=3)
    assert (len(first.items), len(second.items)) == (3, 2)
    assert {i.id for i in first.items}.isdisjoint(i.id for i in second.items)
    assert take(db, target, "c") is None
    assert bring(db, second, [row(i) for i in second.items]).recorded == 2
    assert queued(db) == []
    assert bring(db, first, [row(i) for i in first.items]).recorded == 3
    assert queued(db) == [job.id]
    with db.read() as session:
        woken = session.get_one(Job, job.id)
        assert (woken.state, woken.waiting_since) == ("queued", None)
        found = parts.items_of(session, order.id)
    assert [item.result["timing"]["latency_ms"] for item in found] == [0.5] * 5
    assert {item.result["provenance"]["agent"] for item in found} == {"a", "b"}


def test_an_order_placed_twice_is_measured_once(db, target):
    with db.write() as session:
        job, order = add_order(session, target)
    with db.write() as session:
        _, again = add_order(session, target, job=session.get_one(Job, job.id))
        assert again.id == order.id
        assert parts.count_items(session, order.id, "waiting") == 4


def test_an_expired_lease_goes_back_and_its_late_rows_never_double_others(db, target):
    with db.write() as session:
        _, order = add_order(session, target)
    late = take(db, target, "late")
    let_expire(db, late)
    other = take(db, target, "other", most=2)
    assert len(other.items) == 2
    told = bring(db, late, [row(i, latency_ms=0.6) for i in late.items])
    # What nobody else was given is still good; what others have is theirs.
    assert (told.recorded, told.known) == (2, 0)
    assert {fault.item for fault in told.refused} == {i.id for i in other.items}
    assert all(fault.field == "item" for fault in told.refused)
    assert bring(db, other, [row(i) for i in other.items]).recorded == 2
    assert states(db, order) == ["done"] * 4
    again = bring(db, other, [row(i, latency_ms=0.7) for i in other.items])
    assert (again.recorded, again.known) == (0, 2)
    with db.read() as session:
        found = [i.result["timing"]["latency_ms"] for i in parts.items_of(session, order.id)]
    assert found == [0.5, 0.5, 0.6, 0.6]


def test_rows_that_cannot_be_are_refused_and_the_rest_is_kept(db, target):
    with db.write() as session:
        _, order = add_order(session, target, nets=12)
    lease = take(db, target)
    raw = {"min": 0.49, "p50": 0.52, "p90": 0.6}
    wrong = [
        {"latency_ms": float("nan")},
        {"latency_ms": -1.0},
        {"latency_ms": 1e9},
        {"latency_ms": 0.0005},  # seconds
        {"raw_ms": {**raw, "p90": 0.5}},
        {"verdict": "fine"},
        {"latency_ms": None},
        {"verdict": "unsupported"},
        {"reference": {**row(lease.items[0])["reference"], "calibrated_ms": 0.31}},
        {"protocol_version": 0},
        {"rounds": "many"},
    ]
    rows = [row(item, **fault) for item, fault in zip(lease.items, wrong, strict=False)]
    told = bring(db, lease, [*rows, row(lease.items[11])])
    assert told.recorded == 1
    assert [fault.item for fault in told.refused] == [item.id for item in lease.items[:11]]
    assert [fault.field for fault in told.refused[:2]] == ["latency_ms", "latency_ms"]
    assert told.model_dump_json()  # no NaN in it
    assert states(db, order) == ["waiting"] * 11 + ["done"]


def test_another_file_than_the_one_given_is_a_mistake_and_nothing_is_recorded(db, target):
    with db.write() as session:
        _, order = add_order(session, target, nets=2)
    lease = take(db, target)
    with pytest.raises(InvalidError, match=r"rows\.1\.sha256"):
        bring(db, lease, [row(lease.items[0]), row(lease.items[1], sha256="f" * 64)])
    assert states(db, order) == ["leased"] * 2


def test_a_net_that_no_agent_comes_back_with_is_given_up(db, target):
    with db.write() as session:
        job, order = add_order(session, target, nets=1)
    for _ in range(leasing.MOST_ATTEMPTS):
        let_expire(db, take(db, target))
    assert take(db, target) is None
    assert states(db, order) == ["done"]
    with db.read() as session:
        (item,) = parts.items_of(session, order.id)
    assert item.result["timing"]["verdict"] == "refused"
    assert "3 times" in item.result["timing"]["error"]
    assert queued(db) == [job.id]


def test_a_released_lease_goes_back_at_once_and_costs_no_attempt(db, target):
    with db.write() as session:
        _, order = add_order(session, target, nets=2)
    for _ in range(leasing.MOST_ATTEMPTS + 1):
        lease = take(db, target)
        with db.write() as session:
            leasing.release(session, *leasing.held(session, P, lease.id))
    assert states(db, order) == ["waiting"] * 2
    with pytest.raises(ConflictError), db.write() as session:
        leasing.release(session, *leasing.held(session, P, lease.id))


def test_a_sign_of_life_keeps_a_lease_and_takes_back_what_nobody_has(db, target):
    with db.write() as session:
        job, order = add_order(session, target)
    lease = take(db, target)
    with db.write() as session:
        seen = leasing.renew(
            session, *leasing.held(session, P, lease.id), LeaseRenew(step="measure", done=10, total=20)
        )
        assert seen.expires_at > lease.expires_at and len(seen.items) == 4
        shown = session.get_one(Job, job.id)
        assert (shown.done, shown.total) == (2, 4)
        assert "round 10 of 20" in shown.message
    let_expire(db, lease)
    other = take(db, target, "other", most=1)
    with db.write() as session:
        held = leasing.held(session, P, lease.id)
        assert held[0].state == "expired"
        assert len(leasing.renew(session, *held, LeaseRenew()).items) == 3
    assert states(db, order) == ["leased"] * 4
    bring(db, lease, [row(i) for i in lease.items[1:]])
    with pytest.raises(LostLeaseError), db.write() as session:
        leasing.renew(session, *leasing.held(session, P, lease.id), LeaseRenew())
    assert [i.id for i in other.items] == [lease.items[0].id]


def test_only_one_agent_calibrates_and_all_are_on_its_scale(db):
    with db.write() as session:
        target = add_target(session)
        leasing.attach(target, description())
        add_order(session, target, nets=3)
    first = take(db, target, "a", most=1)
    assert first.calibrations is None
    assert take(db, target, "b", most=1) is None
    foreign = {**calibrations(), "small": {**calibrations()["small"], "sha256": "0" * 64}}
    with pytest.raises(InvalidError, match="calibrations"):
        bring(db, first, [row(first.items[0])], calibrations=foreign)
    bring(db, first, [row(first.items[0])], calibrations=calibrations())
    second = take(db, target, "b", most=1)
    assert second.calibrations == calibrations()
    other = {name: {**entry, "latency_ms": 9.0} for name, entry in calibrations().items()}
    bring(db, second, [row(second.items[0])], calibrations=other)
    assert take(db, target, "c").calibrations == calibrations()


def test_an_agent_of_another_protocol_does_not_set_the_scale(db):
    with db.write() as session:
        target = add_target(session)
        leasing.attach(target, description())
        add_order(session, target, nets=1)
    lease = take(db, target)
    old = [row(lease.items[0], protocol_version=PROTOCOL_VERSION - 1)]
    told = bring(db, lease, old, calibrations=calibrations())
    assert told.recorded == 0 and "update the agent" in str(told.refused[0].allowed)
    assert take(db, target).calibrations is None


def test_what_belongs_together_is_given_together(db, target):
    with db.write() as session:
        add_order(session, target, nets=5, together=True)
        add_order(session, target, nets=3)
    assert len(take(db, target, most=2).items) == 5
    assert len(take(db, target, most=2).items) == 2


def test_nets_of_a_job_that_has_ended_are_not_given(db, target):
    with db.write() as session:
        job, _ = add_order(session, target)
        job_queries.set_state(session, job_queries.locked_job(session, job.id), "cancelled")
    assert take(db, target) is None


def test_many_agents_at_once_get_every_net_once(db, target):
    with db.write() as session:
        _, order = add_order(session, target, nets=16)
    got, faults = [], []

    def work(name):
        try:
            while lease := take(db, target, name, most=2):
                got.extend(item.id for item in lease.items)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(f"agent-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(got) == len(set(got)) == 16


def test_another_device_is_refused_with_the_difference(db, target):
    with db.write() as session:
        row = lease_queries.locked_target(session, target.id)
        assert leasing.attach(row, description()) is None
        with pytest.raises(OtherDeviceError, match="cores is 4 there, 8 here"):
            leasing.attach(row, description(device={"cores": 8}))
        fresh = add_target(session, "wide")
        fresh.settings = {**fresh.settings, "threads": 16}
        with pytest.raises(OtherDeviceError, match="threads=16, this device has 4 cores"):
            leasing.attach(fresh, description())


def test_an_unknown_or_local_target_is_refused_with_the_choices(db, target):
    with db.write() as session:
        add_target(session, "here", kind="cpu")
        for name in ("nothing", "here"):
            with pytest.raises(InvalidError) as caught:
                leasing.target_of_agent(session, P, name)
            assert caught.value.errors[0].allowed == ["pi"]
        for name in ("pi", target.id):
            assert leasing.target_of_agent(session, P, name).id == target.id
        with pytest.raises(InvalidError):
            leasing.target_of_agent(session, "prj_other", "pi")


def test_a_new_runtime_makes_everything_stale(db, target):
    with db.write() as session:
        row = lease_queries.locked_target(session, target.id)
        reason = leasing.attach(row, description(runtime={"version": "1.21.0"}))
        assert "'1.20.0', is '1.21.0'" in reason
        assert stale_reason(row) is None
        row.valid_from = now()
        assert "refreshed" in stale_reason(row, now() - timedelta(days=1))
        assert stale_reason(row, now()) is None
        row.stale = {"reason": reason, "since": now().isoformat()}
        assert stale_reason(row, now()) == reason


@pytest.mark.parametrize(
    ("drifts", "word"),
    [
        ([1.2] * DRIFT_RUNS, "slower"),
        ([0.8] * DRIFT_RUNS, "faster"),
        ([1.2, 1.2, 1.1], None),
        ([1.2, 0.8, 1.2], None),
        ([1.2] * (DRIFT_RUNS - 1), None),
        ([], None),
    ],
)
def test_only_several_runs_off_in_the_same_direction_are_a_drift(drifts, word):
    reason = drift_reason(drifts)
    assert reason is None if word is None else word in reason


def test_the_drift_of_the_last_batches_is_remembered(db, target):
    with db.write() as session:
        add_order(session, target, nets=DRIFT_RUNS + 1)
    for number in range(DRIFT_RUNS + 1):
        lease = take(db, target, most=1)
        slow = {**row(lease.items[0])["reference"], "drift": 1.0 if number == 0 else 1.3}
        bring(db, lease, [row(lease.items[0], reference=slow)])
    with db.read() as session:
        known = session.get_one(Target, target.id)
        assert known.drifts == [1.3] * DRIFT_RUNS
        assert "slower" in stale_reason(known)


def test_a_waiting_job_says_that_no_agent_is_there_and_fails_only_where_that_is_set(db, target, tmp_path):
    with db.write() as session:
        job, order = add_order(session, target)
    patient = Settings(home=tmp_path, lease_s=1e-6)
    look_after(db, patient)
    with db.read() as session:
        told = session.get_one(Job, job.id)
        assert told.state == "running" and "4 nets wait for an agent of target 'pi'" in told.message
        assert "netwright agent" in told.message
    with db.write() as session:
        agent(session, target)
        session.get_one(Job, job.id).message = "an agent is here"
    look_after(db, Settings(home=tmp_path, lease_s=1000.0, agent_wait_s=1e-6))
    with db.read() as session:
        assert session.get_one(Job, job.id).message == "an agent is here"
    look_after(db, patient.model_copy(update={"agent_wait_s": 1e-6}))
    with db.read() as session:
        ended = session.get_one(Job, job.id)
        assert (ended.state, ended.error_code) == ("failed", "no_agent")
    assert states(db, order) == ["waiting"] * 4 and queued(db) == []


def test_a_worker_notices_overdue_leases_even_if_no_agent_asks(db, target, tmp_path):
    with db.write() as session:
        _, order = add_order(session, target)
    let_expire(db, take(db, target))
    look_after(db, Settings(home=tmp_path))
    assert states(db, order) == ["waiting"] * 4


def test_rows_that_came_before_the_job_rests_wake_it_when_it_does(db, target, tmp_path):
    with db.write() as session:
        job = job_queries.create_job(session, P, "measure", {})
        job_queries.set_state(session, job, "running")
        job, order = add_order(session, target, nets=1, job=job)
    lease = take(db, target)
    bring(db, lease, [row(lease.items[0])])
    assert queued(db) == []  # it has not begun to wait
    with db.write() as session:
        held = job_queries.locked_job(session, job.id)
        job_queries.rest(held)
        leasing.settle(session, order)
        assert held.state == "queued"
    assert queued(db) == [job.id]
