"""The process that does the work of a job: killed from outside, and what of its words is public."""

from pathlib import Path

import pytest

import supernets.evaluate
from service.db import queries
from service.db.tables import Supernet
from service.ids import DEFAULT_PROJECT
from service.measurements.schemas import Selection
from service.measurements.selection import choose
from service.measuring.tasks import MeasureIn, _parts
from service.runtime import job_queries
from service.runtime.process import HIDDEN, PublicLines
from service.subnets.tasks import EvaluateIn, ExportIn, evaluate, export
from service.supernets.bench import bench_of, open_bench
from service.supernets.checkpoints import family_of
from supernets.evaluate import evaluate_arch
from tests.service.conftest import wait_for
from tests.service.test_worker import begun, folder  # noqa: F401


@pytest.mark.parametrize(("kills", "state", "code"), [(1, "succeeded", None), (2, "failed", "parked")])
def test_a_child_that_is_killed_from_outside_runs_once_more(
    database,
    workers,
    folder,  # noqa: F811
    kills,
    state,
    code,
):
    with database.write() as session:
        params = {"folder": str(folder), "kills": kills}
        job = job_queries.create_job(session, DEFAULT_PROJECT, "starve", params)
    worker = workers.start()
    done = wait_for(database, job.id)
    assert (done.state, done.error_code) == (state, code) and worker.poll() is None
    assert begun(folder)[0] == [0, 1]
    assert [(folder / f"nets {number}").read_text() for number in (0, 1)] == ["8", "4"]
    if code is not None:
        assert "status -9" in done.error_message and ":resume" in done.error_message
        assert "with 4 nets at once" in done.error_message and "fewer nets" in done.error_message


def test_what_a_program_error_says_is_in_the_log_of_the_worker_only(client, database, workers, settings):
    with database.write() as session:
        job = job_queries.create_job(session, DEFAULT_PROJECT, "leak", {})
    workers.start()
    done = wait_for(database, job.id)
    assert (done.state, done.error_code) == ("failed", "internal")
    answer = client.get(f"/v1/jobs/{job.id}").text + client.get(f"/v1/jobs/{job.id}/events").text
    for inside in (
        "Traceback",
        "hunter2",
        "SELECT",
        "RuntimeError",
        "KeyError",
        "/srv/inside",
        "small_jobs.py",
    ):
        assert inside not in answer, answer
    for shown in (job.id, "lib.py:7: UserWarning: careful", HIDDEN, "still going"):
        assert shown in answer, answer
    log = (settings.home / "worker.log").read_text()
    assert log.count("hunter2") >= 3 and "in leak_task" in log and "/srv/inside" in log


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("step 3 of 4 at 1/2 of http://host/a/b", "step 3 of 4 at 1/2 of http://host/a/b"),
        ("wrote /home/me/data/x.onnx, and ./a/b", "wrote x.onnx, and ./a/b"),
        (
            'Fatal Python error: Aborted\n\nCurrent thread 0x1 (most recent call first):\n  File "/a/b.py"',
            HIDDEN,
        ),
        (
            'Traceback (most recent call last):\n  File "/a/b.py"\nE: x\n[SQL: SELECT 1]\ngoes on',
            f"{HIDDEN}\ngoes on",
        ),
    ],
)
def test_lines_of_a_child_as_a_job_shows_them(written, shown):
    lines = PublicLines()
    assert "\n".join(filter(None, map(lines.of, written.split("\n")))) == shown


def test_less_memory_gives_the_same_results(database, settings, supernet):
    with database.read() as session:
        row = queries.get(session, DEFAULT_PROJECT, Supernet, supernet["id"])
        bench, family = bench_of(settings, row), family_of(row)
    rows = choose(family, Selection(count=3), for_latency=True)
    request = EvaluateIn(bench=bench, population=rows.tolist(), split="validation")
    less, how = request.smaller()
    assert (less.batch, less.bench.threads) == (64, 1) and "64 images" in how
    first, second = (evaluate(each, lambda *_: None).evaluations for each in (request, less))
    for one, other in zip(first, second, strict=True):
        assert one.value == pytest.approx(other.value, abs=2 / one.n) and one.n == other.n


def test_statistics_are_computed_once_for_validation_test_and_export(
    database, settings, supernet, monkeypatch
):
    with database.read() as session:
        row = queries.get(session, DEFAULT_PROJECT, Supernet, supernet["id"])
        spec, family = bench_of(settings, row), family_of(row)
    rows = choose(family, Selection(count=3), for_latency=True).tolist()
    bench = open_bench(spec)
    archs = family.space().decode(bench.population(rows))
    plain = [
        evaluate_arch(bench.supernet, bench.data, arch, split).as_json()
        for split in ("validation", "test")
        for arch in archs
    ]
    made = []
    inner = supernets.evaluate.calibrate
    monkeypatch.setattr(supernets.evaluate, "calibrate", lambda *args: made.append(args[3]) or inner(*args))
    found = []
    for split in ("validation", "test"):
        request = EvaluateIn(bench=spec, population=rows, split=split)
        found += evaluate(request, lambda *_: None).evaluations
    assert [each.model_dump(exclude={"part"}) for each in found] == plain
    exported = ExportIn(
        bench=spec,
        arch=archs[0].as_dict(),
        format="onnx",
        opset=18,
        precision="fp32",
        batch=None,
        quality=None,
    )
    export(exported, lambda *_: None)
    assert made == archs
    part = EvaluateIn(bench=spec, population=rows[:1], split="validation", images=100)
    evaluate(part, lambda *_: None)
    assert made == [*archs, archs[0]]  # statistics of fewer examples are others


@pytest.mark.parametrize(("nets", "parts"), [(1, 1), (3, 3), (10, 4)])
def test_a_measuring_run_in_parts_has_every_network_once_and_in_order(nets, parts):
    request = MeasureIn.model_construct(population=[[0]] * nets, parts=1)
    less, how = request.smaller()
    assert less.parts == parts and f"{parts} runs" in how
    files = {str(number): Path(str(number)) for number in range(nets)}
    found = _parts(files, less.parts)
    assert [name for part in found for name in part] == list(files)
    assert len(found) == parts and max(map(len, found)) - min(map(len, found)) <= 1
