"""What other targets of the same space teach about a new one.

Latency on the new device over what is typical of the known ones is a constant, plus an overhead that small nets
feel more, plus a mixture of how the known devices differ from their mean, plus shares that follow MACs, bytes and
the number of layers, plus something of its own in layers and encoding. How large each is, and the noise, is
learned from the known devices, each in turn playing the new one without its kin; see
:mod:`predictors.latency.few_shot`.

Features of a candidate are its encoding, its layers and the *predictions* of the known targets' models. For an
arch that a known target did measure, the prediction is that of a model which never saw it.
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
# Populations whose features are kept, for mean and quantile are asked of the same one.
MEMORY, LARGEST_KEPT = 64, 4096
LEVEL_ROWS = 300
PRIOR_ROWS = 60
SCORED_ROWS = 200
CALIBRATION_DRAWS = 2
CHOICE_POOL = 300
# No net is taken to be faster than this share of the typical one when errors are made relative.
FLOOR = 0.2
CLIP = 4.0
# The usual prior counts as one more known device, and twice as wide when likely sizes are looked for.
USUAL_WEIGHT, SEARCH_WIDTH = 1.0, 2.0
# The interval's factor is believed as far as devices stand behind it: as if so many had shown 1.
CALIBRATION_WEIGHT = 1.0
NARROWEST, WIDEST = 0.6, 4.0


class KnownTarget:
    """A fitted predictor of another target, and models of it that leave each of its own rows out.

    ``kin`` names the device family: members of one are left out together when one of them plays the new
    device, for a new device has no twin among the known ones. By default every target is its own.
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
        """Latency ``(n,)`` in ms; rows that it measured are predicted by a model that did not see them."""
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


class KnownTargets:
    """The known targets of a space; none at all is allowed, and then every part has its usual size."""

    def __init__(self, family: Family, targets: Sequence[KnownTarget], prior: Prior | None = None) -> None:
        for target in targets:
            if target.predictor.space.sha256 != family.space().sha256:
                raise ScopeError(f"known targets must be of the space {family.space().sha256!r}, got another")
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
        """Archs on which levels of devices and quantities are compared."""
        rng = np.random.default_rng(0)
        if not self.targets:
            return self.family.space().sample(rng, LEVEL_ROWS)
        rows = np.unique(np.concatenate([target.archs for target in self.targets]), axis=0)
        return rows[rng.permutation(len(rows))[:LEVEL_ROWS]]

    def _others(self, k: int) -> tuple[int, ...]:
        """The targets that know target ``k`` as little as they know a new one: those not of its kin."""
        rest = [j for j in range(len(self.targets)) if j != k]
        kin = self.targets[k].kin
        return tuple([j for j in rest if not kin or self.targets[j].kin != kin] or rest)

    def _weights(self) -> Values:
        """Weight ``(k,)`` of each target: families count alike."""
        kin = [target.kin or str(k) for k, target in enumerate(self.targets)]
        return np.array([1 / kin.count(name) for name in kin])

    def basis(self, archs: Population, kept: tuple[int, ...] | None = None) -> Basis:
        """Features of archs ``(n, d)``, as seen with some of the targets (all by default)."""
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

    # --- what the known targets say about new ones -----------------------------------------------------

    def _learn(self) -> Prior:
        """Sizes of the parts and of the noise over devices, from each known target seen as new."""
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
        """Factor on the interval of ``n`` samples that makes it hold on known targets seen as new.

        The 90 % quantile, every device family counting alike, of errors over half the interval's width; with
        fewer samples those errors are what they are with fewer samples.
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
        """Sizes of errors over the half-width of the 90 % interval, target ``k`` seen as new."""
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
            FitError: fewer archs in the pool than asked for.
        """
        if not 1 <= n <= len(pool):
            raise FitError(f"n must be from 1 to the {len(pool)} archs of the pool, got {n}")
        kept = rng.permutation(len(pool))[: max(CHOICE_POOL, n)]
        return np.asarray(kept[telling_rows(self.basis(pool[kept]), n, self.prior, rng)])


def _weighted_quantile(values: Values, weights: Values, p: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(total, p * total[-1])), len(values) - 1)])
