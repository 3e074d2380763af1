"""What a job tells of itself while a step runs."""

import asyncio
from types import SimpleNamespace

from service.db.tables import Job
from service.ids import DEFAULT_PROJECT
from service.runtime import context as run_module
from service.runtime import job_queries
from service.runtime.clock import LivingClock
from service.runtime.context import WorkContext


def telling(monkeypatch, script):
    """Run ``script(run, told)`` on a loop, with a job that tells nobody but ``told``."""
    monkeypatch.setattr(run_module, "PROGRESS_EVERY_S", 0.05)
    told = []

    async def main():
        run = WorkContext(None, None, "wrk_1", "job_1", "prj_1", {}, SimpleNamespace(), LivingClock(1.0))
        run.window(0, 100, 100)
        monkeypatch.setattr(run, "_write_progress", lambda *line: told.append(line))
        await script(run)

    asyncio.run(main())
    return told


def test_the_last_line_before_a_long_silence_is_told_though_it_came_soon_after_another(monkeypatch):
    async def script(run):
        run._progress(60, 100, "compared trees", {"losses": {"max": 1.0}})
        run._progress(60, 100, "fitting transfer")
        run._progress(61, 100, "fitting transfer to 10000 rows", {"losses": {}})
        await asyncio.sleep(0.5)

    told = telling(monkeypatch, script)
    assert [line[2] for line in told] == ["compared trees", "fitting transfer to 10000 rows"]
    assert told[0][3] == {"losses": {"max": 1.0}} and told[1][0] == 61


def test_a_step_that_is_over_tells_no_more(monkeypatch):
    async def script(run):
        run._progress(1, 2, "at it")
        run._progress(2, 2, "nearly there")
        run._cancel_pending_progress()
        await asyncio.sleep(0.5)

    assert [line[2] for line in telling(monkeypatch, script)] == ["at it"]


def test_a_job_that_is_continued_does_not_start_its_bar_again(database, settings):
    with database.write() as session:
        job = job_queries.create_job(session, DEFAULT_PROJECT, "count", {})
    run = WorkContext(
        database, settings, "wrk_1", job.id, DEFAULT_PROJECT, {}, SimpleNamespace(), LivingClock(1.0)
    )
    run.share = 60 / 200

    def shown(done, total):
        run._write_progress(done, total, "again")
        with database.read() as session:
            row = session.get_one(Job, job.id)
            return row.done, row.total

    assert shown(0, 200) == (60, 200) and shown(3, 200) == (60, 200)
    assert shown(80, 200) == (80, 200) and shown(1, 2) == (1, 2) and shown(100, 400) == (200, 400)
