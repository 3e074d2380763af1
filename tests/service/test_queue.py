"""Which job a worker takes next, on both databases."""

import threading
from collections import Counter

import pytest
import sqlalchemy as sa

from service.db.tables import Job, Project
from service.ids import DEFAULT_PROJECT
from service.runtime import job_queries, queue
from service.settings import Settings
from tests.service.lease_tools import clean

ALL = queue.Share(("search", "train", "fit"))


@pytest.fixture
def db(migrated):
    clean(migrated)
    with migrated.write() as session:
        session.add(Project(id="prj_other", name="other"))
        for worker in ("wrk_a", "wrk_b"):
            job_queries.register_worker(session, worker, "host", 1)
    return migrated


def add(db, kind="search", project=DEFAULT_PROJECT, priority=0, short=False):
    with db.write() as session:
        job = job_queries.create_job(session, project, kind, {}, short=short)
        job.priority = priority
        return job.id


def claim(db, share=ALL, short=False, worker="wrk_a"):
    with db.write() as session:
        job = queue.claim(session, worker, share, short)
        return job.id if job is not None else None


def end(db, id, state="succeeded"):
    with db.write() as session:
        job_queries.set_state(session, session.get_one(Job, id), state)


def test_a_job_is_queued_by_the_transaction_that_writes_it(db):
    with pytest.raises(RuntimeError), db.write() as session:
        job_queries.create_job(session, DEFAULT_PROJECT, "fit", {})
        raise RuntimeError("the transaction is rolled back")
    assert claim(db) is None
    id = add(db, "fit")
    assert claim(db) == id
    with db.read() as session:
        job = session.get_one(Job, id)
        assert (job.state, job.worker_id, job.attempts) == ("running", "wrk_a", 1)
    assert claim(db) is None


def test_priority_comes_before_age(db):
    first, second = add(db), add(db)
    urgent, late = add(db, priority=5), add(db, priority=-1)
    assert [claim(db) for _ in range(5)] == [urgent, first, second, late, None]


def test_the_project_that_occupies_the_fewest_workers_is_next(db):
    mine = [add(db) for _ in range(3)]
    others = [add(db, project="prj_other") for _ in range(2)]
    assert [claim(db) for _ in range(5)] == [mine[0], others[0], mine[1], others[1], mine[2]]


def test_a_job_that_waits_for_devices_occupies_no_worker(db):
    resting, following = add(db), add(db)
    other = add(db, project="prj_other")
    assert claim(db) == resting
    with db.write() as session:
        job_queries.rest(session.get_one(Job, resting))
    assert claim(db) == following and claim(db) == other


def test_kinds_and_places(db):
    add(db, "train")
    quick = add(db, "fit", short=True)
    assert claim(db, queue.Share(("search",))) is None
    assert claim(db, short=True) == quick


def test_no_more_jobs_of_a_kind_run_than_its_limit(db):
    share = queue.Share(ALL.kinds, {"train": 1})
    first, second = add(db, "train"), add(db, "train")
    search = add(db)
    assert [claim(db, share) for _ in range(3)] == [first, search, None]
    end(db, first)
    assert claim(db, share) == second


def test_a_project_occupies_no_more_workers_than_its_quota(db):
    share = queue.Share(ALL.kinds, of_project=1)
    mine = [add(db) for _ in range(2)]
    other = add(db, project="prj_other")
    assert [claim(db, share) for _ in range(3)] == [mine[0], other, None]
    end(db, mine[0])
    assert claim(db, share) == mine[1]


def test_workers_that_claim_at_once_take_each_job_once_and_keep_the_limit(db):
    jobs = {add(db, "train") for _ in range(4)} | {add(db) for _ in range(12)}
    share, taken, failures = queue.Share(ALL.kinds, {"train": 2}), [], []

    def work(worker):
        try:
            while (id := claim(db, share, worker=worker)) is not None:
                taken.append(id)
        except Exception as error:  # reported below: an error in a thread would be lost
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in ("wrk_a", "wrk_b") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == [] and set(taken) <= jobs
    assert set(Counter(taken).values()) == {1} and len(taken) == 14
    with db.read() as session:
        running = sa.select(sa.func.count()).where(Job.kind == "train", Job.state == "running")
        assert session.scalar(running) == 2


def test_a_claim_whose_commit_an_outage_hid_is_found_again(db):
    id = add(db)
    with db.read() as session:
        assert queue.has_work(session, "wrk_a", ALL, short=False)
    claim(db)
    with db.read() as session:
        assert not queue.has_work(session, "wrk_b", ALL, short=False)
        assert queue.has_work(session, "wrk_a", ALL, short=False)
    with db.write() as session:
        assert [job.id for job in queue.orphans(session, "wrk_a", short=False)] == [id]
        assert queue.orphans(session, "wrk_a", short=True) == []


def test_settings_of_a_worker():
    settings = Settings(job_kinds="search, fit", job_limits="train=1, evaluate=4")
    assert settings.job_kinds == ["search", "fit"] and settings.job_limits == {"train": 1, "evaluate": 4}
    for wrong in ("train", "train=0", "train=many"):
        with pytest.raises(ValueError, match="kind=number"):
            Settings(job_limits=wrong)
