"""A new device from ten rows, when other devices of the space are known."""

import numpy as np
import pytest

from predictors.errors import FitError, ScopeError
from predictors.latency.bayesian_linear import BayesianLinear
from predictors.latency.kernels import KernelSum, fused
from predictors.latency.known import KnownTarget, KnownTargets
from predictors.latency.proxy import RooflineProxy
from predictors.latency.transfer import FewShotTransfer
from predictors.predictor import load
from supernets.spaces.layers import LayerSpec
from tests.predictors.toy import FAMILY, archs, scope_for
from tests.small import small_family

POOL = archs(220)
KNOWN, TEST = POOL[:90], POOL[90:]


def device(seed, population, noise=0.01):
    """Latency with a fixed part, MACs, memory, and a share that depends on kernel sizes in the device's own way."""
    rng = np.random.default_rng(seed)
    costs = FAMILY.costs(population)
    parts = [costs["macs"] / 3e5, costs["activation_mb"] * 20, costs["params"] / 5e3]
    own = FAMILY.space().features(population) @ rng.uniform(0, 0.3, int(FAMILY.space().cardinalities.sum()))
    value = rng.uniform(0.5, 2) + sum(rng.uniform(0.2, 2) * part for part in parts) + own
    return value * (1 + noise * np.random.default_rng(seed + 100).standard_normal(len(value)))


def known_predictor(seed, y=None):
    predictor = BayesianLinear(FAMILY, scope_for("latency_ms", target=f"device{seed}"))
    predictor.fit(KNOWN, device(seed, KNOWN) if y is None else y)
    return predictor


@pytest.fixture(scope="module")
def known():
    return KnownTargets(FAMILY, [KnownTarget(known_predictor(seed)) for seed in range(1, 6)])


def transfer(known):
    return FewShotTransfer(FAMILY, scope_for("latency_ms", target="new"), known=known)


def test_ten_rows_beat_a_model_without_other_devices(known):
    better, covered = 0, []
    for seed in range(11, 17):
        chosen = known.choose(10, KNOWN, np.random.default_rng(seed))
        y, truth = device(seed, KNOWN)[chosen], device(seed, TEST)
        ours, alone = transfer(known), BayesianLinear(FAMILY, scope_for("latency_ms", target="new"))
        errors = []
        for model in (ours, alone):
            model.fit(KNOWN[chosen], y)
            errors.append(np.abs(model.predict(TEST)[0] / truth - 1).mean())
        better += errors[0] < errors[1]
        covered.append(((ours.quantile(TEST, 0.05) <= truth) & (truth <= ours.quantile(TEST, 0.95))).mean())
    assert better >= 5
    assert 0.75 <= np.mean(covered) <= 1.0


def test_features_of_an_arch_do_not_depend_on_its_own_measurement():
    y = device(1, KNOWN)
    disturbed = y.copy()
    disturbed[7] *= 3
    plain, other = KnownTarget(known_predictor(1, y)), KnownTarget(known_predictor(1, disturbed))
    assert plain.predict(KNOWN)[7] == other.predict(KNOWN)[7]
    assert (plain.predict(KNOWN) != other.predict(KNOWN)).any()


def test_samples_are_chosen_for_information(known):
    rng = np.random.default_rng
    chosen = known.choose(12, KNOWN, rng(0))
    assert len(set(chosen.tolist())) == 12
    np.testing.assert_array_equal(chosen, known.choose(12, KNOWN, rng(0)))
    basis = known.basis(KNOWN)

    def left(rows):
        from predictors.latency.known import FewShot

        model = FewShot(basis.rows(rows), np.ones(len(rows)) * basis.typical[rows], known.prior)
        return np.square(model(basis)[1] / basis.typical).mean() / model.variance

    drawn = [left(rng(seed).permutation(len(KNOWN))[:12]) for seed in range(20)]
    assert left(chosen) < min(drawn)
    for n in (0, len(KNOWN) + 1):
        with pytest.raises(FitError, match="pool"):
            known.choose(n, KNOWN, rng(0))


def test_a_file_holds_the_known_targets_too(known):
    model = transfer(known)
    model.fit(KNOWN[:12], device(9, KNOWN)[:12])
    loaded = load(model.dump(), FAMILY, model.scope)
    np.testing.assert_array_equal(loaded.quantile(TEST, 0.9), model.quantile(TEST, 0.9))
    assert len(loaded.known.targets) == 5


def test_one_disturbed_sample_of_twelve_does_little(known):
    chosen = known.choose(12, KNOWN, np.random.default_rng(3))
    y, truth = device(9, KNOWN)[chosen], device(9, TEST)
    disturbed = y.copy()
    disturbed[5] *= 2.5
    model = transfer(known)
    model.fit(KNOWN[chosen], disturbed)
    assert np.median(np.abs(model.predict(TEST)[0] / truth - 1)) < 0.1


def test_known_targets_must_be_of_the_same_space():
    with pytest.raises(ScopeError, match="same|of the space"):
        KnownTargets(small_family(kernels=[3]), [KnownTarget(known_predictor(1))])


def test_a_proxy_answers_without_any_row():
    proxy = RooflineProxy(FAMILY, scope_for("latency_ms"))
    proxy.guess()
    mean, std = proxy.predict(TEST)
    assert (mean > 0).all() and (std > 0).all()
    assert (proxy.quantile(TEST, 0.95) > 5 * mean).all()
    assert (0 < proxy.quantile(TEST, 0.05)).all()


def test_kernels_are_fused_and_cost_nothing_negative():
    layers = (
        LayerSpec("a", "conv", 4, 8, 16, 16, kernel=3, activation="relu"),
        LayerSpec("b", "add", 8, 8, 16, 16),
        LayerSpec("c", "conv", 8, 8, 16, 4, kernel=1, stride=2),
    )
    kinds = [kind for kind, _ in fused(layers)]
    assert kinds == ["conv3", "pointwise1s"]
    assert sum(terms[1] for _, terms in fused(layers)) == sum(layer.macs for layer in layers)
    model = KernelSum(FAMILY, scope_for("latency_ms"))
    model.fit(KNOWN, device(2, KNOWN))
    assert all(cost >= 0 for kind in model.costs_by_kind().values() for cost in kind.values())
