"""A toy space with conditional axes and surrogates that know the truth."""

from statistics import NormalDist

import numpy as np

from search.constraints import Constraint
from search.problem import Problem
from supernets.spaces.space import Axis, Space


def toy_space(stages: int = 2) -> Space:
    """1,032 archs with one stage, 266,256 with two: depth decides which blocks' kernel and expansion matter."""
    axes = [Axis("resolution", "resolution", (8, 16, 24, 32))]
    for stage in range(1, stages + 1):
        depth = f"stage{stage}.depth"
        axes.append(Axis(depth, "depth", (1, 2, 3)))
        for block in range(1, 4):
            when = tuple(d for d in (1, 2, 3) if d >= block)
            axes.append(Axis(f"stage{stage}.block{block}.kernel", "kernel", (3, 5), depth, when))
            axes.append(Axis(f"stage{stage}.block{block}.expand", "expand", (2, 3, 4), depth, when))
    return Space(axes)


class Known:
    """A surrogate that is told the truth: a function of the one-hot features, with a constant spread."""

    def __init__(self, space: Space, weights: np.ndarray, std: float = 0.0, root: bool = False) -> None:
        self.space, self.weights, self.std, self.root = space, weights, std, root
        self.asked: list[np.ndarray] = []

    def fit(self, archs, y):
        return None

    def truth(self, archs):
        value = self.space.features(archs).astype(np.float64) @ self.weights
        return np.sqrt(value) if self.root else value

    def predict(self, archs):
        self.asked.append(np.array(archs))
        return self.truth(archs), np.full(len(archs), self.std)

    def quantile(self, archs, p):
        mean, std = self.predict(archs)
        return mean + std * NormalDist().inv_cdf(p)


def known_pair(space: Space, seed: int = 0, std: float = 0.0) -> dict:
    """Latency adds up over the genes; accuracy grows with the root of other, correlated weights."""
    rng = np.random.default_rng(seed)
    latency, gain = [], []
    for axis in space.axes:
        size = np.arange(1, len(axis.choices) + 1) / len(axis.choices)
        latency += (size * rng.uniform(0.5, 2.0)).tolist()
        gain += (size * rng.uniform(0.2, 2.0)).tolist()
    return {
        ("latency_ms", "t"): Known(space, np.array(latency), std),
        ("accuracy", None): Known(space, np.array(gain) / 40.0, std / 20, root=True),
    }


OBJECTIVES = [("accuracy", None), ("latency_ms", "t")]


def toy_problem(
    stages: int = 2, *, seed: int = 0, std: float = 0.0, max_latency: float | None = None, **more
) -> Problem:
    space = toy_space(stages)
    limits = [] if max_latency is None else [Constraint("latency_ms", "t", max=max_latency)]
    surrogates = more.pop("surrogates", None) or known_pair(space, seed, std)
    return Problem(
        space, more.pop("objectives", OBJECTIVES), surrogates=surrogates, constraints=limits, **more
    )


def toy_costs(population):
    """A closed form: params grow with the sum of the genes."""
    return {"params": 1000.0 + population.sum(axis=1), "macs": 1.0 + population[:, 0].astype(np.float64)}
