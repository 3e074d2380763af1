"""Picks against the definitions, on fronts with ties, single points and unknown values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.constraints import Constraint
from search.errors import ProblemError
from search.fronts.front import non_dominated
from search.fronts.pick import PICKS, pick

OBJECTIVES = ["accuracy", "latency_ms"]
# Few distinct values, so that ties are common.
POINT = st.tuples(st.integers(0, 10).map(lambda n: n / 10), st.integers(1, 12).map(float))


def table(points):
    accuracy, latency = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    return {"accuracy": accuracy, "latency_ms": latency, "macs": 100.0 * latency}


@st.composite
def fronts(draw, least=1):
    points = np.array(draw(st.lists(POINT, min_size=least, max_size=12)))
    kept = points[non_dominated(points * [-1.0, 1.0])]
    order = draw(st.permutations(range(len(kept))))
    return table([tuple(kept[index]) for index in order])


def rows(picks):
    return [each.row for each in picks.points]


@given(fronts(), st.sampled_from(sorted(PICKS)), st.integers(1, 20), st.floats(0.5, 13))
@settings(max_examples=200)
def test_every_pick_is_on_the_front_once_meets_the_limits_and_says_why(values, how, k, limit):
    found = pick(values, OBJECTIVES, how, k, [Constraint("latency_ms", max=limit)])
    inside = np.flatnonzero(values["latency_ms"] <= limit)
    assert set(rows(found)) <= set(inside.tolist())
    assert len(rows(found)) == len(set(rows(found))) <= min(k, len(inside))
    assert bool(rows(found)) == bool(len(inside)) == (found.note is None)
    if how != "buckets":  # a bucket may be empty
        assert len(rows(found)) == min(k, len(inside))
    assert all(each.reason for each in found.points)
    assert pick(values, OBJECTIVES, how, k, [Constraint("latency_ms", max=limit)]) == found


@given(fronts(), st.integers(1, 20))
def test_best_is_the_order_by_the_objectives(values, k):
    order = sorted(
        range(len(values["accuracy"])), key=lambda row: (-values["accuracy"][row], values["latency_ms"][row])
    )
    assert rows(pick(values, OBJECTIVES, "best", k)) == order[:k]


@given(fronts())
def test_a_knee_is_no_farther_from_the_best_of_both_than_any_other_point(values):
    [knee] = rows(pick(values, OBJECTIVES, "knee"))
    total = np.zeros(len(values["accuracy"]))
    for column in (-values["accuracy"], values["latency_ms"]):
        span = column.max() - column.min()
        total += (column - column.min()) / (span or 1.0)
    assert total[knee] <= total.min() + 1e-12


@given(fronts(least=3))
def test_what_a_knee_says_of_its_sides_is_true(values):
    """Past it the same cost buys less than before it, or else there is said to be no bend."""
    [knee] = pick(values, OBJECTIVES, "knee").points
    order = np.argsort(values["latency_ms"])
    accuracy, latency = values["accuracy"][order], values["latency_ms"][order]
    at = int(np.flatnonzero(order == knee.row)[0])
    if knee.reason.startswith("knee:"):
        before = (accuracy[at] - accuracy[0]) / (latency[at] - latency[0])
        after = (accuracy[-1] - accuracy[at]) / (latency[-1] - latency[at])
        assert before > after
        assert f"a further {latency[-1] - latency[at]:.4g} ms buys only" in knee.reason
    else:
        line = np.interp(latency, latency[[0, -1]], accuracy[[0, -1]])
        assert len(order) < 3 or (accuracy <= line + 1e-9).all()


@given(fronts(), st.integers(1, 6))
def test_buckets_divide_the_range_and_hold_the_best_of_each_part(values, k):
    found = rows(pick(values, OBJECTIVES, "buckets", k))
    latency, accuracy = values["latency_ms"], values["accuracy"]
    if np.ptp(latency) == 0:
        assert len(found) == 1
        return
    edges = np.linspace(latency.min(), latency.max(), k + 1)
    expected = []
    for part in range(k):
        low = latency >= edges[part] if part == 0 else latency > edges[part]
        inside = np.flatnonzero(low & (latency <= edges[part + 1]))
        if len(inside):
            expected.append(accuracy[inside].max())
    assert [accuracy[row] for row in found] == expected


@given(fronts(), st.integers(2, 20))
def test_a_spread_holds_both_ends(values, k):
    found = rows(pick(values, OBJECTIVES, "spread", k))
    assert max(values["accuracy"][found]) == max(values["accuracy"])
    assert min(values["latency_ms"][found]) == min(values["latency_ms"])


BENT = table([(0.50, 1.0), (0.70, 2.0), (0.90, 3.0), (0.91, 6.0), (0.92, 9.0), (0.93, 12.0)])


@pytest.mark.parametrize(
    ("how", "more", "row", "reason"),
    [
        ("knee", {}, 2, "knee: past it a further 9 ms buys only 0.03 accuracy, before it 2 ms bought 0.4 accuracy"),
        (
            "best",
            {"limits": [Constraint("latency_ms", max=4.5)]},
            2,
            "highest accuracy (0.9) of 3 points with latency_ms <= 4.5; the next better (0.91) needs latency_ms 6",
        ),
        ("best", {}, 5, "highest accuracy (0.93) of all 6 points"),
        (
            "best",
            {"limits": [Constraint("accuracy", min=0.9)]},
            5,
            "highest accuracy (0.93) of 4 points with accuracy >= 0.9; no point outside the limits is better",
        ),
        (
            "buckets",
            {"by": "macs", "k": 2},
            3,
            "highest accuracy (0.91) of 4 points with macs from 100 to 650 (bucket 1 of 2)",
        ),
        ("spread", {}, 5, "the highest accuracy of all 6 points"),
    ],
)  # fmt: skip
def test_reasons_in_words(how, more, row, reason):
    first = pick(BENT, OBJECTIVES, how, **more).points[0]
    assert (first.row, first.reason) == (row, reason)


def test_objectives_in_the_other_order_are_worded_the_other_way_round():
    found = pick(BENT, OBJECTIVES[::-1], "knee").points[0]
    assert found.row == 2
    assert found.reason == (
        "knee: past it giving up a further 0.4 accuracy saves only 2 ms, before it 0.03 accuracy saved 9 ms"
    )


def test_a_front_that_bulges_has_no_knee_and_says_so():
    bulging = table([(0.1, 1.0), (0.2, 6.0), (0.9, 8.0)])
    found = pick(bulging, OBJECTIVES, "knee").points[0]
    assert found.row == 2 and found.reason.startswith("the front has no bend")


@pytest.mark.parametrize("how", sorted(PICKS))
def test_a_single_point_and_one_objective(how):
    [only] = pick(table([(0.5, 1.0)]), OBJECTIVES, how, 3).points
    assert only.row == 0 and only.reason
    [one] = pick(
        {"accuracy": np.array([0.5]), "macs": np.array([2.0])}, ["accuracy"], how, 3, by="macs"
    ).points
    assert one.row == 0


def test_three_objectives_have_a_knee():
    values = {**BENT, "params": np.array([6.0, 5.0, 1.0, 3.0, 2.0, 7.0])}
    found = pick(values, [*OBJECTIVES, "params"], "knee").points[0]
    assert found.row == 2 and "0.03 accuracy from the highest accuracy" in found.reason


def test_unknown_values_are_never_picked():
    values = {**BENT, "accuracy": np.array([0.5, np.nan, 0.9, 0.91, 0.92, np.nan])}
    assert rows(pick(values, OBJECTIVES, "best", 10)) == [4, 3, 2, 0]
    assert rows(pick(values, OBJECTIVES, "best", 10, [Constraint("energy_mj", max=1)])) == []
    nothing = {name: np.full(3, np.nan) for name in OBJECTIVES}
    assert (
        pick(nothing, OBJECTIVES, "spread").note
        == "no point of the front has a value of accuracy and latency_ms"
    )


def test_nothing_to_pick_says_why():
    empty = pick({name: np.zeros(0) for name in OBJECTIVES}, OBJECTIVES, "best")
    assert empty.points == () and empty.note.startswith("the front is empty")
    none = pick(
        BENT, OBJECTIVES, "best", limits=[Constraint("latency_ms", max=0.5), Constraint("accuracy", min=0.95)]
    )
    assert none.note == (
        "no point of the front meets latency_ms <= 0.5 (best of 6: 1) and accuracy >= 0.95 (best of 6: 0.93)"
    )
    unknown = pick(BENT, OBJECTIVES, "best", limits=[Constraint("energy_mj", max=1)])
    assert "energy_mj <= 1 (best of 6: no value)" in unknown.note


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"how": "lucky"}, "pick"),
        ({"how": "best", "k": 0}, "k"),
        ({"how": "buckets", "by": "accuracy"}, "by"),
        ({"how": "buckets", "by": "params"}, "by"),
        ({"how": "buckets", "objectives": ["accuracy"]}, "by"),
        ({"how": "best", "objectives": []}, "objectives"),
        ({"how": "best", "objectives": ["params"]}, "values"),
    ],
)
def test_what_cannot_be_picked_is_named(more, field):
    with pytest.raises(ProblemError) as raised:
        pick(BENT, more.pop("objectives", OBJECTIVES), more.pop("how"), **more)
    assert raised.value.field == field
