"""Whole searches on made-up nets: what is known before, going on, several fronts, time, and stopping."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from search.errors import SurrogateError
from service.db.tables import Measurement, Predictor, Supernet
from service.ids import DEFAULT_PROJECT, new_id
from service.predictors.job import model_spec
from service.predictors.tasks import FitIn, fit
from service.search import job as search_job
from service.search.rounds.budget import PROBE, affordable, round_sizes
from service.supernets.bench import bench_of, model_scope
from service.supernets.checkpoints import family_of, manifest_of
from supernets.spaces.space import Arch
from tests.service.inline_job import run_inline
from tests.service.test_errors import assert_problem
from tests.service.test_predictors import evaluated_elsewhere
from tests.service.test_resources import both, fitted  # noqa: F401

LIMIT = 0.05


@pytest.fixture
def search(client, database, settings, supernet, target, fitted):  # noqa: F811
    """Starts a search (or what ``path`` says) and does it to its end; returns its JSON and what ran it."""

    def search(path="/v1/searches", prepare=lambda run: None, **changes):
        body = changes
        if path == "/v1/searches":
            body = {
                "supernet": supernet["id"],
                "targets": [target["id"]],
                "constraints": [{"metric": "latency_ms", "max": LIMIT}],
                "budget": {"evaluations": 8},
            } | changes
        answer = client.post(path, json=body)
        assert answer.status_code == 202, answer.text
        run = run_inline(database, settings, answer.json()["job"]["id"], prepare)
        return client.get(f"/v1/searches/{answer.json()['id']}").json(), run

    return search


def front_of(client, search):
    return client.get(f"/v1/searches/{search['id']}/front").json()["points"]


def steps(run, word):
    return {name: count for name, count in run.asked if name.startswith(word)}


def test_a_search_starts_from_everything_that_was_evaluated_before(client, database, search, measured):
    found, run = search()
    assert found["evaluations"] == {"done": 8, "budget": 8, "reused": 60}
    assert found["provenance"]["reused"] == 60 and found["feasible"] is True
    first = run.records["propose 0"]
    known = {tuple(row) for row in run.records["prepare"]["known"]["population"]}
    assert len(known) == 60 and not known & {tuple(row) for row in first["population"]}
    # What was known may be on the front; it was not predicted before it was seen.
    front = front_of(client, found)
    assert any(not point["predicted"] for point in front)
    assert all(point["measured"][0]["statistic"] == "made" for point in front)
    again, second = search()
    assert again["evaluations"]["reused"] == 68
    assert not {tuple(r) for r in first["population"]} & {
        tuple(r) for r in second.records["propose 0"]["population"]
    }


def test_what_lies_outside_the_restricted_space_is_not_reused(search, supernet, measured):
    found, run = search(restrict={"resolution": [24]})
    assert 0 < found["evaluations"]["reused"] < 60
    rows = run.records["prepare"]["known"]["population"] + run.records["propose 0"]["population"]
    assert len({row[0] for row in rows}) == 1


def test_half_known_archs_are_completed_and_not_measured_twice(client, database, search, supernet, measured):
    """A space of few archs, the smallest of which was measured but not evaluated."""
    smallest = client.get(f"/v1/supernets/{supernet['id']}/space").json()["smallest"]
    subnet = measured[Arch(tuple(smallest.items())).id]
    with database.write() as session:
        assert session.query(Measurement).filter_by(metric="accuracy", subnet_id=subnet).delete() == 1
    few = {axis: [choice] for axis, choice in smallest.items() if axis != "resolution"}
    found, run = search(restrict=few, constraints=[])
    done = found["evaluations"]["done"]
    assert done > 1 and found["evaluations"]["reused"] == 0
    ended, *others = found["warnings"]
    assert ended == "ended early: every subnet of the space is evaluated"
    assert all("less than their standard errors" in warning for warning in others)
    assert sum(steps(run, "evaluate").values()) == done
    assert sum(steps(run, "measure").values()) < done


def test_extending_evaluates_nothing_again(client, database, search):
    first, before = search()
    second, run = search(f"/v1/searches/{first['id']}:extend", evaluations=4)
    assert second["extends"] == first["id"] and second["id"] != first["id"]
    assert second["evaluations"] == {"done": 4, "budget": 4, "reused": 68}
    assert second["seed"] != first["seed"] and second["constraints"] == first["constraints"]
    assert second["provenance"]["predictors_before"] == first["provenance"]["predictors_after"]
    seen = before.records["prepare"]["known"]["population"] + before.records["propose 0"]["population"]
    assert not {tuple(row) for row in seen} & {tuple(row) for row in run.records["propose 0"]["population"]}
    # Confirmations stay what they were; only what was never confirmed is.
    before_front = {point["subnet"]: point["measured"] for point in front_of(client, first)}
    after_front = {point["subnet"]: point["measured"] for point in front_of(client, second)}
    kept = set(before_front) & set(after_front)
    assert kept and all(before_front[subnet] == after_front[subnet] for subnet in kept)
    # The front cannot get worse: same reference point, and everything known is still there.
    assert second["reference_point"] == first["reference_point"]
    assert second["history"][0]["hypervolume"] == pytest.approx(first["history"][-1]["hypervolume"])
    assert second["history"][-1]["hypervolume"] >= second["history"][0]["hypervolume"]
    assert client.get(f"/v1/searches/{first['id']}").json()["points"] == first["points"]


def test_other_limits_are_judged_without_any_evaluation(client, search):
    first, _ = search()
    limit = 0.03
    second, run = search(
        f"/v1/searches/{first['id']}:extend", constraints=[{"metric": "latency_ms", "max": limit}]
    )
    assert second["evaluations"] == {"done": 0, "budget": 0, "reused": 68}
    assert not any(name.startswith(("propose", "evaluate", "measure", "fit")) for name, _ in run.asked)
    front = front_of(client, second)
    assert front and all(point["measured"][0]["value"] <= limit for point in front)
    assert all(point["quality"] is not None for point in front)
    third, again = search(
        f"/v1/searches/{second['id']}:extend", constraints=[{"metric": "latency_ms", "max": limit}]
    )
    assert steps(again, "confirm") == {} and front_of(client, third)[0]["measured"] == front[0]["measured"]
    # Objectives that nobody predicted need no predictor where nothing is proposed.
    fourth, _ = search(f"/v1/searches/{first['id']}:extend", objectives=["accuracy", "macs"], constraints=[])
    assert fourth["objectives"] == ["accuracy", "macs"] and fourth["points"] >= 1
    assert all(point["measured"] for point in front_of(client, fourth))


def test_other_limits_that_nothing_meets_name_the_nearest(search):
    first, _ = search()
    path = f"/v1/searches/{first['id']}:extend"
    second, _ = search(path, constraints=[{"metric": "latency_ms", "max": 1e-6}])
    assert second["feasible"] is False and second["nearest"]["violations"][0]["excess"] > 1


def test_extensions_that_make_no_sense_are_refused(client, search, supernet, target):
    first, _ = search()
    path = f"/v1/searches/{first['id']}:extend"
    for body, field in (
        ({}, "evaluations"),
        ({"evaluations": -1}, "evaluations"),
        ({"seconds": 5}, "evaluations"),
        ({"objectives": ["beauty"]}, "objectives.0"),
        ({"constraints": [{"metric": "latency_ms", "max": 0}]}, "constraints.0"),
        ({"evaluations": 4, "algorithm": "guessing"}, "algorithm"),
        ({"restrict": {"resolution": [24]}}, "restrict"),
    ):
        assert assert_problem(client.post(path, json=body), 422).errors[0].field == field, body
    assert_problem(client.post("/v1/searches/sea_x:extend", json={"evaluations": 1}), 404)
    body = {"supernet": supernet["id"], "targets": [target["id"]], "budget": {"evaluations": 4}}
    running = client.post("/v1/searches", json=body).json()
    problem = assert_problem(
        client.post(f"/v1/searches/{running['id']}:extend", json={"evaluations": 4}), 409
    )
    assert "is queued" in problem.detail and problem.actions == []
    client.post(f"/v1/jobs/{running['job']['id']}:cancel")
    problem = assert_problem(
        client.post(f"/v1/searches/{running['id']}:extend", json={"evaluations": 4}), 409
    )
    assert problem.actions[0].path == f"/v1/jobs/{running['job']['id']}:resume"


# --- stopping ----------------------------------------------------------------------------------------


def test_a_search_stops_by_itself_when_its_front_has_stopped_growing(search):
    """Whatever the nets are, a gain of nearly all of the hypervolume is never reached."""
    stall = {"evaluations": 8, "gain": 0.99}
    found, run = search(budget={"evaluations": 64}, stall=stall)
    assert found["evaluations"]["done"] == 16 and found["stall"] == stall
    assert "ended early: the front has stopped growing" in found["warnings"]
    assert found["provenance"]["stopped"] == "the front has stopped growing"
    patient, _ = search(budget={"evaluations": 24}, stall={"gain": 0})
    assert patient["evaluations"]["done"] == 24


def test_the_history_has_a_point_a_round_and_never_falls(search):
    found, _ = search(budget={"evaluations": 24})
    history = found["history"]
    assert [point["evaluations"] for point in history] == [0, 8, 16, 24]
    volumes = [point["hypervolume"] for point in history]
    assert volumes == sorted(volumes) and volumes[-1] > 0
    assert [point["seconds"] for point in history] == sorted(point["seconds"] for point in history)
    assert {row["metric"] for row in found["reference_point"]} == {"accuracy", "latency_ms"}


def test_seconds_are_kept_within_a_round(search):
    """However fast the machine is, eight evaluations of 0.4 s take more than a second."""

    def slow(run):
        run.slow = {"evaluate": 0.4}

    found, run = search(prepare=slow, budget={"evaluations": 8, "seconds": 1.0})
    done = found["evaluations"]["done"]
    assert done < 8 and "ended early: the time is spent" in found["warnings"]
    assert found["provenance"]["rounds"] == [done]
    assert found["feasible"] is not None  # what is known is confirmed and returned all the same


@pytest.mark.parametrize(
    ("spent_s", "evaluations", "size"),
    [
        (0.0, 0, 8),
        (5.0, 0, 8),
        (10.0, 0, 0),
        (4.0, 8, 8),
        (5.0, 8, 8),
        (8.0, 16, 4),
        (9.9, 16, 0),
        (11.0, 16, 0),
    ],
)
def test_a_round_is_no_larger_than_the_time_left_allows(spent_s, evaluations, size):
    assert affordable(8, 10.0, spent_s, evaluations) == size
    assert affordable(8, None, spent_s, evaluations) == 8


def test_predictors_that_fell_behind_are_fitted_before_the_first_round(search):
    search(budget={"evaluations": 24})
    second, run = search(seed=1)
    assert {key[0] for key in run.records["behind"]["behind"]} == {"accuracy", "latency_ms"}
    refitted = {model["version"] for model in run.records["fit existing rows"]["models"]}
    before = {each["version"] for each in second["provenance"]["predictors_before"]}
    assert refitted and not refitted & before
    assert not [text for text in second["warnings"] if "stale" in text]
    # With nothing to evaluate nothing is asked of them, and nothing is fitted.
    looked, run = search(f"/v1/searches/{second['id']}:extend", constraints=[])
    assert "behind" not in run.records and looked["feasible"] is True


def test_where_time_is_bounded_a_small_round_tells_how_long_an_evaluation_takes(search):
    found, _ = search(budget={"evaluations": 40, "seconds": 600})
    assert found["provenance"]["rounds"][0] == PROBE and sum(found["provenance"]["rounds"]) == 40
    assert round_sizes(40, timed=True) == [PROBE, *round_sizes(40 - PROBE)]
    assert round_sizes(6, timed=True) == round_sizes(6)


def test_a_job_that_is_taken_over_goes_the_same_way_and_does_nothing_again(database, search):
    """Every step is answered from its record: what was proposed, measured and judged follows from these alone."""
    found, run = search(budget={"evaluations": 16})
    before, written = list(run.asked), dict(run.records)
    with database.read() as session:
        count = session.query(Measurement).count()
    asyncio.run(search_job.run(run))
    assert run.asked == before and run.records == written
    with database.read() as session:
        assert session.query(Measurement).count() == count


def refusing(share):
    """Runs whose latencies are refused as on a busy machine: of a step's subnets the first ``share(step)``."""

    def prepare(run):
        calm = run._measure

        def measure(request, progress):
            result = calm(request, progress)
            step, count = run.asked[-1]
            for index in range(round(share(step) * count)):
                changes = {"verdict": "refused", "latency_ms": None}
                result.timings[index] = result.timings[index].model_copy(update=changes)
            return result

        run._measure = measure

    return prepare


def test_refused_confirmations_are_measured_again(client, search, target):
    step = f"confirm 0 {target['id']}"
    shares = {step: 1.0, f"{step} again 1": 0.5, f"{step} again 2": 0.0}
    found, run = search(prepare=refusing(lambda name: shares.get(name, 0.0)))
    confirmed = steps(run, "confirm")
    assert list(confirmed) == list(shares)
    first, again, last = confirmed.values()
    assert first == again > 1 and last == round(0.5 * again)
    assert found["feasible"] is True and not [text for text in found["warnings"] if "refused" in text]
    points = front_of(client, found)
    assert points and all(point["measured"][0]["verdict"] == "good" for point in points)


def test_confirmations_that_stay_refused_end_a_search_and_its_extension_measures_them(client, search):
    found, run = search(prepare=refusing(lambda step: step.startswith("confirm")))
    confirmed = steps(run, "confirm 0")
    assert len(confirmed) == 3 and len(set(confirmed.values())) == 1
    assert found["feasible"] is False and found["nearest"] is None
    assert any("confirmations on" in text and "refused" in text for text in found["warnings"])
    assert run.outcome.startswith("no subnet could be judged")
    extended, again = search(f"/v1/searches/{found['id']}:extend", constraints=[])
    assert extended["feasible"] is True and front_of(client, extended)
    assert sum(steps(again, "confirm").values()) >= next(iter(confirmed.values()))


def test_progress_counts_evaluations_up_to_the_budget(search):
    _, run = search(budget={"evaluations": 20})
    assert {total for _, _, total in run.windows} == {20}
    starts = [start for start, _, _ in run.windows]
    assert starts == sorted(starts) and run.windows[-1][1] == 20


# --- several targets ---------------------------------------------------------------------------------


def twice_on_batch_8(run):
    run.latency = lambda macs, batch: (0.01 + 1.1e-7 * macs) * (2 if batch == 8 else 1)


def test_one_front_a_target_in_one_search(client, search, both):  # noqa: F811
    fast, slow = both
    found, run = search(
        prepare=twice_on_batch_8,
        targets=[fast, slow],
        front="per_target",
        constraints=[{"metric": "latency_ms", "target": slow, "max": 0.05}],
    )
    assert found["evaluations"] == {"done": 8, "budget": 8, "reused": 0}  # nothing was known of both
    points = front_of(client, found)
    assert {point["target"] for point in points} == {fast, slow}
    for point in points:
        assert {row["target"] for row in point["measured"]} == {fast, slow}
    latency = {id: [true(point, id) for point in points if point["target"] == id] for id in both}
    assert all(value <= 0.05 for value in latency[slow])
    assert max(latency[fast]) > 0.025  # the limit names the other target
    assert {row["target"] for row in found["history"]} == {fast, slow}
    one = client.get(f"/v1/searches/{found['id']}/front", params={"target": slow, "pick": "knee"}).json()
    assert [point["target"] for point in one["points"]] == [slow]
    each = client.get(f"/v1/searches/{found['id']}/front", params={"pick": "best"}).json()["points"]
    assert [point["target"] for point in each] == sorted(both)
    # Another limit, per target, from what is known alone.
    again, _ = search(
        f"/v1/searches/{found['id']}:extend",
        constraints=[{"metric": "latency_ms", "target": fast, "max": 1e-5}],
    )
    assert {point["target"] for point in front_of(client, again)} == {slow} and again["feasible"] is True


def test_one_shared_front_counts_the_worst_target(client, search, both):  # noqa: F811
    fast, slow = both
    limits = [
        {"metric": "latency_ms", "target": slow, "max": 0.05},
        {"metric": "latency_ms", "target": fast, "max": 0.2},
    ]
    # Two rows of the second target are too few to fit its predictor to: it stays as it is.
    found, run = search(
        prepare=twice_on_batch_8, targets=[fast, slow], constraints=limits, budget={"evaluations": 2}
    )
    before, after = (found["provenance"][f"predictors_{when}"] for when in ("before", "after"))
    kept = {each["target"] for each, then in zip(before, after, strict=True) if each == then}
    assert kept == {slow}
    points = front_of(client, found)
    assert points and {point["target"] for point in points} == {None}
    assert all(true(point, slow) <= 0.05 for point in points)
    worst = [max(true(point, fast), true(point, slow)) for point in points]
    quality = [point["validation"]["value"] for point in points]
    assert quality == sorted(quality, reverse=True) and worst == sorted(worst, reverse=True)
    whole, _ = search(f"/v1/searches/{found['id']}:extend", constraints=[])
    assert whole["evaluations"]["reused"] == 2


def test_a_target_without_hope_leaves_its_share_to_the_other(client, search, both):  # noqa: F811
    fast, slow = both
    found, run = search(
        prepare=twice_on_batch_8,
        targets=[fast, slow],
        front="per_target",
        constraints=[{"metric": "latency_ms", "target": slow, "max": 1e-6}],
    )
    assert found["evaluations"]["done"] == 8 and found["feasible"] is True
    assert {point["target"] for point in front_of(client, found)} == {fast}
    [warning] = [text for text in found["warnings"] if "nothing met the limits" in text]
    assert f"on target {slow}" in warning and "the nearest misses latency_ms by" in warning
    assert fast not in warning and run.outcome.startswith(f"{len(front_of(client, found))} point")


def true(point, target):
    [value] = [row["value"] for row in point["measured"] if row["target"] == target]
    return value


def test_searches_are_found_by_state_and_labels(client, search):
    found, _ = search(labels={"team": "vision", "run": "2"})

    def listed(**query):
        return [row["id"] for row in client.get("/v1/searches", params=query).json()["items"]]

    assert listed(state="succeeded", label=["team=vision", "run=2"]) == [found["id"]]
    assert listed(state="running") == [] and listed(label="team=audio") == []
    assert listed(label=["team=vision", "run=3"]) == [] and listed(label="nothing=2") == []
    assert_problem(client.get("/v1/searches", params={"label": "vision"}), 422)
    assert_problem(client.get("/v1/searches", params={"state": "asleep"}), 422)


# --- any metric --------------------------------------------------------------------------------------


@pytest.fixture
def memory(client, database, supernet, target, fitted):  # noqa: F811
    """A predictor of the memory that nets take, as they are made up."""
    from predictors import PREDICTORS

    store = client.app.state.services.store
    with database.write() as session:
        row = session.get_one(Supernet, supernet["id"])
        family = family_of(row)
        population = np.unique(family.space().sample(np.random.default_rng(0), 60), axis=0)
        model = PREDICTORS.load("bayesian_linear")(
            family, model_scope(manifest_of(row), "peak_memory_mb", target["id"])
        )
        model.fit(population, 1.0 + family.costs(population)["macs"] / 1e5)
        known = session.get_one(Predictor, fitted["latency_ms"])
        copied = {c.name: getattr(known, c.name) for c in Predictor.__table__.columns}
        changed = {"id": new_id("prd"), "metric": "peak_memory_mb", "version": store.put(model.dump())}
        session.add(Predictor(**copied | changed))


def test_memory_is_limited_beside_latency_size_and_quality(client, search, target, memory):
    limits = [
        {"metric": "latency_ms", "max": 0.04},
        {"metric": "peak_memory_mb", "max": 2.0},
        {"metric": "size_mb", "max": 1.0},
        {"metric": "accuracy", "min": 0.5},
        {"metric": "macs", "min": 100.0},
    ]
    found, run = search(constraints=limits)
    assert found["evaluations"] == {"done": 8, "budget": 8, "reused": 0}  # of what was known, memory was not
    assert sum(steps(run, "measure 0").values()) == 8
    points = front_of(client, found)
    assert points and found["feasible"] is True
    for point in points:
        measured = {row["metric"]: row["value"] for row in point["measured"]}
        assert set(measured) == {"latency_ms", "peak_memory_mb"} and measured["peak_memory_mb"] <= 2.0
        assert {row["metric"] for row in point["predicted"]} == {"accuracy", "latency_ms", "peak_memory_mb"}
    tight, _ = search(
        f"/v1/searches/{found['id']}:extend", constraints=[{"metric": "peak_memory_mb", "max": 1e-3}]
    )
    assert tight["evaluations"]["reused"] == 8 and tight["feasible"] is False
    [miss] = tight["nearest"]["violations"]
    assert miss["metric"] == "peak_memory_mb" and miss["value"] > 1.0
    best = client.get(
        f"/v1/searches/{found['id']}/front", params={"pick": "best", "max_peak_memory_mb": 2.0}
    ).json()
    assert "with peak_memory_mb <= 2" in best["points"][0]["reason"]


def test_memory_may_be_an_objective(client, search, memory):
    found, _ = search(objectives=["accuracy", "peak_memory_mb", "params"], constraints=[])
    assert front_of(client, found) and len(found["reference_point"]) == 3
    assert found["history"][-1]["hypervolume"] > 0


def test_what_cannot_be_done_is_refused_with_what_can(client, database, supernet, target, fitted):  # noqa: F811
    body = {"supernet": supernet["id"], "targets": [target["id"]], "budget": {"evaluations": 4}}
    energy = {"constraints": [{"metric": "energy_mj", "max": 5}]}
    problem = assert_problem(client.post("/v1/searches", json=body | energy), 422)
    assert problem.errors[0].field == "constraints.0.metric" and "latency_ms" in problem.errors[0].allowed
    problem = assert_problem(
        client.post("/v1/searches", json=body | {"objectives": ["accuracy", "peak_memory_mb"]}), 422
    )
    assert problem.code == "predictors_missing"
    assert problem.actions[0].body == {
        "supernet": supernet["id"], "target": target["id"], "metric": "peak_memory_mb"
    }  # fmt: skip
    many = {"objectives": ["accuracy", "latency_ms", "params", "macs", "size_mb"], "algorithm": "smsemoa"}
    problem = assert_problem(client.post("/v1/searches", json=body | many), 422)
    assert problem.code == "bad_algorithm" and "unsga3" in problem.detail
    problem = assert_problem(client.post("/v1/searches", json=body | {"algorithm": "exhaustive"}), 422)
    assert problem.code == "bad_algorithm" and "restrict" in problem.detail


@pytest.mark.parametrize("algorithm", ["nsga2", "random", "unsga3"])
def test_other_algorithms_search_on_the_predictors(search, algorithm):
    found, _ = search(algorithm=algorithm, budget={"evaluations": 4})
    assert found["algorithm"] == algorithm and found["evaluations"]["done"] == 4


def test_too_many_predictions_that_are_no_numbers_end_a_search_with_the_reason(search, monkeypatch):
    from predictors.latency.bayesian_linear import BayesianLinear

    def nothing(self, archs):
        return np.full(len(archs), np.nan), np.ones(len(archs))

    def broken(run):
        monkeypatch.setattr(BayesianLinear, "predict", nothing)

    with pytest.raises(SurrogateError, match="of latency_ms on tgt_.*fit that predictor again"):
        search(prepare=broken)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_evaluations_elsewhere_are_used_by_itself_and_switched_off_by_one_field(
    database,
    settings,
    search,
    supernet,
    measured,
    fitted,  # noqa: F811
    elsewhere,
):
    with database.write() as session:
        row = session.get_one(Supernet, supernet["id"])
        other = evaluated_elsewhere(session, row, 60)
        predictor = session.get_one(Predictor, fitted["accuracy"])
        job = SimpleNamespace(settings=settings, project=DEFAULT_PROJECT, id="job_made")
        wanted = model_spec(session, job, row, "accuracy", None, "quality_transfer")
        assert [each.target for each in wanted.known] == [other]
        request = FitIn(bench=bench_of(settings, row), models=[wanted], report=False)
        model = fit(request, lambda *_: None).models[0]
        predictor.kind, predictor.version = model.kind, model.version
    found, run = search(elsewhere=elsewhere)
    (used,) = [each for each in found["provenance"]["predictors_after"] if each["metric"] == "accuracy"]
    assert used["kind"] == ("quality_transfer" if elsewhere else "gaussian_process")
    assert ("fit existing rows" in run.records) == (not elsewhere)
    uses = [(each["supernet"], each["rows"]) for each in found["elsewhere"]]
    assert uses == ([(other, 60)] if elsewhere else [])
    assert all(0 <= each["weight"] <= 1 for each in found["elsewhere"])
    assert found["feasible"] is True
