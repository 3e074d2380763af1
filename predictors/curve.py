"""How the error falls with the number of rows: how many measured or evaluated subnets are enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.report import Model, score
from supernets.spaces.space import Population

Values = NDArray[np.float64]

REPEATS = 3
SIZES = 4
HELD_OUT = 5  # one row in this many is predicted, and never learned from
FEWEST_HELD_OUT = 3
NEAR = 1.1  # more rows are not worth their price where the error is within this of that with all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Errors on held-out rows of models fitted to ``rows`` others, means over ``repeats`` random splits."""

    rows: int
    mape: float
    mape_error: float
    spearman: float | None
    interval_score: float
    repeats: int

    def as_json(self) -> dict[str, object]:
        """Every field."""
        return asdict(self)


def learning_curve(
    fresh: Callable[[], Model], fewest_rows: int, archs: Population, y: Values, seed: int = 0
) -> list[Step]:
    """Errors for up to ``SIZES`` numbers of rows, each about twice the one before; different archs ``(n, d)``.

    In every repeat the same held-out fifth is predicted from ever longer first parts of the rest. Empty where
    there are too few rows to fit anything in addition to those held out.
    """
    held = max(FEWEST_HELD_OUT, len(y) // HELD_OUT)
    most = len(y) - held
    sizes = sorted({most // 2**power for power in range(SIZES)})
    sizes = [size for size in sizes if size >= max(fewest_rows, 2)]
    found: dict[int, list[tuple[float, float | None, float]]] = {size: [] for size in sizes}
    for repeat in range(REPEATS):
        order = np.random.default_rng((seed, repeat)).permutation(len(y))
        test, rest = order[:held], order[held:]
        for size in sizes:
            model = fresh()
            model.fit(archs[rest[:size]], y[rest[:size]])
            report = score(model, archs[test], y[test])
            mape = float(np.abs(report.errors).mean())
            found[size].append((mape, report.spearman, float(report.interval_scores.mean())))
    return [_step(size, figures) for size, figures in found.items()]


def _step(size: int, figures: list[tuple[float, float | None, float]]) -> Step:
    mapes = np.array([mape for mape, _, _ in figures])
    ranks = [rank for _, rank, _ in figures if rank is not None]
    return Step(
        rows=size,
        mape=float(mapes.mean()),
        mape_error=float(mapes.std(ddof=1) / np.sqrt(len(mapes))),
        spearman=float(np.mean(ranks)) if ranks else None,
        interval_score=float(np.mean([score for _, _, score in figures])),
        repeats=len(figures),
    )


def enough_rows(curve: list[Step]) -> int | None:
    """The fewest rows whose error and interval score are within a tenth of those with the most.

    None where they still fall. Errors alone will not do: where measurements are noisy they are soon as small
    as they can be, while the intervals still shrink.
    """
    if len(curve) < 2:
        return None
    for step in curve[:-1]:
        last = curve[-1]
        if step.mape <= NEAR * last.mape and step.interval_score <= NEAR * last.interval_score:
            return step.rows
    return None
