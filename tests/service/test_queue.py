"""Which job a worker takes next, on both databases."""

import threading
from collections import Counter

import pytest
import sqlalchemy as sa

from service.db.tables import Job, Order, Project
from service.ids import DEFAULT_PROJECT
from service.runtime import job_queries, parts, queue
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


def test_jobs_before_one_are_those_that_would_be_taken_first(db):
    ids = [add(db, priority=priority) for priority in (0, 0, 5, -1)]
    with db.read() as session:
        before = [job_queries.count_before(session, session.get_one(Job, id)) for id in ids]
    assert before == [1, 2, 0, 3]


def test_the_project_that_occupies_the_fewest_workers_is_next(db):
    mine = [add(db) for _ in range(3)]
    others = [add(db, project="prj_other") for _ in range(2)]
    assert [claim(db) for _ in range(5)] == [mine[0], others[0], mine[1], others[1], mine[2]]


def test_a_priority_puts_no_job_before_those_of_other_projects(db):
    """With one worker, which is free whenever it claims, projects are served in turn as well."""
    mine = [add(db, priority=100) for _ in range(4)]
    others = [add(db, project="prj_other", priority=-100), add(db, project="prj_other", priority=-50)]
    with db.read() as session:
        before = [job_queries.count_before(session, session.get_one(Job, id)) for id in (mine[0], others[0])]
    assert before == [1, 3]
    taken = []
    while (id := claim(db)) is not None:
        taken.append(id)
        end(db, id)
    assert taken == [mine[0], others[1], mine[1], others[0], mine[2], mine[3]]


def test_an_urgent_job_of_a_busy_project_waits_for_a_project_that_has_no_worker(db):
    running = [add(db), add(db)]
    assert [claim(db) for _ in range(2)] == running
    urgent, other = add(db, priority=100), add(db, project="prj_other")
    assert [claim(db) for _ in range(2)] == [other, urgent]


def test_parts_are_claimed_by_turns_of_projects_and_then_by_priority(db):
    jobs = {}
    for name, project, priority in (("urgent", DEFAULT_PROJECT, 5), ("usual", DEFAULT_PROJECT, 0),
                                    ("other", "prj_other", -5)):  # fmt: skip
        jobs[add(db, project=project, priority=priority)] = name
    for _ in jobs:
        claim(db)
    with db.write() as session:
        for id in jobs:
            project = session.get_one(Job, id).project_id
            parts.place_order(session, project, id, "evaluate", [{"request": {}}] * 2, task="t", target_id=None,
                              protocol={}, metrics=[], together=False, span=[])  # fmt: skip
    taken = []
    for _ in range(6):
        with db.write() as session:
            (item,) = parts.next_items(session, 1)
            lease = parts.make_lease(session, [item], 0.0, worker_id="wrk_b")
            queue.serve(session, lease.project_id)
            taken.append(jobs[session.get_one(Order, item.order_id).job_id])
    assert taken == ["other", "urgent", "other", "urgent", "usual", "usual"]


def test_a_job_that_waits_for_devices_occupies_no_worker(db):
    other = add(db, project="prj_other")
    assert claim(db) == other
    resting = add(db)
    assert claim(db) == resting
    with db.write() as session:
        job_queries.rest(session.get_one(Job, resting))
    next_other, following = add(db, project="prj_other"), add(db)
    assert claim(db) == following and claim(db) == next_other


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
