import numpy as np

from benchmarks.feature_process import FeatureProcess, Group, counts, milestone, scaled, space_groups
from supernets.spaces.space import Axis, Space

SPACE = Space([Axis(f"op{i}", "op", (0, 1, 2, 3)) for i in range(6)])
ALL = SPACE.enumerate()
TIMES = np.array([0.1, 1.0, 3.0, 7.0])


def groups(archs):
    mean, spread = counts(SPACE, ALL).mean(axis=0), 2.0
    often = ((counts(SPACE, archs) - mean) / spread).astype(np.float32)
    return [Group(often, (1.0,)), Group(SPACE.features(archs) - 0.25, (2.0, 1.0))]


def rows(n, seed=0):
    return ALL[np.random.default_rng(seed).permutation(len(ALL))[:n]]


def test_counts_say_how_often_each_choice_of_a_kind_occurs():
    archs = rows(50)
    assert np.array_equal(counts(SPACE, archs), (archs[:, :, None] == np.arange(4)).sum(axis=1))


def test_a_sum_of_equal_layers_is_learnt_from_a_dozen_rows():
    latency = TIMES[ALL].sum(axis=1)
    model = FeatureProcess(groups)
    few = rows(12)
    model.fit(few, TIMES[few].sum(axis=1))
    mean, _ = model.predict(ALL)
    assert np.sqrt(np.mean((mean - latency) ** 2)) < 0.05 * latency.std()


def test_a_wild_row_does_not_bend_the_others():
    few = rows(40)
    y = TIMES[few].sum(axis=1) + np.random.default_rng(1).normal(0, 0.1, 40)
    clean, wild = FeatureProcess(groups), FeatureProcess(groups)
    clean.fit(few, y)
    wild.fit(few, y + 100.0 * (np.arange(40) == 7))
    truth = TIMES[ALL].sum(axis=1)
    off = [np.sqrt(np.mean((model.predict(ALL)[0] - truth) ** 2)) for model in (clean, wild)]
    assert off[1] < 0.15 * truth.std() and off[0] < off[1]


def test_intervals_cover_about_what_they_say():
    few, noise = rows(80), 1.0
    rng = np.random.default_rng(2)
    model = FeatureProcess(groups)
    model.fit(few, TIMES[few].sum(axis=1) + rng.normal(0, noise, 80))
    seen = TIMES[ALL].sum(axis=1) + rng.normal(0, noise, len(ALL))
    inside = (model.quantile(ALL, 0.05) < seen) & (seen < model.quantile(ALL, 0.95))
    assert 0.82 < inside.mean() < 0.96


def test_the_log_of_the_error_keeps_predictions_below_the_best_possible_value():
    few = rows(60)
    accuracy = 100.0 - 5.0 * np.exp(0.05 * TIMES[few].sum(axis=1))
    model = FeatureProcess(groups, log_of=100.0, sign=-1.0)
    model.fit(few, -accuracy)
    mean, std = model.predict(ALL)
    assert (mean > -100.0).all() and (std > 0).all()
    assert np.corrcoef(mean, -100.0 + 5.0 * np.exp(0.05 * TIMES[ALL].sum(axis=1)))[0, 1] > 0.95


def test_what_the_cache_holds_changes_nothing():
    few, y = rows(70), TIMES[rows(70)].sum(axis=1) ** 1.3
    cache = {}
    for n in (20, 40, 70):
        kept, fresh = FeatureProcess(groups, cache=cache), FeatureProcess(groups)
        kept.fit(few[:n], y[:n])
        fresh.fit(few[:n], y[:n])
        assert all(np.array_equal(a, b) for a, b in zip(kept.predict(ALL), fresh.predict(ALL), strict=True))
    assert 0 < len(cache) <= 3


def testmilestones_grow_by_a_quarter():
    marks = sorted({milestone(n) for n in range(2, 300)} - set(range(10)))
    assert marks[0] == 10 and all(b == int(np.ceil(a * 1.25)) for a, b in zip(marks, marks[1:], strict=False))


def test_scaled_groups_have_a_total_variance_of_one():
    group = scaled(np.random.default_rng(0).normal(3.0, [1.0, 5.0, 0.1], (500, 3)))
    assert np.isclose(group.var(axis=0).sum(), 1.0, atol=1e-5) and group.dtype == np.float32


def test_groups_of_a_space_scale_alike_whatever_they_are_asked_for():
    def sizes(archs):
        return 1.0 + TIMES[archs].sum(axis=1, keepdims=True)

    made = space_groups(SPACE, sizes)
    whole, few = made(ALL), made(ALL[100:103])
    assert len(whole) == 4
    for a, b in zip(whole, few, strict=True):
        assert np.array_equal(a.values[100:103], b.values) and a.widths == b.widths
        assert 0.8 < a.values.var(axis=0).sum() < 1.2


def test_an_exact_sum_over_many_rows_can_be_factorised():
    # No noise at all drives the linear share to its bound, where single precision is not positive definite.
    space = Space([Axis(f"op{i}", "op", (0, 1, 2, 3)) for i in range(40)])
    archs = space.sample(np.random.default_rng(0), 400)
    model = FeatureProcess(space_groups(space))
    model.fit(archs[:200], TIMES[archs[:200]].sum(axis=1))
    truth = TIMES[archs[200:]].sum(axis=1)
    assert np.abs(model.predict(archs[200:])[0] - truth).max() < 0.1 * truth.std()


def test_intervals_are_wide_enough_where_some_rows_lie_far_off():
    # One row in ten is measured wrong: such rows must not bend the mean, but they will come again.
    rng = np.random.default_rng(5)
    few = rows(150)

    def seen(archs):
        noise = rng.normal(0, 0.3, len(archs))
        return TIMES[archs].sum(axis=1) + noise + np.where(rng.random(len(archs)) < 0.1, 4.0, 0.0)

    model = FeatureProcess(groups)
    model.fit(few, seen(few))
    mean, std = model.predict(ALL)
    off = (seen(ALL) - mean) / std
    assert np.abs(np.median(off)) < 0.5
    assert 0.8 < np.sqrt(np.mean(np.square(np.minimum(np.abs(off), 4.0)))) < 1.25
