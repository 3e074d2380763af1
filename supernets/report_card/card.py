"""The report card of a trained supernet: a fixed panel of subnets, and how well cost orders quality."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr
from torch import Tensor

from supernets.data import DataSet
from supernets.elastic.active import ElasticModel
from supernets.elastic.norm import BNStats
from supernets.evaluate import calibrate, evaluate_net, example_scores
from supernets.metrics import MACS
from supernets.report_card.kept import KeptScores
from supernets.spaces.space import Arch, Space
from supernets.tasks.task import Task

PANEL = 20
RANDOM = 60
MIN_PAIRS = 3
"""With fewer pairs than this no order is reported."""

K = TypeVar("K", bound=Hashable)


def panel(net: ElasticModel, seed: int = 0, size: int = PANEL) -> list[Arch]:
    """Smallest, largest and ``size`` random subnets, as many from each third of the MACs."""
    space = net.family.space()
    pool = np.unique(space.sample(np.random.default_rng(seed), 50 * size), axis=0)
    order = np.argsort(net.family.costs(pool)[MACS], kind="stable")
    rng = np.random.default_rng(seed + 1)
    chosen: list[int] = []
    for third in range(3):
        part = order[len(order) * third // 3 : len(order) * (third + 1) // 3]
        count = size * (third + 1) // 3 - size * third // 3
        chosen += sorted(rng.choice(part, size=min(count, len(part)), replace=False).tolist())
    drawn = [arch for arch in space.decode(pool[chosen]) if arch not in (space.min(), space.max())]
    return [space.min(), *drawn, space.max()]


def kendall_alone(alone: Mapping[K, float], shared: Mapping[K, float]) -> float | None:
    """Kendall's tau-b, in [-1, 1], between the quality of nets trained alone and with the supernet's weights.

    Args:
        alone: arch (or whatever names it) to the quality of that net trained by itself.
        shared: the same keys, and maybe more, to the quality with the supernet's weights on the same split.

    Returns:
        None, never NaN, where there is no order to compare: fewer than ``MIN_PAIRS`` pairs, one side
        constant, or a quality that is NaN.

    Raises:
        KeyError: a net of ``alone`` that ``shared`` lacks.
    """
    pairs = np.array([(alone[key], shared[key]) for key in alone], dtype=np.float64).reshape(-1, 2)
    if len(pairs) < MIN_PAIRS or np.isnan(pairs).any() or (pairs == pairs[0]).all(0).any():
        return None
    return float(kendalltau(pairs[:, 0], pairs[:, 1]).statistic)


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation in [-1, 1]; None, never NaN, where one side is constant."""
    if len(a) < MIN_PAIRS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(spearmanr(a, b).statistic)


def report_card(
    net: ElasticModel,
    task: Task,
    data: DataSet,
    *,
    seed: int = 0,
    alone: Mapping[Arch, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
    kept: KeptScores | None = None,
) -> dict[str, Any]:
    """Quality of the panel on validation and, once, on test; rank of MACs and quality over random subnets.

    ``value`` is the task's quality, with its standard error; ``noise_ceiling`` is the Spearman correlation ``c``
    between the values on two halves of validation; a predictor that knew the truth would reach about
    ``sqrt(2 c / (1 + c))`` on the whole (Spearman-Brown), so ``c`` is a careful bound, not a hard one.
    ``further`` are other qualities of the ends, where the task has some.
    With ``alone``, validation quality of nets trained by themselves, ``kendall_alone`` is how far the
    supernet orders those nets alike (:func:`kendall_alone`); without, the card has no such entry. Subnets whose scores
    are ``kept`` are not evaluated again.
    """
    alone, scored = alone or {}, _Scored(net, task, data, kept or KeptScores())
    archs = panel(net, seed)
    space = net.family.space()
    drawn = space.decode(_distinct(space, np.random.default_rng(seed + 2), RANDOM))
    ends = {"smallest": space.min(), "largest": space.max()}
    total, rows, scores = len(archs) + len(drawn) + len(alone), [], []
    for done, arch in enumerate(archs, start=1):
        rows.append(_row(scored, arch, ("validation", "test")))
        if progress:
            progress(done, total)
    for done, arch in enumerate(drawn, start=len(archs) + 1):
        scores.append(scored(arch, "validation"))
        if progress:
            progress(done, total)
    shared = {}
    for done, arch in enumerate(alone, start=len(archs) + len(drawn) + 1):
        shared[arch] = task.summarise(scored(arch, "validation"))[0]
        if progress:
            progress(done, total)
    card = {
        "panel": rows,
        "summary": {split: _summary(rows, split) for split in ("validation", "test")},
        "random": _ranking(net, task, drawn, scores),
    }
    if task.further:
        card["further"] = {
            name: {
                split: {end: _further(net, task, data, arch, split, name) for end, arch in ends.items()}
                for split in ("validation", "test")
            }
            for name in task.further
        }
    if alone:
        card["kendall_alone"] = {"n": len(alone), "tau": kendall_alone(alone, shared)}
    return card


def _further(
    net: ElasticModel, task: Task, data: DataSet, arch: Arch, split: str, metric: str
) -> dict[str, object]:
    """A quality that the panel does not have."""
    result = evaluate_net(net, task, data, arch, split, metric=metric)
    return {"value": result.value, "standard_error": result.standard_error, "n": result.n}


def _distinct(space: Space, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    rows = np.unique(space.sample(rng, 4 * n), axis=0)
    return rows[rng.permutation(len(rows))[:n]]


class _Scored:
    """Scores of subnets on a split, each evaluated with statistics of its own unless its scores are kept."""

    def __init__(self, net: ElasticModel, task: Task, data: DataSet, kept: KeptScores) -> None:
        self.net, self.task, self._data, self._kept = net, task, data, kept
        self._last: tuple[Arch, BNStats] | None = None

    def __call__(self, arch: Arch, split: str) -> Tensor:
        """``(n,) float64``, in the order of the split."""

        def compute() -> Tensor:
            return example_scores(self.net, self.task, self._data, arch, self._stats(arch), split)

        return self._kept.of(arch, split, compute)

    def _stats(self, arch: Arch) -> BNStats:
        """Those of the last arch are computed once for both splits."""
        if self._last is None or self._last[0] != arch:
            self._last = arch, calibrate(self.net, self.task, self._data, arch)
        return self._last[1]


def _row(scored: _Scored, arch: Arch, splits: tuple[str, ...]) -> dict[str, object]:
    family = scored.net.family
    costs = family.costs(family.space().encode([arch]))
    row: dict[str, object] = {"arch": arch.as_dict(), **{k: float(v[0]) for k, v in costs.items()}}
    for split in splits:
        scores = scored(arch, split)
        value, standard_error = scored.task.summarise(scores)
        row[split] = {"value": value, "standard_error": standard_error, "n": len(scores)}
    return row


def _summary(rows: list[dict[str, Any]], split: str) -> dict[str, object]:
    inner = sorted(rows[1:-1], key=lambda row: float(row[MACS]))
    thirds = [inner[len(inner) * k // 3 : len(inner) * (k + 1) // 3] for k in range(3)]
    return {
        "smallest": rows[0][split],
        "largest": rows[-1][split],
        "panel_mean": float(np.mean([row[split]["value"] for row in rows])),
        "tercile_means": [float(np.mean([row[split]["value"] for row in third])) for third in thirds],
    }


def _ranking(net: ElasticModel, task: Task, archs: list[Arch], scores: list[Tensor]) -> dict[str, object]:
    """Rank correlations and spread of random subnets, from each one's ``scores (n,)``."""
    macs = net.family.costs(net.family.space().encode(archs))[MACS]
    quality, even, odd = (
        np.array([task.summarise(each[part])[0] for each in scores])
        for part in (slice(None), slice(0, None, 2), slice(1, None, 2))
    )
    return {
        "n": len(archs),
        "spearman_macs_quality": spearman(macs, quality),
        "noise_ceiling": spearman(even, odd),
        "quality_quantiles": [float(q) for q in np.quantile(quality, [0.0, 0.25, 0.5, 0.75, 1.0])],
    }
