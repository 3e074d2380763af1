import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from predictors.acquire import informative_sample, spread_sample
from predictors.errors import FitError
from predictors.latency.features import LayerFeatures
from predictors.latency.transfer import FewShotTransfer
from tests.predictors.test_transfer import known_predictor
from tests.predictors.toy import FAMILY, SPACE, scope_for


@settings(max_examples=25)
@given(st.integers(2, 60), st.integers(0, 10**6))
def test_different_members_with_both_ends_first(n, seed):
    rows = spread_sample(FAMILY, n, np.random.default_rng(seed))
    assert rows.shape == (n, SPACE.d)
    assert len(np.unique(rows, axis=0)) == n
    assert SPACE.member(rows).all()
    np.testing.assert_array_equal(rows[:2], SPACE.encode([SPACE.min(), SPACE.max()]))
    np.testing.assert_array_equal(rows, spread_sample(FAMILY, n, np.random.default_rng(seed)))


def test_every_tenth_of_the_macs_is_taken_from():
    everything = FAMILY.costs(SPACE.enumerate())["macs"]
    edges = np.quantile(everything, np.linspace(0, 1, 11))
    macs = FAMILY.costs(spread_sample(FAMILY, 30, np.random.default_rng(1)))["macs"]
    counts, _ = np.histogram(macs, edges)
    assert (counts >= 2).all()


def test_it_spreads_wider_than_a_random_draw():
    features = LayerFeatures(FAMILY)
    rng = np.random.default_rng(2)
    spread = spread_sample(FAMILY, 20, rng, features=features.standardised)
    closest = pdist(features.standardised(spread)).min()
    drawn = [pdist(features.standardised(SPACE.sample(rng, 20))).min() for _ in range(20)]
    assert closest > np.max(drawn)


def test_a_small_or_restricted_space_can_be_taken_whole():
    space = SPACE.restrict({"kernel": [3], "depth": [1], "resolution": [8]})
    size = space.size()
    rows = spread_sample(FAMILY, size, np.random.default_rng(0), space=space)
    np.testing.assert_array_equal(rows[np.lexsort(rows.T[::-1])], space.enumerate())
    for n in (0, 1, size + 1):
        with pytest.raises(FitError, match="n must be from 2"):
            spread_sample(FAMILY, n, np.random.default_rng(0), space=space)


@pytest.fixture(scope="module")
def informed():
    known = [known_predictor(seed) for seed in range(1, 4)]
    return FewShotTransfer(FAMILY, scope_for("latency_ms", target="new"), known=known)


def test_what_tells_most_comes_first_and_is_not_measured_twice(informed):
    rows = informative_sample(informed, 8, np.random.default_rng(0))
    assert len(np.unique(rows, axis=0)) == 8 and SPACE.member(rows).all()
    np.testing.assert_array_equal(rows, informative_sample(informed, 8, np.random.default_rng(0)))
    more = informative_sample(informed, 6, np.random.default_rng(0), measured=rows)
    assert len(np.unique(np.concatenate([rows, more]), axis=0)) == 14
    everything = SPACE.size()
    with pytest.raises(FitError, match=f"from 1 to the {everything - 8} archs"):
        informative_sample(informed, everything, np.random.default_rng(0), measured=rows)


def test_what_is_measured_stands_in_for_what_is_like_it(informed):
    """A second helping is not the first one again: it leaves less doubt than the most similar archs would."""
    rng = np.random.default_rng
    first = informative_sample(informed, 8, rng(0))
    second = informative_sample(informed, 8, rng(1), measured=first)
    naive = informative_sample(informed, 8, rng(1))
    naive = naive[[row.tobytes() not in {f.tobytes() for f in first} for row in naive]]

    def nearest(rows):
        features = SPACE.features(rows).astype(float)
        known = SPACE.features(first).astype(float)
        return np.square(features[:, None] - known[None]).sum(axis=2).min(axis=1).mean()

    assert nearest(second) > nearest(naive)
