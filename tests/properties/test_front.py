"""Fronts against slow references that follow the definitions word by word."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from search.fronts.front import best_first, crowding, hypervolume, knee, non_dominated, ranks, with_new
from search.fronts.pick import spread

# Few distinct values, so that ties and copies are common.
GRID = st.integers(0, 5).map(float)


def clouds(columns=(1, 2, 3), least=0, most=14):
    return st.sampled_from(columns).flatmap(
        lambda m: hnp.arrays(np.float64, st.tuples(st.integers(least, most), st.just(m)), elements=GRID)
    )


def dominates(a, b):
    return bool((a <= b).all() and (a < b).any())


def slow_mask(scores):
    return np.array([not any(dominates(other, point) for other in scores) for point in scores], dtype=bool)


@given(clouds())
def test_non_dominated_is_the_definition(scores):
    assert (non_dominated(scores) == slow_mask(scores)).all()


@given(clouds())
def test_ranks_peel_one_front_after_another(scores):
    expected = np.full(len(scores), -1)
    for front in range(len(scores)):
        left = np.flatnonzero(expected < 0)
        expected[left[slow_mask(scores[left])]] = front
    assert (ranks(scores) == expected).all()


@given(clouds(), st.integers(1, 16))
def test_ranking_enough_points_ranks_them_as_ranking_all_does(scores, enough):
    every, some = ranks(scores), ranks(scores, enough)
    last = some.max(initial=0)
    assert (some == np.minimum(every, last)).all()
    assert (every < last).sum() >= min(enough, len(scores)) or (some == every).all()


def test_more_fronts_than_are_peeled_off_one_by_one():
    scores = np.repeat(np.arange(200.0)[:, None], 2, axis=1)
    order = np.random.default_rng(0).permutation(200)
    assert (ranks(scores[order], 150) == order).all() and (
        best_first(scores[order], 3) == np.argsort(order)[:3]
    ).all()


@given(clouds(), st.integers(0, 16))
def test_the_best_come_by_rank_and_then_by_crowding_within_their_front(scores, keep):
    scores = (
        scores + np.arange(len(scores))[:, None] * 1e-3
    )  # no copies, whose crowding the definition leaves open
    rank = ranks(scores)
    distance = np.zeros(len(scores))
    for front in range(rank.max(initial=-1) + 1):
        distance[rank == front] = crowding(scores[rank == front])
    rows = best_first(scores, keep)
    assert len(set(rows.tolist())) == len(rows) == min(keep, len(scores))
    expected = np.lexsort((-distance, rank))[:keep]
    assert (rank[rows] == rank[expected]).all()
    assert np.allclose(distance[rows], distance[expected])


@given(clouds(), st.integers(1, 5))
def test_a_front_that_grows_by_batches_is_that_of_all_points(scores, batch):
    front = scores[:0]
    for at in range(0, len(scores), batch):
        front = with_new(front, scores[at : at + batch])
    assert front.tolist() == np.unique(scores[slow_mask(scores)], axis=0).tolist()


@given(clouds(least=1))
def test_hypervolume_counts_the_dominated_cells_of_a_grid(scores):
    reference = np.full(scores.shape[1], 4.0)
    cells = itertools.product(range(4), repeat=scores.shape[1])
    dominated = sum(any((point <= np.array(cell)).all() for point in scores) for cell in cells)
    assert abs(hypervolume(scores, reference) - dominated) < 1e-9


@given(clouds(least=1), st.randoms(use_true_random=False))
def test_hypervolume_ignores_order_copies_and_dominated_points(scores, random):
    reference = np.full(scores.shape[1], 4.0)
    order = list(range(len(scores)))
    random.shuffle(order)
    more = np.concatenate([scores[order], scores[:1], scores[:1] + 1.0])
    assert abs(hypervolume(more, reference) - hypervolume(scores, reference)) < 1e-9


@given(clouds(least=3))
@settings(max_examples=60)
def test_crowding_is_the_sum_of_scaled_gaps(scores):
    scores = (
        scores + np.arange(len(scores))[:, None] * 1e-3
    )  # no ties, whose order the definition leaves open
    expected = np.zeros(len(scores))
    for column in scores.T:
        order = np.argsort(column)
        for place, row in enumerate(order):
            if place in (0, len(order) - 1):
                expected[row] = np.inf
            else:
                expected[row] += (column[order[place + 1]] - column[order[place - 1]]) / np.ptp(column)
    assert np.allclose(crowding(scores), expected)


@given(clouds(columns=(2,), least=1))
def test_the_knee_is_the_point_furthest_below_the_line_through_the_ends(scores):
    front = np.unique(scores[non_dominated(scores)], axis=0)
    if len(front) < 3:
        return
    unit = (front - front.min(0)) / np.ptp(front, axis=0)
    below = (unit[0, 1] + unit[0, 0] - unit.sum(axis=1)) / np.sqrt(2)
    assert np.isclose(below[knee(front)], below.max())


@given(clouds(columns=(2,), least=1), st.integers(0, 16))
def test_spread_rows_are_distinct_and_hold_the_best_of_each_column(scores, k):
    rows = spread(scores, k)
    assert len(rows) == len(set(rows)) == min(k, len(scores))
    if k >= 2:
        assert (scores[rows].min(axis=0) == scores.min(axis=0)).all()
