"""A new device from ten rows, when other devices of the space are known."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predictors.errors import FitError, ScopeError
from predictors.latency.bayesian_linear import BayesianLinear
from predictors.latency.few_shot import DRAWS, PARTS, FewShot, Posteriors, most_informative
from predictors.latency.kernels import KernelSum, fused
from predictors.latency.proxy import RooflineProxy
from predictors.latency.source_devices import SourceDevice, SourceDevices
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
    return SourceDevices(FAMILY, [SourceDevice(known_predictor(seed)) for seed in range(1, 6)])


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
    plain, other = SourceDevice(known_predictor(1, y)), SourceDevice(known_predictor(1, disturbed))
    assert plain.predict(KNOWN)[7] == other.predict(KNOWN)[7]
    assert (plain.predict(KNOWN) != other.predict(KNOWN)).any()


def test_samples_are_chosen_for_information(known):
    rng = np.random.default_rng
    chosen = known.choose(12, KNOWN, rng(0))
    assert len(set(chosen.tolist())) == 12
    np.testing.assert_array_equal(chosen, known.choose(12, KNOWN, rng(0)))
    basis = known.basis(KNOWN)

    def left(rows):
        """Share of the variance over the pool that the rows leave, averaged over the prior's draws."""
        one = np.ones(len(rows))
        draws = known.prior.draws[:DRAWS]  # devices like the known ones
        found = Posteriors.of(draws, basis.rows(rows).products(basis.rows(rows)), one, one)
        products, squares = basis.products(basis.rows(rows)), basis.squares()
        noise = draws.sizes[:, -1]
        each = [found.answer(k, products, squares)[1].mean() / noise[k] for k in range(len(noise))]
        return np.log(each).mean()

    drawn = [left(rng(seed).permutation(len(KNOWN))[:12]) for seed in range(20)]
    assert left(chosen) < np.mean(drawn) - np.std(drawn)
    for n in (0, len(KNOWN) + 1):
        with pytest.raises(FitError, match="pool"):
            known.choose(n, KNOWN, rng(0))


def test_a_file_holds_the_known_targets_too(known):
    model = transfer(known)
    model.fit(KNOWN[:12], device(9, KNOWN)[:12])
    loaded = load(model.dump(), FAMILY, model.scope)
    np.testing.assert_array_equal(loaded.quantile(TEST, 0.9), model.quantile(TEST, 0.9))
    assert [target.kin for target in loaded.known.targets] == [target.kin for target in known.targets]
    assert len(loaded.known.targets) == 5


def test_one_disturbed_sample_of_twelve_does_little(known):
    chosen = known.choose(12, KNOWN, np.random.default_rng(3))
    y, truth = device(9, KNOWN)[chosen], device(9, TEST)
    disturbed = y.copy()
    disturbed[5] *= 2.5
    model = transfer(known)
    model.fit(KNOWN[chosen], disturbed)
    assert np.median(np.abs(model.predict(TEST)[0] / truth - 1)) < 0.1


@pytest.mark.parametrize("n", [6, 10, 20])
def test_intervals_hold_on_devices_of_the_same_world(known, n):
    """12 new devices: not so narrow that they miss, nor so wide that they say nothing."""
    covered, widths = [], []
    for seed in range(30, 42):
        chosen = known.choose(n, KNOWN, np.random.default_rng(seed))
        model, truth = transfer(known), device(seed, TEST)
        model.fit(KNOWN[chosen], device(seed, KNOWN)[chosen])
        low, high = model.quantile(TEST, 0.05), model.quantile(TEST, 0.95)
        covered.append(((low <= truth) & (truth <= high)).mean())
        widths.append((high - low).mean() / truth.mean())
    assert 0.82 <= np.mean(covered) <= 0.98
    assert np.mean(widths) < 0.5


def test_fewer_samples_give_wider_intervals(known):
    widths = []
    for n in (6, 12, 40):
        width = []
        for seed in range(50, 56):
            chosen = known.choose(n, KNOWN, np.random.default_rng(seed))
            model = transfer(known)
            model.fit(KNOWN[chosen], device(seed, KNOWN)[chosen])
            width.append((model.quantile(TEST, 0.95) - model.quantile(TEST, 0.05)).mean())
        widths.append(np.mean(width))
    assert widths[0] > widths[1] > widths[2]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(5, 30), st.lists(st.floats(0.001, 0.999), min_size=2, max_size=6))
def test_quantiles_never_fall(known, seed, n, levels):
    rows = np.random.default_rng(seed).permutation(len(KNOWN))[:n]
    model = transfer(known)
    model.fit(KNOWN[rows], device(seed % 1000 + 60, KNOWN)[rows])
    values = np.stack([model.quantile(TEST, p) for p in sorted(levels)])
    assert (np.diff(values, axis=0) >= 0).all()


def test_no_measurement_of_a_candidate_is_ever_read():
    """Whatever a known device measured for some archs, what is predicted for them on a new one stays the same,
    but for what all others teach: the models that predict for them never saw them."""

    class Spy(SourceDevice):
        asked: list[bytes] = []

        def _predict(self, population):
            values = super()._predict(population)
            for row, value in zip(population, values, strict=True):
                fold = self._fold.get(row.tobytes())
                model = self.predictor if fold is None else self._models[fold]
                seen = {r.tobytes() for r in model.data[0]}
                assert row.tobytes() not in seen
                assert value == pytest.approx(model.predict(row[None])[0][0], rel=1e-9)
                self.asked.append(row.tobytes())
            return values

    known = SourceDevices(FAMILY, [Spy(known_predictor(seed)) for seed in (1, 2, 3)])
    model = transfer(known)
    model.fit(KNOWN[:10], device(9, KNOWN)[:10])
    Spy.asked.clear()
    model.predict(KNOWN[5:20])
    model.predict(TEST[:15])
    assert len(Spy.asked) >= 2 * 3 * 15


def test_one_of_a_family_learns_nothing_from_its_twin():
    def twins(kin):
        targets = [SourceDevice(known_predictor(1), kin), SourceDevice(known_predictor(1), kin)]
        return SourceDevices(
            FAMILY, [*targets, SourceDevice(known_predictor(3)), SourceDevice(known_predictor(4))]
        )

    apart, together = twins(""), twins("board")
    assert together._others(0) == (2, 3) and apart._others(0) == (1, 2, 3)
    # Where a twin always stands by, devices look easier to tell than they are.
    assert together.prior.mean[-1] > apart.prior.mean[-1]


def test_a_device_bound_by_what_no_known_one_is(known):
    """Time goes with MACs alone: FLOPs would rank these archs, and so must what knows five other devices."""
    truth = FAMILY.costs(TEST)["macs"] / 1e6
    chosen = known.choose(10, KNOWN, np.random.default_rng(5))
    model = transfer(known)
    model.fit(KNOWN[chosen], FAMILY.costs(KNOWN[chosen])["macs"] / 1e6)
    assert np.corrcoef(model.predict(TEST)[0], truth)[0, 1] > 0.98


def test_known_targets_must_be_of_the_same_space():
    with pytest.raises(ScopeError, match="same|of the space"):
        SourceDevices(small_family(kernels=[3]), [SourceDevice(known_predictor(1))])


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


def test_a_sum_of_kernels_is_less_sure_outside_what_was_measured():
    terms = KernelSum(FAMILY, scope_for("latency_ms"))._terms(POOL)
    order = np.argsort(terms[:, 2:].sum(axis=1))
    small, large = POOL[order[:60]], POOL[order[-40:]]
    model = KernelSum(FAMILY, scope_for("latency_ms"))
    model.fit(small, device(2, small))
    outside = model.outside(model._terms(large))
    assert (model.outside(model._terms(small)) == 0).all() and outside.max() > 0.1
    relative = [model.predict(rows)[1] / model.predict(rows)[0] for rows in (small, large)]
    assert relative[1].mean() > relative[0].mean()


def odd_device(population):
    """A device on which the largest choice of each of three axes makes a net three times slower."""
    largest = np.array([population[:, axis] == population[:, axis].max() for axis in range(3)])
    return device(9, population) * 3.0 ** largest.sum(axis=0)


def test_a_device_unlike_all_known_ones_is_believed_to_be_so(known):
    """Its rows speak for draws of devices unlike all others, those of an ordinary device do not."""
    unlike = []
    for measure in (odd_device, lambda rows: device(9, rows)):
        rows = KNOWN[known.choose(30, KNOWN, np.random.default_rng(1))]
        model = FewShot(known.basis(rows), measure(rows), known.prior)
        draws = model.posteriors.draws
        own = draws.sizes[:, PARTS.index("smooth")] > 1e-6
        unlike.append(float(model.weights[own].sum()))
    assert unlike[0] > 0.5 > unlike[1]


def test_two_samples_that_somebody_disturbed_do_not_bend_the_rest(known):
    """The smallest two nets of twelve are measured four times too slow: large nets are still the slow ones."""
    chosen = known.choose(12, KNOWN, np.random.default_rng(3))
    y, truth = device(9, KNOWN)[chosen], device(9, TEST)
    y[np.argsort(y)[:2]] *= 4
    model = transfer(known)
    model.fit(KNOWN[chosen], y)
    assert np.corrcoef(model.predict(TEST)[0], truth)[0, 1] > 0.8


def test_a_third_of_the_samples_is_drawn_at_random(known):
    """What is informative comes first, and is the same whatever the seed; the last third is not."""
    telling = set(most_informative(known.basis(KNOWN), 6, known.prior).tolist())
    chosen = [known.choose(9, KNOWN, np.random.default_rng(seed)).tolist() for seed in (0, 1)]
    assert all(set(rows[:6]) == telling for rows in chosen)
    assert set(chosen[0][6:]) != set(chosen[1][6:])
