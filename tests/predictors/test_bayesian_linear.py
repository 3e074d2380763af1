import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictors.latency.bayesian_linear import FIXED, BayesianLinear, Fit, maximise_evidence
from predictors.latency.features import LayerFeatures, layer_kind
from supernets.spaces.layers import LayerSpec
from tests.predictors.toy import FAMILY, SPACE, archs, noisy, scope_for, true_value

FEATURES = LayerFeatures(FAMILY)


def log_evidence(rows, y, fit):
    """Slow reference: the density of ``y`` with the weights integrated out."""
    covariance = fit.noise**2 * np.eye(len(y)) + rows @ np.diag(1 / fit.precision) @ rows.T
    _, logdet = np.linalg.slogdet(covariance)
    return -0.5 * (y @ np.linalg.solve(covariance, y) + logdet)


def problem(seed, n=15, k=6):
    rng = np.random.default_rng(seed)
    rows = np.concatenate([np.ones((n, 1)), rng.standard_normal((n, k))], axis=1)
    return rows, 1 + 0.1 * rows[:, 1] + 0.03 * rng.standard_normal(n)


@given(st.integers(0, 10**6), st.floats(0.01, 1), st.floats(0.1, 10))
def test_the_posterior_and_its_leave_one_out_equal_the_slow_reference(seed, noise, width):
    rows, y = problem(seed)
    precision = np.full(rows.shape[1], width)
    fit = Fit(rows, y, precision, noise)
    covariance = np.linalg.inv(rows.T @ rows / noise**2 + np.diag(precision))
    np.testing.assert_allclose(fit.factor @ fit.factor.T, covariance, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(fit.weights, covariance @ rows.T @ y / noise**2, rtol=1e-6, atol=1e-9)
    for left_out in (0, len(y) - 1):
        kept = np.arange(len(y)) != left_out
        other = Fit(rows[kept], y[kept], precision, noise)
        row = rows[left_out]
        std = np.sqrt(np.square(row @ other.factor).sum() + noise**2)
        assert fit.leave_one_out[left_out] == pytest.approx(
            (y[left_out] - row @ other.weights) / std, rel=1e-5, abs=1e-8
        )


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_the_evidence_is_higher_than_where_it_started(seed):
    rows, y = problem(seed, n=40)
    found = maximise_evidence(rows, y, FIXED)
    start = Fit(rows, y, np.where(np.arange(rows.shape[1]) < FIXED, found.precision[0], 1.0), 0.1)
    assert log_evidence(rows, y, found) > log_evidence(rows, y, start)
    assert 0.01 < found.noise < 0.06
    assert 1 <= found.parameters <= rows.shape[1]


def computed(layer, quantity):
    """What a layer adds to a feature: depthwise ones compute the channels they are padded to."""
    padded = -(-layer.out_channels // 16) * 16 if layer_kind(layer) == "depthwise" else layer.out_channels
    return quantity(layer) * padded / layer.out_channels


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_features_of_a_population_equal_those_counted_layer_by_layer(seed):
    population = SPACE.sample(np.random.default_rng(seed), 3)
    table = dict(zip(FEATURES.names, FEATURES(population).T, strict=True))
    quantities = {
        "macs": lambda layer: layer.macs,
        "weight_bytes": lambda layer: 4 * layer.weights,
        "activation_bytes": lambda layer: 4 * (layer.in_elements + layer.out_elements),
    }
    for index, arch in enumerate(SPACE.decode(population)):
        layers = FAMILY.layers(arch)
        for kind in {layer_kind(layer) for layer in layers}:
            own = [layer for layer in layers if layer_kind(layer) == kind]
            assert table[f"{kind}.count"][index] == len(own)
            for name, quantity in quantities.items():
                total = sum(computed(layer, quantity) for layer in own)
                assert table[f"{kind}.{name}"][index] == pytest.approx(total)
        relu = [layer for layer in layers if layer.activation == "relu"]
        elements = sum(computed(layer, lambda layer: layer.out_elements) for layer in relu)
        assert table["relu.elements"][index] == pytest.approx(elements)


@pytest.mark.parametrize(
    ("kind", "channels", "kernel", "expected"),
    [
        ("conv", 6, 1, "pointwise"),
        ("conv", 8, 3, "conv"),
        ("depthwise", 12, 3, "depthwise"),
        ("depthwise", 6, 5, "depthwise_uneven"),
        ("linear", 10, 1, "linear"),
    ],
)
def test_layers_of_one_kind_run_the_same_code(kind, channels, kernel, expected):
    groups = channels if kind == "depthwise" else 1
    assert layer_kind(LayerSpec("l", kind, channels, channels, 16, 16, kernel, groups=groups)) == expected


def test_standardised_features_vary_over_the_space():
    features = LayerFeatures(FAMILY)
    values = features.standardised(SPACE.sample(np.random.default_rng(1), 3000))
    assert values.shape == (3000, features.varying.sum())
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=0.1)
    assert 0 < features.varying.sum() < len(features.names)


def test_twenty_five_nets_are_enough():
    errors, ranks, inside = [], [], []
    for seed in range(6):
        population = archs(225, seed)
        measured = noisy("latency_ms", population, 0.02, seed)
        model = BayesianLinear(FAMILY, scope_for("latency_ms"))
        model.fit(population[:25], measured[:25])
        held, truth = population[25:], true_value("latency_ms", population[25:])
        mean, _ = model.predict(held)
        errors.append(np.median(np.abs(mean / truth - 1)))
        ranks.append(np.corrcoef(mean.argsort().argsort(), truth.argsort().argsort())[0, 1])
        inside.append((measured[25:] <= model.quantile(held, 0.95)).mean())
    assert np.mean(errors) < 0.02
    assert np.mean(ranks) > 0.98
    assert 0.88 <= np.mean(inside) <= 1.0


def test_noise_is_relative_and_latency_stays_positive():
    population = archs(40)
    model = BayesianLinear(FAMILY, scope_for("latency_ms"))
    measured = noisy("latency_ms", population, 0.03)
    model.fit(population, measured)
    everything = SPACE.enumerate()
    mean, std = model.predict(everything)
    assert (mean >= measured.min() / 2).all()
    assert (model.quantile(everything, 0.001) > 0).all()
    assert np.corrcoef(mean, std)[0, 1] > 0.5
