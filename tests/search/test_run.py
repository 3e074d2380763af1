import json

import numpy as np
import pytest

from search.constraints import Constraint
from search.errors import ProblemError, SurrogateError
from search.fronts.front import hypervolume, non_dominated
from search.fronts.measured import measured_front
from search.optimise import Stall, TracePoint, optimise
from search.profile import profile
from search.propose import propose
from tests.search.toy import Known, known_pair, toy_problem, toy_space


class Holes(Known):
    """Says nothing of use for some resolutions."""

    bad, value = (0,), np.nan

    def truth(self, archs):
        return np.where(np.isin(archs[:, 0], self.bad), self.value, super().truth(archs))


def holed(bad, value=np.nan, **more):
    space = toy_space()
    pair = known_pair(space)
    pair["accuracy", None] = Holes(space, pair["accuracy", None].weights, root=True)
    pair["accuracy", None].bad, pair["accuracy", None].value = bad, value
    return toy_problem(surrogates=pair, **more)


def test_no_arch_is_scored_twice_and_the_budget_is_kept():
    problem = toy_problem()
    seen = []
    result = optimise(
        problem, "nsga2", 1_234, seed=2, progress=lambda done, total: seen.append((done, total))
    )
    asked = np.concatenate(problem.surrogates["accuracy", None].asked)
    assert len(np.unique(asked, axis=0)) == len(asked) == len(result.archs) == 1_234
    assert result.stopped == "budget" and seen[-1] == (1_234, 1_234)


def test_the_trace_grows_to_the_hypervolume_of_the_front():
    result = optimise(toy_problem(max_latency=8.0), "nsga2", 1_000, seed=0)
    volumes = [point.hypervolume for point in result.trace]
    assert volumes == sorted(volumes) and result.trace[-1].evaluations == 1_000
    assert np.isclose(volumes[-1], hypervolume(result.scores[result.front()], result.reference))
    assert (result.violations[result.front()] == 0).all()


def test_same_seed_same_result():
    first, second = (optimise(toy_problem(max_latency=8.0), None, 900, seed=4) for _ in range(2))
    assert np.array_equal(first.archs, second.archs) and np.array_equal(first.reference, second.reference)


def test_a_small_space_is_enumerated_and_the_front_exact():
    problem = toy_problem(1, max_latency=5.0)
    result = optimise(problem, None, 5_000)
    assert result.stopped == "exhausted" and len(result.archs) == problem.space.size()
    scores, violation = problem.score(problem.space.enumerate())
    assert len(result.front()) == non_dominated(scores[violation == 0]).sum()


def test_archs_that_were_scored_before_count_and_are_not_asked_again():
    problem = toy_problem()
    first = optimise(problem, "nsga2", 300, seed=0)
    doubled = np.concatenate([first.archs, first.archs[:10]])
    second = optimise(problem, "nsga2", 500, seed=1, initial=doubled)
    assert np.array_equal(second.archs[:300], first.archs)
    assert len(np.unique(second.archs, axis=0)) == 500


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["nsga2", "unsga3", "local"])
def test_archs_without_a_finite_prediction_are_dropped_and_counted(name, value):
    result = optimise(holed((0,), value, max_latency=30.0), name, 1_000, seed=0)
    assert result.as_json()["dropped"] == result.dropped and result.as_json()["evaluations"] == 1_000
    assert 0 < result.dropped < 500 and len(result.archs) == 1_000 - result.dropped
    assert np.isfinite(result.scores).all() and (result.archs[:, 0] > 0).all()


def test_too_many_of_them_fail_with_the_reason():
    with pytest.raises(SurrogateError, match="NaN or infinite"):
        optimise(holed((0, 1, 2, 3)), "nsga2", 1_000)
    with pytest.raises(SurrogateError, match="NaN or infinite"):
        profile(holed((0, 1, 2, 3)), 0)


def test_a_search_stops_when_its_front_has_stopped_growing():
    result = optimise(toy_problem(), "nsga2", 50_000, seed=0, batch=100, stall=Stall(1_000))
    assert result.stopped == "stalled" and 2_000 <= len(result.archs) < 50_000
    last = result.trace[-1]
    then = [point.hypervolume for point in result.trace if point.evaluations <= last.evaluations - 1_000]
    assert last.hypervolume - then[-1] < 0.001 * last.hypervolume


def test_how_a_search_went_is_plain_json_with_its_fixed_reference():
    fixed = np.array([0.0, 40.0])
    result = optimise(toy_problem(), "nsga2", 300, seed=0, reference=fixed, stall=Stall(10_000))
    told = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert told["reference"] == [0.0, 40.0] and told["stopped"] == "budget" and told["feasible"]
    assert [point["evaluations"] for point in told["history"]][-1] == told["evaluations"] == 300
    assert np.isclose(told["history"][-1]["hypervolume"], hypervolume(result.scores, fixed))
    seconds = [point["seconds"] for point in told["history"]]
    assert seconds == sorted(seconds) and seconds[0] > 0
    assert Stall(50, gain=0.9).reached([TracePoint(**point) for point in told["history"]])


def test_a_reference_or_batch_that_makes_no_sense_is_refused():
    for reference in ([1.0], [1.0, float("nan")], [[1.0, 2.0]]):
        with pytest.raises(ProblemError, match="reference must be 2 finite numbers"):
            optimise(toy_problem(), None, 100, reference=np.array(reference))
    with pytest.raises(ProblemError, match="batch must be at least 1, got -1"):
        optimise(toy_problem(), None, 100, batch=-1)


def test_the_stop_rule_waits_for_a_front_and_for_enough_evaluations():
    flat = [TracePoint(n, 0.0, 1.0) for n in range(100, 2_000, 100)]
    assert not Stall(1_000).reached(flat) and Stall(900).reached(flat)
    assert not Stall(100).reached([TracePoint(n, 0.0, 0.0) for n in (100, 200, 300)])
    with pytest.raises(ProblemError, match="stop rule"):
        Stall(0)


@pytest.mark.parametrize("budget", [0, -3, 10**9, 1.5, True, float("nan")])
def test_an_impossible_budget_is_refused(budget):
    with pytest.raises(ProblemError, match="evaluations must"):
        optimise(toy_problem(), None, budget)


# --- propose ------------------------------------------------------------------------------------------


def test_proposals_are_new_members_and_repeat_from_the_seed():
    problem = toy_problem(std=0.5, max_latency=8.0)
    evaluated = problem.space.sample(np.random.default_rng(0), 40)
    rows = propose(problem, evaluated, 12, seed=3)
    assert len(rows) == len(np.unique(rows, axis=0)) == 12
    assert problem.space.member(rows).all()
    assert len(np.unique(np.concatenate([evaluated, rows]), axis=0)) == len(np.unique(evaluated, axis=0)) + 12
    assert np.array_equal(rows, propose(problem, evaluated, 12, seed=3))
    again = propose(problem, np.concatenate([evaluated, rows]), 12, seed=3)
    assert len(np.unique(np.concatenate([rows, again]), axis=0)) == 24


def test_half_the_proposals_keep_the_margin_and_the_others_go_to_the_limit():
    problem = toy_problem(std=0.5, max_latency=8.0)
    rows = propose(problem, np.zeros((0, problem.space.d)), 12, seed=0)
    safe, mean = problem.score(rows)[1] == 0, problem.score(rows, margin=False)[1] == 0
    assert safe[:6].all() and mean.all() and not safe.all()
    # Closest under the limit, with the margin and without it.
    assert problem.slack(rows[:6]).min() < 0.05 and problem.slack(rows[6:], margin=False).min() < 0.05


def test_proposals_lie_on_the_true_front_when_the_surrogates_know_the_truth():
    problem = toy_problem(1, max_latency=6.0)
    rows = propose(problem, np.zeros((0, problem.space.d)), 8, seed=0)
    scores, violation = problem.score(problem.space.enumerate())
    front = scores[violation == 0][non_dominated(scores[violation == 0])]
    assert all((front == score).all(axis=1).any() for score in problem.score(rows)[0])


def test_nothing_feasible_means_the_smallest_violation():
    problem = toy_problem(1, max_latency=0.01)
    rows = propose(problem, np.zeros((0, problem.space.d)), 6, seed=0)
    everything = problem.score(problem.space.enumerate())[1]
    assert np.isclose(problem.score(rows)[1].max(), np.sort(everything)[5])


def test_proposals_end_when_the_space_does():
    problem = toy_problem(1)
    everything = problem.space.enumerate()
    assert len(propose(problem, everything[:-3], 10, seed=0)) == 3
    assert len(propose(problem, everything, 10, seed=0)) == 0


# --- profile ------------------------------------------------------------------------------------------


def test_profile_gives_the_range_of_each_metric_and_says_satisfiable():
    problem = toy_problem(max_latency=8.0)
    answer = profile(problem, 0)
    ends = problem.predict(problem.space.encode([problem.space.min(), problem.space.max()]))[
        "latency_ms", "t"
    ]
    found = answer.metrics["latency_ms", "t"]
    assert (found.min, found.max) == tuple(ends) and found.min < found.centroid < found.max
    assert answer.satisfiable and answer.violation == 0
    assert {row["metric"] for row in answer.as_json()["metrics"]} == {"latency_ms", "accuracy"}


def test_profile_of_an_impossible_limit_names_the_nearest():
    problem = toy_problem(max_latency=0.01)
    answer = profile(problem, 0)
    assert not answer.satisfiable and answer.violation > 0 and answer.scored <= 2_300
    assert np.array_equal(answer.nearest, problem.space.encode([problem.space.min()])[0])


def test_profile_searches_where_no_probe_meets_the_limits():
    problem = toy_problem(1)
    rows = problem.space.enumerate()
    value = problem.predict(rows)
    # Both limits pass through one point of the true front, so that hardly anything else meets them.
    scores = problem.score(rows)[0]
    front = np.flatnonzero(non_dominated(scores))
    point = front[np.argsort(scores[front, 1])[len(front) // 2]]
    accuracy, latency = value["accuracy", None][point], value["latency_ms", "t"][point]
    tight = problem.with_constraints(
        [Constraint("latency_ms", "t", max=latency * 1.0001), Constraint("accuracy", min=accuracy * 0.9999)]
    )
    answer = profile(tight, 0)
    assert answer.satisfiable and np.array_equal(answer.nearest, rows[point]) and answer.scored > 300


# --- measured -----------------------------------------------------------------------------------------


def values(latency, accuracy):
    return {("latency_ms", "t"): np.array(latency), ("accuracy", None): np.array(accuracy)}


TWO = [("accuracy", None), ("latency_ms", "t")]


def test_only_what_measured_within_the_limit_is_on_the_front():
    truth = values([1.0, 2.0, 3.0, 2.0, np.nan], [0.7, 0.8, 0.9, 0.75, 0.99])
    judged = measured_front(truth, TWO, [Constraint("latency_ms", "t", max=2.5)])
    assert judged.feasible and judged.front.tolist() == [1, 0]
    assert judged.feasible_rows.tolist() == [True, True, False, True, False]
    assert judged.nearest is None and judged.unusable == 1


def test_nothing_feasible_gives_the_nearest_and_by_how_much():
    judged = measured_front(values([4.0, 3.0], [0.9, 0.8]), TWO, [Constraint("latency_ms", "t", max=2.0)])
    assert not judged.feasible and len(judged.front) == 0 and judged.nearest == 1
    (miss,) = judged.misses
    assert (miss.value, miss.excess) == (3.0, 0.5)


def test_measured_front_of_nothing_and_of_incomplete_values():
    assert not measured_front(values([], []), TWO).feasible
    with pytest.raises(ProblemError, match="latency_ms"):
        measured_front({("accuracy", None): np.array([1.0])}, TWO)
    with pytest.raises(ProblemError, match="same archs"):
        measured_front(values([1.0], [0.1, 0.2]), TWO)
