"""The same promises on SQLite and PostgreSQL."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from service.db import queries
from service.db.counts import add_measurements, count_measured
from service.db.session import _refuse_network_folder
from service.db.tables import JobEvent, Subnet, Supernet, Table, Target, Worker, now
from service.errors import InvalidError, NotFoundError, UnavailableError, WorkerLostError
from service.ids import DEFAULT_PROJECT, new_id
from service.measurements.queries import measured_rows
from service.runtime import job_queries
from service.supernets.queries import ensure_subnets

P = DEFAULT_PROJECT


@pytest.fixture
def db(migrated):
    """An empty database, but for the default project."""
    with migrated.write() as session:
        for table in reversed(Table.metadata.sorted_tables):
            session.execute(table.delete())
        queries.ensure_default_project(session)
    return migrated


def add_supernet(session, name="s"):
    row = Supernet(
        id=new_id("sup"),
        project_id=P,
        name=name,
        source="zoo",
        weights_sha256="0" * 64,
        manifest={"quality": "accuracy"},
        files={},
    )
    session.add(row)
    session.flush()
    return row


def add_target(session, name="t"):
    row = Target(
        id=new_id("tgt"),
        project_id=P,
        name=name,
        kind="cpu",
        settings={},
        description={},
        fingerprint="f",
        metrics=["latency_ms"],
    )
    session.add(row)
    session.flush()
    return row


def test_every_row_and_unique_key_carries_the_project():
    for table in Table.metadata.sorted_tables:
        if table.name in ("projects", "workers"):
            continue
        assert "project_id" in table.columns, table.name
        for constraint in table.constraints:
            if isinstance(constraint, sa.UniqueConstraint):
                assert "project_id" in constraint.columns, (table.name, constraint.name)


def test_another_project_sees_nothing(db):
    with db.write() as session:
        row = add_supernet(session)
    with db.read() as session:
        assert queries.get(session, P, Supernet, row.id).name == "s"
        with pytest.raises(NotFoundError):
            queries.get(session, "prj_other", Supernet, row.id)
        assert queries.page(session, "prj_other", Supernet, size=10, token=None) == ([], None)


def test_pages_hold_every_row_once_newest_first(db):
    with db.write() as session:
        same = now()
        rows = [add_target(session, f"t{number}") for number in range(7)]
        for row in rows[:4]:
            row.created_at = same
    seen, token = [], None
    with db.read() as session:
        while True:
            page, token = queries.page(session, P, Target, size=3, token=token)
            seen += [row.id for row in page]
            if token is None:
                break
        with pytest.raises(InvalidError):
            queries.page(session, P, Target, size=3, token="nonsense")
        times = [session.get_one(Target, id).created_at for id in seen]
    assert sorted(seen) == sorted(row.id for row in rows)
    assert times == sorted(times, reverse=True)


def test_an_unknown_id_or_name_lists_those_that_exist_the_nearest_first(db):
    with db.write() as session:
        row = add_target(session)
        with pytest.raises(InvalidError) as caught:
            queries.given(session, P, Target, "tgt_x", "target")
        assert caught.value.errors[0].allowed == [row.name]
        with pytest.raises(NotFoundError, match=f"the nearest names are '{row.name}'"):
            queries.get(session, P, Target, f"{row.name}s")


def test_a_row_is_found_by_id_or_name_within_its_project(db):
    with db.write() as session:
        row = add_target(session)
        for text in (row.id, row.name, f"  {row.name.upper()} "):
            assert queries.get(session, P, Target, text) is row
            assert queries.given(session, P, Target, text, "target") is row
            assert queries.filter_id(session, P, Target, text, "target") == row.id
            with pytest.raises(NotFoundError):
                queries.get(session, "prj_other", Target, text)
        assert queries.filter_id(session, P, Target, None, "target") is None


def test_rows_with_the_same_key_are_stored_once(db):
    with db.write() as session:
        supernet = add_supernet(session)
        archs = [(f"{n:016x}", {"depth": n}, {"macs": 1.0}) for n in range(3)]
        first = ensure_subnets(session, P, supernet.id, archs)
        again = ensure_subnets(session, P, supernet.id, [*archs, ("f" * 16, {"depth": 9}, {})])
        assert {key: again[key] for key in first} == first
        assert session.scalar(sa.select(sa.func.count()).select_from(Subnet)) == 4
        job = job_queries.create_job(session, P, "measure", {})
        for value in (1.0, 2.0):
            row = {
                "id": new_id("mea"),
                "project_id": P,
                "job_id": job.id,
                "step": "measure",
                "supernet_id": supernet.id,
                "subnet_id": first["0" * 16],
                "target_id": None,
                "metric": "accuracy",
                "scope": "split:validation",
                "split": "validation",
                "value": value,
                "spread": None,
                "n": 1,
                "statistic": "mean",
                "precision": "fp32",
                "protocol_version": None,
                "verdict": None,
                "details": {},
            }
            add_measurements(session, [row])
        found = measured_rows(session, P, supernet.id, "accuracy", "split:validation")
        assert [(arch, row.value) for arch, row in found] == [({"depth": 0}, 1.0)]
        assert count_measured(session, P, supernet.id, "accuracy", "split:validation") == 1


def test_moments_come_back_in_utc_and_null_json_as_none(db):
    with db.write() as session:
        row = add_target(session)
    with db.read() as session:
        again = session.get_one(Target, row.id)
        assert again.created_at == row.created_at
        assert again.created_at.utcoffset() == timedelta(0)
        assert again.calibrations is None
        assert session.scalar(sa.select(sa.func.count()).where(Target.calibrations.is_(None))) == 1


def test_a_write_that_reads_first_does_not_fail_beside_another(db):
    """Under WAL a deferred read-then-write fails at once when somebody wrote in between."""
    with db.write() as session:
        target = add_target(session)
        target.settings = {"count": 0}
    errors = []

    def add():
        try:
            for _ in range(20):
                with db.write() as session:
                    row = session.scalar(sa.select(Target).where(Target.id == target.id).with_for_update())
                    row.settings = {"count": row.settings["count"] + 1}
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with db.read() as session:
        assert session.get_one(Target, target.id).settings == {"count": 80}


def test_event_ids_grow_and_continue_from_any_of_them(db):
    with db.write() as session:
        jobs = [job_queries.create_job(session, P, "fit", {}) for _ in range(2)]
        for job in jobs:
            job_queries.add_log(session, job.id, ["a", "b"])
    with db.read() as session:
        events = job_queries.events_after(session, {job.id: 0 for job in jobs})
        assert [event.id for event in events] == sorted(event.id for event in events)
        assert [event.type for event in events if event.job_id == jobs[0].id] == ["state", "log", "log"]
        middle = events[1].id
        later = job_queries.events_after(session, {jobs[0].id: middle, jobs[1].id: 10**9})
        assert all(event.id > middle and event.job_id == jobs[0].id for event in later)
        assert job_queries.log_of(session, jobs[1].id) == ["a", "b"]
        assert job_queries.events_after(session, {}) == []


def test_a_step_that_finished_is_never_begun_again(db):
    with db.write() as session:
        job = job_queries.create_job(session, P, "fit", {})
        first = job_queries.begin_step(session, job, "fit", "wrk_a")
        second = job_queries.begin_step(session, job, "fit", "wrk_b")
        assert (first.execution, second.execution) == (1, 2)
        job_queries.finish_step(session, job, second.id, {"x": 1})
        again = job_queries.begin_step(session, job, "fit", "wrk_c")
        assert again.id == second.id and again.result == {"x": 1}
        assert len(job_queries.steps_of(session, job.id)) == 2


def test_one_worker_takes_a_dead_one_and_the_dead_one_may_not_write(db):
    with db.write() as session:
        for id in ("wrk_dead", "wrk_a", "wrk_b"):
            job_queries.register_worker(session, id, "host", 1)
    with db.read() as session:
        [dead] = job_queries.abandoned_workers(session, "wrk_a", {"wrk_dead"})
        assert dead.id == "wrk_dead"
        session.expunge_all()
    with db.write() as session:
        assert job_queries.claim_worker(session, dead, "wrk_a")
    with db.write() as session:
        assert not job_queries.claim_worker(session, dead, "wrk_b")
        assert not job_queries.beat(session, "wrk_dead")
        assert job_queries.beat(session, "wrk_a")
        with pytest.raises(WorkerLostError):
            job_queries.require_alive(session, "wrk_dead")
        job_queries.require_alive(session, "wrk_a")


def test_whoever_takes_over_and_dies_is_taken_over_too(db):
    with db.write() as session:
        for id in ("wrk_dead", "wrk_a", "wrk_b"):
            job_queries.register_worker(session, id, "host", 1)
        session.flush()
        dead = session.get_one(Worker, "wrk_dead")
        assert job_queries.claim_worker(session, dead, "wrk_a")
    with db.read() as session:
        assert job_queries.abandoned_workers(session, "wrk_b", {"wrk_dead"}) == []
    with db.write() as session:
        job_queries.stop_worker(session, "wrk_a")
    with db.read() as session:
        left = {worker.id for worker in job_queries.abandoned_workers(session, "wrk_b", {"wrk_dead"})}
    assert left == {"wrk_dead", "wrk_a"}
    with db.write() as session:
        job_queries.retire_worker(session, "wrk_dead")
    with db.read() as session:
        assert {w.id for w in job_queries.abandoned_workers(session, "wrk_b", {"wrk_dead"})} == {"wrk_a"}
        assert [w.id for w in job_queries.living_workers(session, 30)] == ["wrk_b"]


def test_reads_change_nothing(db):
    with db.read() as session:
        add_target(session)
    with db.read() as session:
        assert queries.find(session, P, Target, name="t") is None
        assert session.scalar(sa.select(sa.func.count()).select_from(JobEvent)) == 0


def test_sqlite_is_refused_on_a_network_file_system(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"proc / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    with pytest.raises(UnavailableError, match="nfs4"):
        _refuse_network_folder(tmp_path / "a.db", mounts)
    mounts.write_text("proc / ext4 rw 0 0\n")
    _refuse_network_folder(tmp_path / "a.db", mounts)


def test_a_supernet_with_networks_is_found_by_id_or_name(db):
    from service.supernets.checkpoints import named_network, network_names

    with db.write() as session:
        trained, space = add_supernet(session, "s"), add_supernet(session, "cells")
        trained.files = {"supernet.safetensors": {}}
    with db.read() as session:
        for text in (trained.id, "s"):
            assert named_network(session, P, text, "source").id == trained.id
        assert network_names(session, P) == ["s"]
        for text, reason in (
            (space.id, "space of a table"),
            ("cells", "space of a table"),
            ("x", "no supernet"),
        ):
            with pytest.raises(InvalidError, match=reason) as refused:
                named_network(session, P, text, "teacher")
            assert (refused.value.errors[0].field, refused.value.errors[0].allowed) == ("teacher", ["s"])
        with pytest.raises(InvalidError):
            named_network(session, "other", "s", "source")
