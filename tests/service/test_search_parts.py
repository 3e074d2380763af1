"""Searches that evaluate on a part of the images first: rows, costs, refusals, killed workers."""

import asyncio
import math

import numpy as np
import pytest

from service.db.tables import Measurement
from service.measurements.parts import PROMPTED
from service.runtime import job_queries
from service.search import job as search_job
from tests.service.test_errors import assert_problem
from tests.service.test_resources import both, fitted  # noqa: F401
from tests.service.test_search_inline import LIMIT, front_of, search  # noqa: F401
from tests.service.test_search_job import follow, http, job_of, processes  # noqa: F401

PART, ALL = 100, 360
KNOWN = 20  # what the rows of the fixture state


def rows_of(database, run, **conditions):
    with database.read() as session:
        return session.query(Measurement).filter_by(job_id=run.id, metric="accuracy", **conditions).all()


def test_what_may_be_on_the_front_is_evaluated_on_all_images_and_nothing_else(client, database, search):  # noqa: F811
    found, run = search(first_images=PART, budget={"evaluations": 16})
    assert found["evaluations"]["done"] == 16 and found["first_images"] == PART
    part = {row.subnet_id for row in rows_of(database, run, scope="part:validation")}
    whole = {row.subnet_id for row in rows_of(database, run, scope="split:validation")}
    front = {point["subnet"] for point in front_of(client, found)}
    assert {row.n for row in rows_of(database, run, scope="part:validation")} == {PART}
    # 16 of its own, and six that were known on all images, with which the part is compared.
    assert len(part) == 16 + 6
    assert 0 < len(whole) < 12 and whole <= part
    for point in front_of(client, found):
        assert point["validation"]["n"] in (ALL, KNOWN) and point["quality"]["split"] == "test"
    assert {row.subnet_id for row in rows_of(database, run, scope="split:test")} == front
    last = found["history"][-1]
    assert last["images"] == PART * len(part) + ALL * len(whole)
    assert last["images"] < ALL * 16 + PART * 6


def test_quality_is_refitted_after_each_choice(search):  # noqa: F811
    _, run = search(first_images=PART, budget={"evaluations": 16})
    asked = [name for name, _ in run.asked]
    assert {"choose 0", "choose 1", "choose last 0"} <= set(asked)
    for name in (each for each in asked if each.startswith("learn ")):
        chosen = run.records[name.replace("learn", "choose")]["rows"]
        assert chosen and {model.metric for model in run.requests[name].models} == {"accuracy"}


def test_without_the_field_or_with_0_a_small_data_set_is_evaluated_on_all_images(database, search):  # noqa: F811
    for changes in ({}, {"first_images": 0}):
        found, run = search(**changes)
        assert not rows_of(database, run, scope="part:validation")
        assert not [name for name, _ in run.asked if name.startswith(("choose", "pairs"))]
        assert found["history"][-1]["images"] == 8 * ALL


def test_the_offset_of_the_part_is_learned_from_pairs(database, search):  # noqa: F811
    _, run = search(first_images=PART, budget={"evaluations": 16})
    request = run.requests["choose 0"]
    values = [entry for entry in request.values if entry.metric == "accuracy"][0].values
    errors, archs = np.array(request.errors), request.evaluated
    macs = run._family.costs(np.array(archs))["macs"]
    truth = np.array([run._accuracy(each, None) for each in macs])
    parts = np.flatnonzero(errors > 0)
    assert len(parts) and len(errors) == len(values)
    assert np.abs(np.array(values)[parts] - truth[parts]).mean() < 0.01  # the part is .02 easier


def test_a_budget_in_images_is_kept_and_leaves_enough_for_the_front(client, database, search):  # noqa: F811
    found, run = search(first_images=PART, budget={"images": 4000})
    assert found["budget"] == {"evaluations": 40, "images": 4000, "seconds": None}
    last = found["history"][-1]
    assert 2000 < last["images"] <= 4000
    assert 0 < found["evaluations"]["done"] < 40
    assert front_of(client, found)


@pytest.mark.parametrize("images", [ALL + PART, ALL + 3 * PART, 2 * ALL])
def test_a_small_budget_in_images_is_kept_although_many_subnets_could_be_compared(search, images):  # noqa: F811
    found, run = search(first_images=PART, budget={"images": images})
    assert ALL + PART <= found["history"][-1]["images"] <= images
    assert found["evaluations"]["done"] >= 1 and found["feasible"] is True


def test_a_part_whose_row_was_replaced_keeps_a_finite_error(client, database, search):  # noqa: F811
    """Another job evaluates, on more images, all that a search evaluated on a part."""

    def replaced(run):
        really = run._evaluate

        def evaluate(request, progress):
            if request.images is None and request.split == "validation":
                with database.write() as session:
                    for row in session.query(Measurement).filter_by(scope="part:validation"):
                        row.n += 50
            return really(request, progress)

        run._evaluate = evaluate

    found, run = search(first_images=PART, prepare=replaced, budget={"evaluations": 16})
    assert found["evaluations"]["done"] == 16
    assert all(error >= 0 for name in run.requests for error in getattr(run.requests[name], "errors", []))


def a_second_each(run):
    """Evaluating a subnet on validation takes a second of the job, and nothing else takes any."""
    spent, really = [0.0], run._evaluate

    def evaluate(request, progress):
        count = len(request.population)
        if request.split == "validation":
            count = count if request.seconds is None else min(count, math.ceil(request.seconds))
            spent[0] += count
        population = request.population[:count]
        return really(request.model_copy(update={"population": population, "seconds": None}), progress)

    run._evaluate, run.active_seconds = evaluate, lambda _session: spent[0]


@pytest.mark.parametrize("seconds", [20, 30, 45])
def test_a_budget_in_seconds_holds_for_the_evaluations_on_all_images_too(search, seconds):  # noqa: F811
    found, run = search(
        prepare=a_second_each, first_images=PART, budget={"evaluations": 100, "seconds": seconds}
    )
    assert 0.75 * seconds <= run.active_seconds(None) <= seconds
    assert "ended early: the time is spent" in found["warnings"]
    last = [name for name, _ in run.asked if name.startswith(f"{PROMPTED} last")]
    assert last and run.records[last[0]]["evaluations"], "a quarter of the time is kept for these"
    assert found["feasible"] is True


def test_a_search_that_ran_out_of_time_is_continued_the_same_way(search):  # noqa: F811
    found, run = search(prepare=a_second_each, first_images=PART, budget={"evaluations": 100, "seconds": 25})
    before, written = list(run.asked), dict(run.records)
    asyncio.run(search_job.run(run))  # all of the time is spent when it begins
    assert run.asked == before and run.records == written


def test_an_extended_search_takes_more_images_and_evaluates_nothing_twice(database, search):  # noqa: F811
    first, before = search(first_images=PART)
    second, run = search(path=f"/v1/searches/{first['id']}:extend", images=2000)
    assert second["first_images"] == PART and second["budget"]["images"] == 2000
    assert second["evaluations"]["reused"] == 68
    for scope in ("part:validation", "split:validation"):
        old = {row.subnet_id for row in rows_of(database, before, scope=scope)}
        assert not old & {row.subnet_id for row in rows_of(database, run, scope=scope)}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"first_images": 360}, "first_images", "from 100 to 359, or all 360 images; got 360"),
        ({"first_images": 30}, "first_images", "from 100 to 359, or all 360 images; got 30"),
        ({"budget": {"images": 359}}, "budget.images", "at least 360: 360 for one subnet; got 359"),
        (
            {"budget": {"images": 400}, "first_images": 100},
            "budget.images",
            "at least 460: 100 and then all 360 for one subnet; got 400",
        ),
        ({"budget": {}}, "budget", "give 'evaluations', 'images', 'seconds' or several of them"),
    ],
)
def test_what_cannot_be_spent_is_refused(client, supernet, target, fitted, changes, field, words):  # noqa: F811
    body = {"supernet": supernet["id"], "targets": [target["id"]], "budget": {"evaluations": 8}} | changes
    answer = client.post("/v1/searches", json=body)
    assert answer.status_code == 422, answer.text
    problem = assert_problem(answer)
    assert words in problem.detail and problem.errors[0].field == field


def test_evaluations_on_a_part_are_rows_of_a_predictor(client, supernet):
    for images, words in ((400, "from 100 to 359, or all 360 images; got 400"), (5, "got 5")):
        answer = client.post(
            f"/v1/supernets/{supernet['id']}/evaluations", json={"count": 3, "images": images}
        )
        assert answer.status_code == 422
        problem = assert_problem(answer)
        assert words in problem.detail and problem.errors[0].field == "images"
    answer = client.post(f"/v1/supernets/{supernet['id']}/evaluations", json={"count": 3, "images": 100})
    assert answer.status_code == 202


def test_a_killed_worker_repeats_nothing_of_a_budget_in_images(
    http,  # noqa: F811
    processes,  # noqa: F811
    database,
    supernet,
    target,
    measured,
    fitted,  # noqa: F811
):
    body = {
        "supernet": supernet["id"],
        "targets": [target["id"]],
        "constraints": [{"metric": "latency_ms", "max": 0.03}],
        "budget": {"images": 1700, "evaluations": 4},
        "first_images": PART,
    }
    answer = http.post("/v1/searches", json=body)
    job, search_id = job_of(http, answer), answer.json()["id"]
    worker = processes("worker")
    follow(
        http,
        job,
        until=lambda _kind, data: data.get("step", "").startswith("fit 0") and data["state"] == "started",
    )
    worker.kill()
    worker.wait(10)
    processes("worker")
    assert follow(http, job)[-1][1]["state"] == "succeeded", http.get(f"/v1/jobs/{job}").json()
    with database.read() as session:
        steps = [each.step for each in job_queries.steps_of(session, job) if each.finished_at is not None]
        rows = session.query(Measurement).filter_by(job_id=job, metric="accuracy").all()
    assert len(steps) == len(set(steps)) and {"pairs", "pairs part", "choose 0"} <= set(steps)
    assert len(rows) == len({(row.subnet_id, row.scope) for row in rows})
    found = http.get(f"/v1/searches/{search_id}").json()
    spent = sum(row.n for row in rows if row.scope != "split:test")
    assert found["history"][-1]["images"] == spent <= 1700
    for point in http.get(f"/v1/searches/{search_id}/front").json()["points"]:
        assert point["validation"]["n"] in (ALL, KNOWN)
