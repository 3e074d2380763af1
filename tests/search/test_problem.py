import numpy as np
import pytest

from search.constraints import Constraint
from search.errors import ConstraintError, MissingPredictorError, ProblemError, SurrogateError
from search.problem import Objective, Problem
from supernets.errors import UnknownNameError
from tests.search.toy import OBJECTIVES, Known, known_pair, toy_costs, toy_problem, toy_space

SPACE = toy_space()
ROWS = SPACE.sample(np.random.default_rng(0), 50)


def test_scores_are_minimised_and_feasible_means_zero():
    problem = toy_problem(max_latency=9.0)
    scores, violation = problem.score(ROWS)
    values = problem.predict(ROWS)
    assert np.array_equal(scores[:, 0], -values["accuracy", None])
    assert np.array_equal(scores[:, 1], values["latency_ms", "t"])
    assert np.allclose(violation, np.maximum(scores[:, 1] - 9.0, 0) / 9.0)
    assert np.array_equal(violation == 0, problem.slack(ROWS)[:, 0] >= 0)


def test_the_margin_moves_each_limit_to_its_safe_side():
    limits = [Constraint("latency_ms", "t", max=9.0), Constraint("accuracy", min=0.45)]
    problem = Problem(
        SPACE, OBJECTIVES, surrogates=known_pair(SPACE, std=1.0), constraints=limits, confidence=0.9
    )
    mean = problem.predict(ROWS)
    safe = 1.2815515655446004
    late = np.maximum(mean["latency_ms", "t"] + safe - 9.0, 0) / 9.0
    bad = np.maximum(0.45 - (mean["accuracy", None] - safe / 20), 0) / 0.45
    assert np.allclose(problem.score(ROWS)[1], late + bad)
    plain = problem.score(ROWS, margin=False)[1]
    assert (plain <= problem.score(ROWS)[1]).all() and (plain < problem.score(ROWS)[1]).any()
    assert np.array_equal(problem.score(ROWS)[0], problem.score(ROWS, margin=False)[0])


def test_closed_forms_are_exact_and_need_no_surrogate():
    problem = toy_problem(
        objectives=[("accuracy", None), ("params", None)], costs=toy_costs
    ).with_constraints([Constraint("macs", max=3.0)])
    scores, violation = problem.score(ROWS)
    assert np.array_equal(scores[:, 1], toy_costs(ROWS)["params"])
    assert np.array_equal(violation > 0, ROWS[:, 0] > 2)
    assert np.array_equal(violation, problem.score(ROWS, margin=False)[1])


def test_a_shared_front_takes_the_worst_target():
    pair = known_pair(SPACE)
    other = known_pair(SPACE, seed=1)["latency_ms", "t"]
    surrogates = {**pair, ("latency_ms", "u"): other}
    problem = Problem(SPACE, [("accuracy", None), Objective("latency_ms", ("t", "u"))], surrogates=surrogates)
    both = np.maximum(pair["latency_ms", "t"].truth(ROWS), other.truth(ROWS))
    assert np.array_equal(problem.score(ROWS)[0][:, 1], both)


def test_bad_problems_are_refused():
    pair = known_pair(SPACE)
    with pytest.raises(ProblemError, match="at least one objective"):
        Problem(SPACE, [], surrogates=pair)
    with pytest.raises(ProblemError, match="objectives must differ"):
        Problem(SPACE, [*OBJECTIVES, OBJECTIVES[0]], surrogates=pair)
    for twin in (("t",), ("t", "t")):
        with pytest.raises(ProblemError, match="objectives must differ"):
            Problem(SPACE, [*OBJECTIVES, Objective("latency_ms", twin)], surrogates=pair)
    with pytest.raises(ProblemError, match="needs at least one target"):
        Problem(SPACE, [Objective("latency_ms", ())], surrogates=pair)
    with pytest.raises(ConstraintError, match="min <= max must hold for latency_ms@t, got min 9 and max 8"):
        limits = [Constraint("latency_ms", "t", max=8), Constraint("latency_ms", "t", min=9)]
        Problem(SPACE, OBJECTIVES, surrogates=pair, constraints=limits)
    with pytest.raises(UnknownNameError, match="unknown metric 'speed'"):
        Problem(SPACE, [("speed", None)], surrogates=pair)
    with pytest.raises(
        MissingPredictorError, match=r"none of 'latency_ms' on target 'u'.*predicted so far: latency_ms@t"
    ):
        Problem(SPACE, [("latency_ms", "u")], surrogates=pair)
    with pytest.raises(MissingPredictorError, match="'energy_mj'"):
        Problem(SPACE, OBJECTIVES, surrogates=pair, constraints=[Constraint("energy_mj", "t", max=1)])
    with pytest.raises(MissingPredictorError, match="'params'"):
        Problem(SPACE, [("params", None)], surrogates=pair)
    for confidence in (0.0, 0.3, 1.0, float("nan")):
        with pytest.raises(ProblemError, match="confidence"):
            Problem(SPACE, OBJECTIVES, surrogates=pair, confidence=confidence)


def test_predictions_of_the_wrong_shape_are_refused():
    class Wrong(Known):
        def truth(self, archs):
            return super().truth(archs)[:-1]

    pair = known_pair(SPACE)
    pair["accuracy", None] = Wrong(SPACE, pair["accuracy", None].weights)
    with pytest.raises(SurrogateError, match="shape"):
        toy_problem(surrogates=pair).score(ROWS)


def test_rows_without_a_finite_prediction_are_infinitely_bad():
    class Holes(Known):
        def truth(self, archs):
            return np.where(archs[:, 0] == 0, np.nan, super().truth(archs))

    pair = known_pair(SPACE)
    pair["accuracy", None] = Holes(SPACE, pair["accuracy", None].weights)
    scores, violation = toy_problem(surrogates=pair).score(ROWS)
    holes = ROWS[:, 0] == 0
    assert np.isinf(scores[holes]).all() and np.isinf(violation[holes]).all()
    assert np.isfinite(scores[~holes]).all() and (violation[~holes] == 0).all()
