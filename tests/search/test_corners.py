"""The ends of a front in NSGA-II: kept apart from the survivors, and given children while they improve."""

import numpy as np
import pytest

from search.algorithms.nsga2 import CORNER, CORNER_SHARE, NSGA2, STILL, corner, improved
from tests.search.toy import toy_problem


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [0, 1, CORNER, CORNER + 1, 100])
def test_a_corner_is_the_best_feasible_rows(seed, n):
    rng = np.random.default_rng(seed)
    scores, violations = rng.random((n, 2)), np.maximum(rng.random(n) - 0.7, 0.0)
    feasible = [row for row in np.argsort(scores[:, 1]) if violations[row] == 0]
    assert sorted(corner(scores, violations, 1)) == sorted(feasible[:CORNER])


def test_only_better_feasible_rows_improve_a_score():
    scores = np.array([[2.0, 5.0], [1.0, 4.0], [3.0, 3.0], [0.0, 4.0]])
    violations = np.array([0.0, 0.0, 0.0, 1.0])
    assert improved(scores, violations, 2).tolist() == [False, True]
    assert improved(scores, violations, 0).tolist() == [True, True]
    assert improved(scores, np.ones(4), 2).tolist() == [False, False]
    assert improved(scores[:2], violations[:2], 2).tolist() == [False, False]


def test_the_best_of_each_score_are_kept_once_beside_the_survivors():
    problem = toy_problem()
    algorithm = NSGA2(problem.space, 2, seed=0, population=8)
    told = []
    for _ in range(6):
        archs = algorithm.ask(60)
        scores, violations = problem.score(archs)
        algorithm.tell(archs, scores, violations)
        told.append(scores)
    everything = np.concatenate(told)
    assert 8 < len(algorithm.archs) <= 8 + 2 * CORNER
    assert len(np.unique(algorithm.archs, axis=0)) == len(algorithm.archs)
    for column in range(2):
        best = np.sort(everything[:, column])[:CORNER]
        assert (np.sort(algorithm.scores[:, column])[:CORNER] == best).all()


def test_corners_that_move_share_their_children_and_others_get_fewer_and_fewer():
    problem = toy_problem()
    algorithm = NSGA2(problem.space, 2, seed=0)
    for generation in range(3 + STILL):
        archs = algorithm.ask(30)
        scores = np.stack([np.full(len(archs), 1.0), -np.arange(len(archs)) - 100.0 * generation], axis=1)
        algorithm.tell(archs, scores, np.zeros(len(archs)))
    assert algorithm.state()["still"] == [2 + STILL, 0]
    assert algorithm._shares() == [0.0, CORNER_SHARE]
    algorithm._still[:] = [0, STILL - 1]
    assert algorithm._shares() == [CORNER_SHARE / 2] * 2
    algorithm._still[:] = [STILL, 4 * STILL]
    assert algorithm._shares() == pytest.approx([CORNER_SHARE / 2, CORNER_SHARE / 8])
    assert NSGA2(problem.space, 1, seed=0)._shares() == [0.0]
