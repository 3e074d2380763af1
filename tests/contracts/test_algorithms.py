"""What every registered search algorithm promises. To register is to be tested."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from search import ALGORITHMS
from search.algorithm import make_algorithm
from search.errors import AlgorithmError
from search.fronts.front import hypervolume
from search.optimise import optimise
from search.problem import Problem
from tests.search.toy import OBJECTIVES, known_pair, toy_costs, toy_problem, toy_space

NAMES = tuple(ALGORITHMS)


def sized(name, **options):
    """The toy problem in the size that suits the algorithm: small where it enumerates."""
    return toy_problem(1 if name in ("exhaustive", "surrogate") else 2, **options)


def unlimited(name):
    return not ALGORITHMS.load(name).constrained


def play(algorithm, problem, rounds, n=20):
    asks = []
    for _ in range(rounds):
        asks.append(algorithm.ask(n))
        algorithm.tell(asks[-1], *problem.score(asks[-1]))
    return asks


@pytest.mark.parametrize("name", NAMES)
def test_asks_only_new_members_and_no_more_than_n(name):
    problem = sized(name)
    algorithm = make_algorithm(name, problem.space, 2, seed=3)
    told = problem.space.sample(np.random.default_rng(1), 5)
    algorithm.tell(told, *problem.score(told))
    asks = play(algorithm, problem, 8)
    assert all(0 < len(ask) <= 20 for ask in asks)
    rows = np.concatenate([np.unique(told, axis=0), *asks])
    assert problem.space.member(rows).all()
    assert len(np.unique(rows, axis=0)) == len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_asks_only_members_of_a_restricted_space(name):
    space = toy_space(1 if name == "exhaustive" else 2).restrict({"kernel": [3], "resolution": [8, 32]})
    problem = toy_problem()
    algorithm = make_algorithm(name, space, 2, seed=0)
    for _ in range(6):
        ask = algorithm.ask(15)
        assert space.member(ask).all()
        scores = -ask[:, :2].astype(float)
        algorithm.tell(ask, scores, np.zeros(len(ask)))
    assert problem.n_objectives == 2


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_asks_and_another_seed_others(name):
    problem = sized(name)
    runs = [play(make_algorithm(name, problem.space, 2, seed=s), problem, 5) for s in (7, 7, 8)]
    assert all((a == b).all() for a, b in zip(runs[0], runs[1], strict=True))
    assert any(a.shape != b.shape or (a != b).any() for a, b in zip(runs[0], runs[2], strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("between", [False, True], ids=["after tell", "between ask and tell"])
def test_a_restored_state_goes_on_identically_through_json(name, between):
    problem = sized(name)
    straight = make_algorithm(name, problem.space, 2, seed=5)
    play(straight, problem, 3)
    pending = straight.ask(20) if between else None
    state = json.loads(json.dumps(straight.state(), allow_nan=False))
    resumed = make_algorithm(name, problem.space, 2, seed=99)
    resumed.restore(state)
    if pending is not None:
        for algorithm in (straight, resumed):
            algorithm.tell(pending, *problem.score(pending))
    for a, b in zip(play(straight, problem, 4), play(resumed, problem, 4), strict=True):
        assert a.shape == b.shape and (a == b).all()
    assert json.dumps(straight.state()) == json.dumps(resumed.state())


ELSEWHERE = """
import json, sys
from search.algorithm import make_algorithm
from tests.contracts.test_algorithms import play, sized
given = json.load(sys.stdin)
problem = sized(given["name"])
algorithm = make_algorithm(given["name"], problem.space, 2, seed=99)
algorithm.restore(given["state"])
asks = [ask.tolist() for ask in play(algorithm, problem, 3)]
json.dump({"asks": asks, "state": algorithm.state()}, sys.stdout)
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_state_goes_on_identically_in_another_process(name):
    problem = sized(name)
    straight = make_algorithm(name, problem.space, 2, seed=5)
    play(straight, problem, 3)
    given = json.dumps({"name": name, "state": straight.state()})
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", ELSEWHERE]
    done = subprocess.run(
        command, input=given, cwd=root, env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    assert there["asks"] == [ask.tolist() for ask in play(straight, problem, 3)]
    assert there["state"] == json.loads(json.dumps(straight.state()))


@pytest.mark.parametrize("name", NAMES)
def test_a_state_of_another_algorithm_or_space_is_refused(name):
    problem = sized(name)
    state = make_algorithm(name, problem.space, 2, seed=0).state()
    with pytest.raises(AlgorithmError, match="its own algorithm"):
        make_algorithm(name, problem.space, 2, seed=0).restore({**state, "algorithm": "another"})
    with pytest.raises(AlgorithmError, match="its own space"):
        make_algorithm(name, problem.space.restrict({"kernel": [3]}), 2, seed=0).restore(state)


@pytest.mark.parametrize("name", NAMES)
def test_an_impossible_limit_ends_early_with_the_nearest_arch(name):
    if unlimited(name):
        with pytest.raises(AlgorithmError, match="algorithms that can: .*nsga2"):
            optimise(sized(name, max_latency=0.001), name, 100)
        return
    problem = sized(name, max_latency=0.001)
    result = optimise(problem, name, 100_000, seed=1, batch=100, patience=300)
    assert not result.feasible and len(result.front()) == 0
    assert len(result.archs) <= 3_000
    assert result.stopped in ("infeasible", "exhausted")
    if name not in ("random", "evolution"):  # these come near it in so few
        smallest = problem.space.encode([problem.space.min()])
        assert (result.archs[result.nearest()] == smallest[0]).all()


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_are_not_finite_are_left_out_and_it_goes_on(name):
    problem = sized(name)
    algorithm = make_algorithm(name, problem.space, 2, seed=0)
    asked = []
    for value in (np.nan, np.inf, -np.inf, np.nan, np.inf, np.nan):
        asked.append(algorithm.ask(20))
        scores, violations = problem.score(asked[-1])
        scores[::3, 0], violations[1::3] = value, np.nan
        algorithm.tell(asked[-1], scores, violations)
        json.dumps(algorithm.state(), allow_nan=False)
    asked = np.concatenate(asked)
    assert len(asked) == 120 == len(np.unique(asked, axis=0)) and problem.space.member(asked).all()


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_found_or_the_space_runs_out(name):
    problem = sized(name)
    space = problem.space.restrict({"resolution": [8], "kernel": [3], "expand": [2]})
    algorithm = make_algorithm(name, space, 2, seed=0)
    found = 0
    for _ in range(60):
        ask = algorithm.ask(7)
        found += len(ask)
        algorithm.tell(ask, *problem.score(ask))
        if len(ask) == 0:
            break
    assert found == space.size()
    assert len(algorithm.ask(7)) == 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("random", "exhaustive")])
def test_beats_random_search_on_a_toy_front(name):
    problem = toy_problem()
    reference = np.array([0.0, 40.0])
    budget = 400

    def volume(which, seed):
        result = optimise(problem, which, budget, seed, batch=20)
        return hypervolume(result.scores[result.front()], reference)

    seeds = range(3)
    assert np.mean([volume(name, s) for s in seeds]) > np.mean([volume("random", s) for s in seeds]) * 1.01


def many_objectives(stages, m):
    """Latency on one target, accuracy, latency on another, and two closed forms: as many of them as wanted."""
    space = toy_space(stages)
    surrogates = {**known_pair(space), ("latency_ms", "u"): known_pair(space, 1)["latency_ms", "t"]}
    wanted = [*OBJECTIVES, ("latency_ms", "u"), ("params", None), ("macs", None)][:m]
    return Problem(space, wanted, surrogates=surrogates, costs=toy_costs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("m", [1, 3, 5])
def test_takes_as_many_objectives_as_it_says_and_else_says_who_can(name, m):
    problem = many_objectives(1, m)
    kind = ALGORITHMS.load(name)
    if not kind.min_objectives <= m <= (kind.max_objectives or m):
        with pytest.raises(
            AlgorithmError, match=rf"objectives, got {m}; algorithms that can: nsga2"
        ) as refused:
            make_algorithm(name, problem.space, m, seed=0)
        assert f" {name}," not in f"{str(refused.value).split('can:')[1]},"
        return
    asks = play(make_algorithm(name, problem.space, m, seed=0), problem, 5)
    assert problem.space.member(np.concatenate(asks)).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("random", "exhaustive")])
def test_beats_random_search_with_three_objectives(name):
    problem = many_objectives(2, 3)
    reference = np.array([0.0, 40.0, 40.0])

    def volume(which, seed):
        result = optimise(problem, which, 300, seed, batch=30)
        return hypervolume(result.scores[result.front()], reference)

    seeds = range(2)
    assert np.mean([volume(name, s) for s in seeds]) > np.mean([volume("random", s) for s in seeds]) * 1.01
