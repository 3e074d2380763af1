"""Which kind of predictor suits the rows there are: compared on rows that none of them saw.

Every registered kind that suits the metric and can be fitted is cross-validated on the same folds. What
counts is the mean interval score of the 90 % interval over the measured value (Gneiting & Raftery, 2007,
"Strictly proper scoring rules, prediction, and estimation"): the width, and twenty times what a value lies
outside, lower is better. It rewards predictions that are near *and* have an interval of the right width;
values below a tenth of the median count as that tenth, or a few nets that compile to nothing would decide
alone. With few rows the difference of two such means is mostly luck, so that the default kind stays unless
another one is better by more than the standard error of the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from predictors import PREDICTORS
from predictors.errors import FitError
from predictors.predictor import Predictor
from predictors.report import Report, cross_validate
from supernets.metrics import Metric
from supernets.spaces.space import Population

Values = NDArray[np.float64]
OnProgress = Callable[[int, int, str], None]

AUTO = "auto"
FOLDS = 5
# Up to this many rows every single one is a fold: a fifth of them is too much to do without.
LEAVE_ONE_OUT_UP_TO = 8
# More rows than this do not change which kind is best, and some kinds take n^3 time.
COMPARED_ROWS = 300
DEFAULT = {"measured": "bayesian_linear", "evaluated": "gaussian_process"}
DEFAULT_WITH_KNOWN = {"measured": "transfer", "evaluated": "quality_transfer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The figures of one kind on held-out rows; ``note`` is the reason where there are none.

    ``interval_score`` is the mean over rows, relative to the measured value, lower is better;
    ``standard_error`` is that of the mean.
    """

    kind: str
    interval_score: float | None = None
    standard_error: float | None = None
    spearman: float | None = None
    mape: float | None = None
    coverage90: float | None = None
    note: str | None = None

    def as_json(self) -> dict[str, object]:
        """Every field."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The kind that was chosen, why, and the table it was chosen from, best first."""

    kind: str
    reason: str
    candidates: tuple[Candidate, ...]
    rows: int
    folds: int

    def as_json(self) -> dict[str, object]:
        """Every field; JSON."""
        return {**asdict(self), "candidates": [each.as_json() for each in self.candidates]}


def kinds_for(metric: Metric) -> list[str]:
    """Registered kinds that can be fitted to rows of this metric, need nothing else, and are not by request only."""
    kinds = {name: PREDICTORS.load(name) for name in PREDICTORS}
    return [
        name
        for name, kind in kinds.items()
        if metric.source in kind.suits and not (kind.imported or kind.on_request)
    ]


def fewest_rows(metric: Metric) -> int:
    """How many different archs the least demanding kind needs."""
    return min(int(PREDICTORS.load(name).fewest_rows) for name in kinds_for(metric))


def kinds_that_could(metric: Metric, rows: int) -> list[str]:
    """Kinds of this metric that this many rows are enough for."""
    return [name for name in kinds_for(metric) if rows >= PREDICTORS.load(name).fewest_rows]


def default_kind(metric: Metric, known: bool) -> str:
    """The kind that stays where the comparison is undecided; ``known``: there are rows of the space from elsewhere."""
    return (DEFAULT_WITH_KNOWN if known else DEFAULT)[metric.source]


def choose_kind(
    make: Callable[[str], Predictor],
    metric: Metric,
    archs: Population,
    y: Values,
    *,
    known: bool = False,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Choice:
    """Compare all kinds on different archs ``(n, d)`` with values ``(n,)``, and choose.

    ``make`` gives an unfitted predictor of a kind, with the known targets in it where there are any
    (``known``).

    Raises:
        FitError: too few rows for any kind.
    """
    kinds = kinds_for(metric)
    could = kinds_that_could(metric, len(y))
    if not could:
        raise FitError(
            f"{metric.name} needs at least {fewest_rows(metric)} different archs for any "
            f"predictor, got {len(y)}"
        )
    kept = np.random.default_rng(seed).permutation(len(y))[:COMPARED_ROWS]
    archs, y = archs[kept], y[kept]
    folds = len(y) if len(y) <= LEAVE_ONE_OUT_UP_TO else FOLDS
    reports: dict[str, Report] = {}
    notes: dict[str, str] = {}
    for index, kind in enumerate(kinds):
        need = PREDICTORS.load(kind).fewest_rows
        if kind == DEFAULT_WITH_KNOWN["evaluated"] and not known:
            notes[kind] = "no other supernet of this space is evaluated: it would equal gaussian_process"
        elif kind not in could:
            notes[kind] = f"needs {need} rows, there are {len(y)}"
        elif len(y) - ceil(len(y) / folds) < need:
            notes[kind] = f"needs {need} rows in addition to those held out"
        else:
            reports[kind] = cross_validate(make(kind).fresh, archs, y, folds, seed)
        if on_progress is not None:
            on_progress(index + 1, len(kinds), f"compared {kind}")
    default = default_kind(metric, known)
    if default not in could:
        default = default_kind(metric, known=False)
    kind, reason = _decide(reports, default, could, len(y), folds)
    found = [_candidate(name, reports.get(name), notes.get(name)) for name in kinds]
    found.sort(key=lambda each: (each.kind != kind, each.interval_score is None, each.interval_score or 0.0))
    return Choice(kind=kind, reason=reason, candidates=tuple(found), rows=len(y), folds=folds)


def _candidate(kind: str, report: Report | None, note: str | None) -> Candidate:
    if report is None:
        return Candidate(kind=kind, note=note)
    scores = report.interval_scores
    inside = (report.measured >= report.lower) & (report.measured <= report.upper)
    return Candidate(
        kind=kind,
        interval_score=float(scores.mean()),
        standard_error=float(scores.std(ddof=1) / np.sqrt(len(scores))),
        spearman=report.spearman,
        mape=float(np.abs(report.errors).mean()),
        coverage90=float(inside.mean()),
    )


def _decide(
    reports: dict[str, Report], default: str, could: Sequence[str], rows: int, folds: int
) -> tuple[str, str]:
    """The kind to use, and the reason in words."""
    if not reports:
        kind = default if default in could else could[0]
        return kind, f"{kind}: {rows} rows are too few to hold any out; nothing could be compared"
    ranked = sorted(reports, key=lambda kind: float(reports[kind].interval_scores.mean()))
    best, chosen, doubt = ranked[0], ranked[0], ""
    if default in reports and default != best:
        difference = reports[default].interval_scores - reports[best].interval_scores
        error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
        if difference.mean() <= error:
            chosen = default
            doubt = f"; the difference of {difference.mean():.3g} is within its standard error of {error:.2g}"
    others = [kind for kind in ranked if kind != chosen]
    mean = float(reports[chosen].interval_scores.mean())
    reason = f"{chosen}: mean CV interval score {mean:.3g}"
    if others:
        reason += f" against {float(reports[others[0]].interval_scores.mean()):.3g} of {others[0]}"
    reason += f" over {rows} rows in {folds} folds{doubt}"
    if default not in reports and default != chosen:
        reason += f"; the default {default} has too few rows to be compared"
    return chosen, reason
