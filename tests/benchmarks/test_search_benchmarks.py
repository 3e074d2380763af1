"""The two benchmarks of search: what they time is what they say, and how figures are made of times."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import complete_fronts, search_cost
from benchmarks.ofa import AccuracyMLP, LatencyTable, Layout
from benchmarks.search_cost import Paid
from benchmarks.search_scale import KINDS, PLAN, cloud, exponent, front, measured, series, staircase, summary
from benchmarks.search_speed import table
from search.fronts.front import non_dominated, ranks
from search.images import believed


@pytest.mark.parametrize("contender", KINDS)
@pytest.mark.parametrize(("what", "second"), [(what, seconds[0]) for what, _, seconds, _ in PLAN])
def test_every_piece_of_work_runs(contender, what, second):
    found = measured(contender, what, 100, second)
    assert found["seconds"] > 0 and found["peak_mb"] > 0


@pytest.mark.parametrize("m", [2, 3, 5])
def test_inputs_are_what_they_are_called(m):
    assert non_dominated(front(300, m)).all()
    assert cloud(300, m).shape == (300, m) and not non_dominated(cloud(300, m)).all()
    assert sorted(ranks(staircase(300)).tolist()) == list(range(300))


def test_both_contenders_do_the_same_work():
    points = cloud(400, 2)
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    theirs = NonDominatedSorting().do(points, return_rank=True)[1]
    assert (ranks(points) == theirs).all()


def test_the_exponent_is_the_slope_and_needs_three_sizes_that_take_long_enough():
    rows = [{"n": n, "seconds": 1e-6 * n**1.5} for n in (1_000, 10_000, 100_000)]
    assert exponent(rows) == pytest.approx(1.5)
    assert exponent([{"n": 10, "seconds": 1e-6}, *rows]) == pytest.approx(1.5)
    assert exponent(rows[:2]) is None


def test_a_size_that_would_take_too_much_ends_the_series(monkeypatch):
    costs = {100: 1.0, 1_000: 4.0, 10_000: 16.0}
    asked = []

    def instead(_contender, _what, n, _second, _limit):
        asked.append(n)
        return {"seconds": costs[n], "peak_mb": 1.0}

    monkeypatch.setattr("benchmarks.search_scale.in_child", instead)
    rows = series("ours", "sort", 2, list(costs), limit_s=30.0)
    assert asked == [100, 1_000] == [row["n"] for row in rows]
    assert summary("ours", "sort", "2 objectives", rows)["largest"] == 1_000
    asked.clear()
    assert len(series("ours", "sort", 2, list(costs), limit_s=60.0)) == 3


def test_speeds_are_compared_with_the_predictor_of_the_same_round():
    rows = {
        "predictor alone": [(100, 1.0, 0.5, 7.0), (100, 2.0, 1.0, 7.0), (100, 4.0, 2.0, 7.0)],
        "ours": [(100, 2.0, 1.0, 9.0), (100, 4.0, 1.25, 9.0), (50, 4.0, 2.0, 9.0)],
    }
    alone, ours, finder = table(rows)
    assert alone["ratio_to_predictor"] == 1.0 and alone["archs_per_s"] == 50.0
    assert ours["ratio_to_predictor"] == 0.5 and ours["cpu_ratio_to_predictor"] == 0.5
    assert ours["cpu_ratio_range"] == [0.5, 0.8] and ours["hypervolume"] == 9.0
    assert finder["ratio_to_predictor"] == 3_400 / 50


def test_the_predictor_of_the_speed_benchmark_sees_equal_networks_as_equal():
    layout, rng = Layout(), np.random.default_rng(0)
    space = layout.space
    assert space.d == 46
    rows = space.sample(rng, 50)
    filled = np.where(space.active(rows), rows, space.cardinalities - 1)
    for model in (AccuracyMLP(layout, None), LatencyTable(layout, None)):
        values = model.predict(rows)[0]
        assert (model.predict(space.canonical(filled))[0] == values).all()
        assert len(np.unique(values)) == 50


class Made:
    """Quality of a made-up supernet: that of all images grows with MACs, that of a part is a little off."""

    all, part = 5_000, 1_000

    def __init__(self):
        self.space = Layout().space
        costs = lambda archs: {"macs": 1e6 * (1 + archs.sum(axis=1))}  # noqa: E731
        self.family = SimpleNamespace(costs=costs)
        self.supernet = SimpleNamespace(space=self.space, family=self.family)
        self.asked = []

    def __call__(self, row, examples, split="validation"):
        self.asked.append((tuple(row), examples, split))
        off = 0.0 if examples is None else 0.01 + 0.004 * np.sin(row.sum())
        return Paid(0.7 + 0.1 * np.tanh(row.sum() / 40) + off, 0.01, examples or self.all, 0.1)


def test_the_search_with_parts_pays_for_nothing_twice_and_follows_the_rules(monkeypatch):
    evaluate = Made()

    class Process:
        def predict(self, archs):
            return 0.7 + 0.1 * np.tanh(archs.sum(axis=1) / 40), np.full(len(archs), 0.003)

    def fitted(run, share):
        values, errors = run.rows(share)
        return Process(), *believed(Process(), run.archs, values, errors)

    monkeypatch.setattr(search_cost, "fitted", fitted)
    monkeypatch.setattr(
        search_cost, "propose", lambda run, _p, _e, n, seed: fresh_rows(run, n, np.random.default_rng(seed))
    )
    evaluate.supernet.manifest = SimpleNamespace(quality="accuracy")
    search = search_cost.PartsSearch(evaluate, 0, np.array([0.0, 500.0]), 45)
    search.whole(np.inf)
    assert len(evaluate.asked) == len(set(evaluate.asked))
    assert (
        len(search.run.archs) == 45 and sum(examples is not None for _, examples, _ in evaluate.asked) == 45
    )
    assert search.run.images == sum(examples or evaluate.all for _, examples, _ in evaluate.asked)
    sizes = [each.hypervolume for each in search.run.trace]
    assert sizes == sorted(sizes) and sizes[-1] > sizes[0]


def fresh_rows(run, n, rng):
    rows = np.unique(run.supernet.space.sample(rng, 4 * n + 20), axis=0)
    known = {tuple(row) for row in run.archs.tolist()}
    return np.array([row for row in rows.tolist() if tuple(row) not in known][:n])


def test_complete_fronts_are_judged_by_the_best_known_and_limits_are_met(monkeypatch):
    monkeypatch.setattr(complete_fronts, "SHORT", 200)
    monkeypatch.setattr(complete_fronts, "SAMPLE", 2_000)
    found = complete_fronts.cases(None, None)
    assert {name: case.problem.n_objectives for name, case in found.items()} == {
        "free": 2,
        "three": 3,
        "tight": 2,
    }
    for case in found.values():
        rows = complete_fronts.shares(case, 400, 2)
        assert [(row.algorithm, row.evaluations) for row in rows] == [
            ("nsga2", 200),
            ("nsga2", 400),
            ("unsga3", 200),
        ]
        assert all(0.0 <= share <= 1.0 + 1e-12 for row in rows for share in row.shares)
    sample = found["tight"].problem.space.sample(np.random.default_rng(0), 2_000)
    assert (found["tight"].problem.score(sample)[1] <= 0).mean() < 0.01
    assert max(share for row in complete_fronts.shares(found["free"], 400, 2) for share in row.shares) > 0.9
