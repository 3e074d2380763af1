"""Transfer from source devices, which are other targets of the same space, to a new device.

The ratio of the latency on the new device to the typical latency of the source devices is a constant, plus an overhead
that affects small networks more, plus a mixture of the differences of the source devices from their mean, plus shares
proportional to MACs, bytes and the number of layers, plus device-specific effects of layers and encoding. The sizes of
these parts and the noise are estimated from the source devices, each of which is held out in turn together with its
device family; see :mod:`predictors.latency.few_shot`.

Features of a candidate are its encoding, its layers and the *predictions* of the models of the source devices. For an
arch that was measured on a source device, the prediction comes from a model fitted without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predictors.errors import FitError, ScopeError
from predictors.latency.few_shot import (
    USUAL,
    USUAL_STD,
    Basis,
    FewShot,
    Prior,
    candidates,
    evidences,
    half_width,
    normalised,
    telling_rows,
)
from predictors.latency.inputs import Matrix, inputs_of
from predictors.predictor import Predictor, Values
from supernets.families.family import Family
from supernets.spaces.space import Population

FOLDS = 4
# Number of populations with cached features, because mean and quantile are computed for the same one.
MEMORY, LARGEST_KEPT = 64, 4096
LEVEL_ROWS = 300
PRIOR_ROWS = 60
SCORED_ROWS = 200
CALIBRATION_DRAWS = 2
CHOICE_POOL = 300
# Lower bound of a latency as a share of the typical one, for relative errors.
FLOOR = 0.2
CLIP = 4.0
# The usual prior counts as one more source device, with twice the width when sizes are estimated.
USUAL_WEIGHT, SEARCH_WIDTH = 1.0, 2.0
# The factor of the interval is shrunk towards 1 as if this many devices had shown 1.
CALIBRATION_WEIGHT = 1.0
NARROWEST, WIDEST = 0.6, 4.0


class SourceDevice:
    """A fitted predictor of another target, and models of it fitted without each of its rows.

    ``kin`` is the device family. Members of a family are held out together, because a new device has no close
    relative among the source devices. By default every target is its own family.
    """

    def __init__(self, predictor: Predictor, kin: str = "") -> None:
        archs, y = predictor.data
        self.predictor, self.kin = predictor, kin
        self.archs, self.y = archs, y
        _, group = np.unique(archs, axis=0, return_inverse=True)
        fold = (np.random.default_rng(0).permutation(int(group.max()) + 1) % FOLDS)[group.ravel()]
        self._fold = {row.tobytes(): int(f) for row, f in zip(archs, fold, strict=True)}
        self._models: list[Predictor] = []
        if min(int((fold != f).sum()) for f in range(FOLDS)) >= predictor.fewest_rows:
            for f in range(FOLDS):
                model = predictor.fresh()
                model.fit(archs[fold != f], y[fold != f])
                self._models.append(model)
        self._memory: dict[bytes, Values] = {}

    def predict(self, archs: Population) -> Values:
        """Latency ``(n,)`` in ms; measured rows are predicted by a model fitted without them."""
        key = archs.tobytes()
        if key not in self._memory:
            if len(self._memory) >= MEMORY:
                self._memory.pop(next(iter(self._memory)))
            if len(archs) > LARGEST_KEPT:
                return self._predict(np.ascontiguousarray(archs))
            self._memory[key] = self._predict(np.ascontiguousarray(archs))
        return self._memory[key]

    def _predict(self, archs: Population) -> Values:
        values = self.predictor.predict(archs)[0]
        if self._models:
            seen = np.array([self._fold.get(row.tobytes(), -1) for row in archs])
            for fold, model in enumerate(self._models):
                mine = seen == fold
                if mine.any():
                    values[mine] = model.predict(archs[mine])[0]
        return values


class SourceDevices:
    """The source devices of a space; without any, every part has its usual size."""

    def __init__(self, family: Family, targets: Sequence[SourceDevice], prior: Prior | None = None) -> None:
        for target in targets:
            if target.predictor.space.sha256 != family.space().sha256:
                raise ScopeError(
                    f"source devices must be of the space {family.space().sha256!r}, got another"
                )
        self.family, self.targets = family, tuple(targets)
        self._inputs = inputs_of(family)
        rows = self._reference_rows()
        self._levels = np.array([max(float(np.median(t.predict(rows))), 1e-9) for t in self.targets])
        bounds = np.median(self._inputs.bounds(rows), axis=0)
        self._bounds = np.where(bounds > 0, bounds, np.inf)
        self._memory: dict[tuple[bytes, tuple[int, ...]], Basis] = {}
        self._scales: dict[int, float] = {}
        self.prior = prior or self._learn()

    # --- features --------------------------------------------------------------------------------------

    def _reference_rows(self) -> Population:
        """Archs on which the levels of devices and quantities are compared."""
        rng = np.random.default_rng(0)
        if not self.targets:
            return self.family.space().sample(rng, LEVEL_ROWS)
        rows = np.unique(np.concatenate([target.archs for target in self.targets]), axis=0)
        return rows[rng.permutation(len(rows))[:LEVEL_ROWS]]

    def _others(self, k: int) -> tuple[int, ...]:
        """The targets outside the device family of target ``k``."""
        rest = [j for j in range(len(self.targets)) if j != k]
        kin = self.targets[k].kin
        return tuple([j for j in rest if not kin or self.targets[j].kin != kin] or rest)

    def _weights(self) -> Values:
        """Weight ``(k,)`` of each target: every device family has the same total weight."""
        kin = [target.kin or str(k) for k, target in enumerate(self.targets)]
        return np.array([1 / kin.count(name) for name in kin])

    def basis(self, archs: Population, kept: tuple[int, ...] | None = None) -> Basis:
        """Features of archs ``(n, d)``, using some of the targets (all by default)."""
        kept = tuple(range(len(self.targets))) if kept is None else kept
        key = (archs.tobytes(), kept)
        if key not in self._memory:
            if len(self._memory) >= MEMORY:
                self._memory.pop(next(iter(self._memory)))
            if len(archs) > LARGEST_KEPT:
                return self._basis(archs, kept)
            self._memory[key] = self._basis(archs, kept)
        return self._memory[key]

    def _basis(self, archs: Population, kept: tuple[int, ...]) -> Basis:
        shares = np.ones((len(archs), 1))
        if kept:
            shares = np.stack([self.targets[k].predict(archs) / self._levels[k] for k in kept], axis=1)
        typical = np.maximum(shares.mean(axis=1), FLOOR)
        bounds = np.where(
            np.isfinite(self._bounds), self._inputs.bounds(archs) / self._bounds, typical[:, None]
        )
        inputs = self._inputs(archs)
        layers, encoding = inputs[:, self._inputs.encoding :], inputs[:, : self._inputs.encoding]
        scale = typical[:, None]
        return Basis(
            typical,
            (
                1 / scale - 1,
                (shares / scale - 1) / np.sqrt(shares.shape[1]),
                bounds / scale - 1,
                layers,
                encoding,
                layers / scale,
                encoding / scale,
            ),
            inputs,
        )

    # --- prior and calibration from the source devices -------------------------------------------------

    def _learn(self) -> Prior:
        """Sizes of the parts and of the noise over devices, from each source device held out in turn."""
        if len(self.targets) < 2:
            return Prior.usual()
        logs = candidates()
        likely = -0.5 * np.square((logs - USUAL) / np.maximum(SEARCH_WIDTH * USUAL_STD, 1e-9)).sum(axis=1)
        means, spreads = [USUAL], [np.square(USUAL_STD)]
        for k in range(len(self.targets)):
            products, ratio = self._case(k)
            weights = normalised(likely + evidences(logs, products, ratio))
            means.append(weights @ logs)
            spreads.append(weights @ np.square(logs - means[-1]))
        share = np.concatenate([[USUAL_WEIGHT], self._weights()])
        share /= share.sum()
        mean = share @ np.array(means)
        variance = share @ (np.array(spreads) + np.square(np.array(means) - mean))
        return Prior(mean, np.sqrt(variance))

    def _case(self, k: int) -> tuple[Matrix, Values]:
        """Covariances of the parts on some rows of target ``k``, and its latency over the typical one."""
        target = self.targets[k]
        rows = np.random.default_rng(k).permutation(len(target.y))[:PRIOR_ROWS]
        basis = self.basis(target.archs[rows], self._others(k))
        own = target.predict(target.archs[rows])
        error = (target.y[rows] - own) / basis.typical
        spread = 1.4826 * float(np.median(np.abs(error)))
        ratio = own / basis.typical + np.clip(error, -CLIP * spread, CLIP * spread)
        return basis.products(basis), np.asarray(ratio / np.median(ratio))

    def scale(self, n: int) -> float:
        """Factor on the interval of ``n`` samples, calibrated on held-out source devices.

        It is the 90 % quantile of errors over half the interval's width, where every device family has the same
        weight and the errors are those with ``n`` samples.
        """
        if len(self.targets) < 2:
            return 1.0
        if n not in self._scales:
            scores = [self._scores(k, n) for k in range(len(self.targets))]
            usable = [(s, w) for s, w in zip(scores, self._weights(), strict=True) if len(s)]
            self._scales[n] = 1.0
            if usable:
                weights = np.concatenate([np.full(len(s), w / len(s)) for s, w in usable])
                found = _weighted_quantile(np.concatenate([s for s, _ in usable]), weights, 0.9)
                devices = sum(w for _, w in usable)
                believed = devices / (devices + CALIBRATION_WEIGHT)
                self._scales[n] = float(np.clip(found, NARROWEST, WIDEST) ** believed)
        return self._scales[n]

    def _scores(self, k: int, n: int) -> Values:
        """Absolute errors over the half-width of the 90 % interval, with target ``k`` held out."""
        target, found, others = self.targets[k], [], self._others(k)
        for draw in range(CALIBRATION_DRAWS):
            order = np.random.default_rng((k, draw)).permutation(len(target.y))
            pool, rest = np.split(
                order[: CHOICE_POOL // 2 + SCORED_ROWS], [min(len(order) // 2, CHOICE_POOL // 2)]
            )
            if len(pool) < n or not len(rest):
                break
            basis = self.basis(target.archs[pool], others)
            chosen = telling_rows(basis, n, self.prior, np.random.default_rng((k, draw)))
            model = FewShot(basis.rows(chosen), target.y[pool][chosen], self.prior)
            mean, std = model(self.basis(target.archs[rest], others))
            found.append(np.abs(target.y[rest] - mean) / half_width(std))
        return np.concatenate(found) if found else np.empty(0)

    def choose(self, n: int, pool: Population, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows ``(n,)`` of ``pool`` to measure; see :func:`~predictors.latency.few_shot.telling_rows`.

        Raises:
            FitError: the pool has fewer than ``n`` archs.
        """
        if not 1 <= n <= len(pool):
            raise FitError(f"n must be from 1 to the {len(pool)} archs of the pool, got {n}")
        kept = rng.permutation(len(pool))[: max(CHOICE_POOL, n)]
        return np.asarray(kept[telling_rows(self.basis(pool[kept]), n, self.prior, rng)])


def _weighted_quantile(values: Values, weights: Values, p: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(total, p * total[-1])), len(values) - 1)])
