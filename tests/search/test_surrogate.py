"""What the search with surrogates in the loop adds to the contract of every algorithm."""

import json
import subprocess
import sys

import numpy as np
import pytest

from search.algorithm import make_algorithm
from search.errors import AlgorithmError, SurrogateError
from search.fronts.gain import best_batch, even_limits, gains, improvement, shortlist
from tests.search.toy import Known, known_pair, toy_space

SPACE = toy_space(1)


class Holed(Known):
    """Says NaN wherever the first gene is one of ``bad``."""

    bad = (0,)

    def predict(self, archs):
        mean, std = super().predict(archs)
        return np.where(np.isin(archs[:, 0], self.bad), np.nan, mean), std


def models(space, bad=()):
    made = []
    for sign, known in zip((-1.0, 1.0), reversed(known_pair(space).values()), strict=True):
        model = Holed(space, sign * known.weights, std=0.1)
        model.bad = bad
        made.append(lambda model=model: model)
    return made


def truth(archs, space=SPACE):
    return np.stack([make().truth(archs) for make in models(space)], axis=1)


def play(algorithm, rounds, n=5):
    asked = []
    for _ in range(rounds):
        archs = algorithm.ask(n)
        algorithm.tell(archs, truth(archs), np.zeros(len(archs)))
        asked.append(archs)
    return np.concatenate(asked)


# --- gain ---------------------------------------------------------------------------------------------


def test_improvement_equals_a_monte_carlo_mean():
    rng = np.random.default_rng(0)
    mean, std, best = np.array([0.0, 1.0, -2.0]), np.array([1.0, 0.3, 0.01]), np.array([0.5, -1.0])
    drawn = mean + std * rng.standard_normal((400_000, 3))
    wanted = np.maximum(best[None, None, :] - drawn[:, :, None], 0.0).mean(axis=0)
    assert np.allclose(improvement(mean, std, best), wanted, atol=5e-3)


def test_gains_equal_a_monte_carlo_mean_over_both_scores():
    rng = np.random.default_rng(1)
    mean, std = rng.normal(size=(4, 2)), rng.uniform(0.2, 1.0, (4, 2))
    known, limits = np.array([[0.0, 0.2], [-0.5, 0.9]]), np.array([[-0.5], [0.5], [1.5]])
    chance = np.array([1.0, 0.5, 0.25, 0.0])
    _, _, best = gains(mean, std, chance, known, limits)
    drawn = mean + std * rng.standard_normal((200_000, 4, 2))
    keeps = drawn[:, :, 1, None] <= limits[:, 0]
    wanted = (keeps * np.maximum(best - drawn[:, :, 0, None], 0.0)).mean(axis=0) * chance[:, None]
    assert np.allclose(gains(mean, std, chance, known, limits)[0], wanted, atol=1e-2)
    assert best.tolist()[1:] == [0.0, -0.5]  # what is known under each limit; under the first nothing is


def test_a_batch_is_greedy_over_what_the_chosen_ones_are_believed_to_score():
    rng = np.random.default_rng(2)
    mean, std = rng.normal(size=(60, 2)), rng.uniform(0.1, 0.5, (60, 2))
    known = np.array([[0.5, -1.0], [0.0, 1.0]])
    limits = even_limits(mean, known, 16, mean)
    chosen = best_batch(mean, std, np.ones(60), known, limits, 6)
    assert len(set(chosen)) == 6
    _, under, best = gains(mean, std, np.ones(60), known, limits)
    for k, row in enumerate(chosen):  # anew for each one, without any shortcut
        total = (under * improvement(mean[:, 0], std[:, 0], best)).sum(axis=1)
        total[chosen[:k]] = -1.0
        assert np.isclose(total[row], total.max())
        best = np.where(under[row] > 0.5, np.minimum(best, mean[row, 0]), best)


def test_the_shortlist_holds_the_best_of_every_slice():
    rng = np.random.default_rng(3)
    mean, std = rng.normal(size=(4_000, 2)), np.full((4_000, 2), 0.1)
    limits = np.linspace(-2, 2, 8)[:, None]
    rows = shortlist(mean, std, np.ones(4_000), np.array([[0.0, 0.0]]), limits)
    gain = gains(mean, std, np.ones(4_000), np.array([[0.0, 0.0]]), limits)[0]
    assert set(gain.argmax(axis=0)) <= set(rows.tolist()) and len(rows) < 4_000


# --- members ------------------------------------------------------------------------------------------


def test_only_members_are_asked_until_they_run_out():
    members = SPACE.enumerate()[::20]
    algorithm = make_algorithm("surrogate", SPACE, 2, 0, members=members, start=10)
    asked = play(algorithm, 15)
    assert sorted(map(tuple, asked.tolist())) == sorted(map(tuple, members.tolist()))
    assert len(algorithm.ask(5)) == 0


def test_members_outside_the_space_are_refused():
    with pytest.raises(AlgorithmError, match="members"):
        make_algorithm("surrogate", SPACE.restrict({"resolution": [8]}), 2, 0, members=SPACE.enumerate())


# --- archs without a prediction -----------------------------------------------------------------------


@pytest.mark.parametrize("stages", [1, 2], ids=["enumerated", "searched"])
def test_archs_without_a_prediction_are_dropped_and_counted(stages):
    space = toy_space(stages)
    algorithm = make_algorithm("surrogate", space, 2, 0, models=models(space, bad=(0,)), start=6)
    for step in range(4):
        archs = algorithm.ask(6)
        assert len(archs) == 6 and (step == 0 or (archs[:, 0] != 0).all())
        algorithm.tell(archs, truth(archs, space), np.zeros(6))
    assert algorithm.dropped > 0 and algorithm.state()["dropped"] == algorithm.dropped
    if stages == 1:
        told = {tuple(row) for row in algorithm.archs.tolist()}
        bad = [tuple(row) for row in space.enumerate().tolist() if row[0] == 0]
        assert algorithm.dropped == len([row for row in bad if row not in told])


@pytest.mark.parametrize("stages", [1, 2], ids=["enumerated", "searched"])
def test_too_many_of_them_fail_with_the_reason(stages):
    space = toy_space(stages)
    algorithm = make_algorithm("surrogate", space, 2, 0, models=models(space, bad=(0, 1, 2)), start=6)
    archs = algorithm.ask(6)
    algorithm.tell(archs, truth(archs, space), np.zeros(6))
    with pytest.raises(SurrogateError, match="NaN or infinite, got"):
        algorithm.ask(6)


# --- another process ----------------------------------------------------------------------------------

GO_ON = """
import json, sys
import numpy as np
from search.algorithm import make_algorithm
from tests.search.test_surrogate import SPACE, play
algorithm = make_algorithm("surrogate", SPACE, 2, 99, start=10)
algorithm.restore(json.load(sys.stdin))
print(json.dumps(play(algorithm, 4).tolist()))
"""


def test_a_restored_search_goes_on_identically_in_another_process():
    algorithm = make_algorithm("surrogate", SPACE, 2, 5, start=10)
    play(algorithm, 4)  # the shortlist is in use, and is renewed later
    state = json.dumps(algorithm.state(), allow_nan=False)
    done = subprocess.run(
        [sys.executable, "-c", GO_ON], input=state, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == play(algorithm, 4).tolist()
