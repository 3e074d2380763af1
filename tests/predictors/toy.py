"""A small family with a latency and a quality of known form, and a machine whose speed flips."""

from __future__ import annotations

from functools import cache

import numpy as np

from predictors import PREDICTORS
from predictors.latency.operators import OperatorTable, operators_of
from predictors.quality.imported_mlp import Layout
from predictors.scope import Scope
from supernets.metrics import METRICS
from supernets.spaces.cost import SegmentTable
from tests.small import small_family

FAMILY = small_family()
SPACE = FAMILY.space()
LEAST_MACS = FAMILY.costs(SPACE.encode([SPACE.min()]))["macs"][0]


def scope_for(metric, **changes):
    target, data = ("tgt", None) if METRICS[metric].source == "measured" else (None, "validation")
    fields = {"supernet": "weights", "space_sha256": SPACE.sha256, "metric": metric}
    return Scope(**{**fields, "target": target, "data": data, **changes})


def made(kind, scope, family=FAMILY):
    """An unfitted predictor; one that needs somebody else's network gets a linear one fitted to the toy's quality."""
    cls = PREDICTORS.load(kind)
    if cls is OperatorTable:
        return cls(family, scope, operators=operators(family))
    return cls(family, scope, layers=linear_layers()) if cls.imported else cls(family, scope)


def operators(family=FAMILY):
    """A table of operators whose sums are 0.9 of the toy's latency, as near as sums over blocks can be."""
    found = {}

    def note(layers):
        peak = max((layer.live_elements for layer in layers), default=0)
        for name in operators_of(layers):
            macs = sum(layer.macs for layer in layers)
            found[name] = 0.9 * (2e-7 * macs + 1e-7 * peak + 1e-4) / max(len(operators_of(layers)), 1)
        return [0.0]

    SegmentTable(family.space(), family.segments(), note)
    return found


@cache
def linear_layers():
    """Two layers with ReLU between them that say what a ridge regression on 400 archs says, minus 0.02."""
    inputs, y = Layout(SPACE)(archs(400, seed=3)), true_value("accuracy", archs(400, seed=3))
    middle = inputs.mean(axis=0)
    weights = np.linalg.solve(
        (inputs - middle).T @ (inputs - middle) + np.eye(inputs.shape[1]),
        (inputs - middle).T @ (y - y.mean()),
    )
    both = np.concatenate([np.eye(len(weights)), -np.eye(len(weights))])
    last = np.concatenate([weights, -weights])[None]
    return ((both, np.zeros(len(both))), (last, np.array([y.mean() - middle @ weights - 0.02])))


def archs(n, seed=0):
    """``n`` different archs, the smallest and the largest among them."""
    rng = np.random.default_rng(seed)
    ends = SPACE.encode([SPACE.min(), SPACE.max()])
    drawn = SPACE.sample(rng, 4 * n + 20)
    rows = np.concatenate([ends, drawn])
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)][:n]


def true_value(metric, population):
    """Latency: a fixed part, MACs and memory traffic. Accuracy: saturating in log MACs, less with small kernels."""
    costs = FAMILY.costs(population)
    if metric == "latency_ms":
        return 0.01 + 2e-7 * costs["macs"] + 0.3 * costs["activation_mb"]
    size = np.log(costs["macs"] / LEAST_MACS)
    kernels = SPACE.features(population)[:, :4].sum(axis=1)
    return 0.98 - 0.08 * np.exp(-size) + 0.002 * kernels


def noisy(metric, population, noise=0.01, seed=0):
    values = true_value(metric, population)
    spread = noise * (values if metric == "latency_ms" else 0.1)
    return values + spread * np.random.default_rng(seed).standard_normal(len(values))


class FlippingCore:
    """Runs nets of known latency on a core that flips between two speeds; time is simulated.

    ``dwell_ms`` is the mean time in a state, ``slowdown`` how much slower the other state is.
    """

    def __init__(self, slowdown=1.8, dwell_ms=40.0, jitter=0.01, seed=0):
        self.rng = np.random.default_rng(seed)
        self.slowdown, self.dwell_ms, self.jitter = slowdown, dwell_ms, jitter
        self.slow, self.left = False, dwell_ms
        self.calls = []

    def block(self, name, latency_ms):
        def run(block_ms):
            self.calls.append(name)
            samples, spent = [], 0.0
            while spent < block_ms or len(samples) < 3:
                factor = self.slowdown if self.slow else 1.0
                took = latency_ms * factor * (1 + self.jitter * self.rng.exponential())
                samples.append(took)
                spent += took
                self.left -= took
                if self.left <= 0:
                    self.slow = not self.slow
                    self.left = self.rng.exponential(self.dwell_ms)
            return np.array(samples)

        return run
