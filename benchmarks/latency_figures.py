"""How good predicted latencies are: ranks, errors, intervals, and archs picked under a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr

Values = NDArray[np.float64]
LIMITS = np.linspace(0.1, 0.9, 9)
FINALISTS = 5
# Finalists are taken from this many of the most accurate archs that may meet the limit.
SHORTLIST = 200


@dataclass
class Answer:
    """Predictions for the test rows ``(n,)``, ms: mean and the ends of the 90 % interval."""

    mean: Values
    low: Values
    high: Values


def figures(answer: Answer, truth: Values) -> dict[str, float]:
    """Spearman, relative errors, and how the 90 % interval does."""
    inside = (truth >= answer.low) & (truth <= answer.high)
    width = answer.high - answer.low
    missed = np.maximum(answer.low - truth, 0) + np.maximum(truth - answer.high, 0)
    constant = np.ptp(answer.mean) == 0
    return {
        "spearman": 0.0 if constant else float(spearmanr(answer.mean, truth).statistic),
        "mape": float((np.abs(answer.mean - truth) / truth).mean()),
        "median_ape": float(np.median(np.abs(answer.mean - truth) / truth)),
        "coverage90": float(inside.mean()),
        "interval_width_rel": float(width.mean() / truth.mean()),
        "interval_score_rel": float((width + 2 / 0.1 * missed).mean() / truth.mean()),
    }


def pick_figures(answer: Answer, truth: Values, points: Values | None) -> dict[str, Any]:
    """The most accurate arch under limits at the deciles of latency, as picked and after measuring five.

    ``overshoots`` are relative (0.02 = 2 % over the limit), ``lost`` in accuracy points against the most
    accurate arch that truly meets the limit. ``lost`` is missing where nothing was picked.
    """
    if points is None:
        return {}
    spread = np.maximum((answer.high - answer.mean) / norm.ppf(0.95), 1e-9)
    picked: dict[str, list[float]] = {
        "overshoots": [],
        "lost": [],
        "measured_overshoots": [],
        "measured_lost": [],
    }
    nothing = 0
    for limit in np.quantile(truth, LIMITS):
        best = points[truth <= limit].max()
        safe = np.flatnonzero(answer.high <= limit)
        if len(safe):
            pick = safe[np.argmax(points[safe])]
            picked["overshoots"].append(truth[pick] / limit - 1)
            picked["lost"].append(best - points[pick])
        else:
            nothing += 1
        finalists = choose_finalists(norm.cdf((limit - answer.mean) / spread), points)
        met = finalists[truth[finalists] <= limit]
        pick = met[np.argmax(points[met])] if len(met) else finalists[np.argmin(truth[finalists])]
        picked["measured_overshoots"].append(truth[pick] / limit - 1)
        picked["measured_lost"].append(best - points[pick])
    return {**picked, "nothing": nothing}


def choose_finalists(chance: Values, points: Values) -> NDArray[np.int64]:
    """Five archs that promise the most accuracy once their latency is measured, by greedy expectation.

    ``chance (n,)`` is the probability of meeting the limit. An arch is worth what it adds to the expected
    best accuracy among those that will turn out to meet it.
    """
    possible = np.flatnonzero(chance >= min(0.2, chance.max()))
    order = possible[np.argsort(-points[possible])]
    # The safest of all belong in the list, however inaccurate: something must meet the limit.
    order = np.concatenate([order[:SHORTLIST], np.argsort(-chance)[:FINALISTS]])
    order = np.array(list(dict.fromkeys(order.tolist())))
    order = order[np.argsort(-points[order], kind="stable")]
    worst = float(points.min()) - 1
    chosen: list[int] = []
    for _ in range(min(FINALISTS, len(order))):
        values = [
            -np.inf
            if int(c) in chosen
            else _expected_best(
                np.array(sorted([*chosen, int(c)], key=lambda i: -points[i])), chance, points, worst
            )
            for c in order
        ]
        chosen.append(int(order[int(np.argmax(values))]))
    return np.array(chosen)


def _expected_best(sorted_archs: NDArray[np.int64], chance: Values, points: Values, worst: float) -> float:
    missed = np.concatenate([[1.0], np.cumprod(1 - chance[sorted_archs])])
    return float((missed[:-1] * chance[sorted_archs] * points[sorted_archs]).sum() + missed[-1] * worst)


def summary(found: Sequence[dict[str, Any]], ceiling: float) -> dict[str, Any]:
    """Means over seeds, and shares and tails over all picks."""
    spearman = np.array([f["spearman"] for f in found])
    row: dict[str, Any] = {
        "spearman_mean": float(spearman.mean()),
        "spearman_std": float(spearman.std()),
        "share_of_ceiling": float(spearman.mean() / ceiling),
        "mape_mean": float(np.mean([f["mape"] for f in found])),
        "median_ape": float(np.mean([f["median_ape"] for f in found])),
        "coverage90": float(np.mean([f["coverage90"] for f in found])),
        "coverage90_std": float(np.std([f["coverage90"] for f in found])),
        "interval_width_rel": float(np.mean([f["interval_width_rel"] for f in found])),
        "interval_score_rel": float(np.mean([f["interval_score_rel"] for f in found])),
        "seeds": len(found),
    }
    if "overshoots" not in found[0]:
        return {**row, "picks_within": None, "overshoot_p99": None, "accuracy_points_lost": None}
    for prefix in ("", "measured_"):
        over = np.concatenate([f[f"{prefix}overshoots"] for f in found])
        lost = np.concatenate([f[f"{prefix}lost"] for f in found])
        name = "" if not prefix else "measured_"
        row |= {
            f"{name}picks_within": float((over <= 0).mean()) if len(over) else None,
            f"{name}overshoot_p99": float(np.quantile(np.maximum(over, 0), 0.99)) if len(over) else None,
            f"{name}overshoot_worst": float(np.maximum(over, 0).max()) if len(over) else None,
            f"{name}accuracy_points_lost": float(lost.mean()) if len(lost) else None,
        }
    row["nothing_picked"] = float(np.mean([f["nothing"] for f in found])) / len(LIMITS)
    return row
