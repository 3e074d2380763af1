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
# Errors of a model that is off for a device come together. What is shared takes this many values of equal chance.
NODES, DISTRUST, WRONG_BY = 9, 0.03, 5.0
BOLDEST = -1.0


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


def pick_figures(
    answer: Answer, truth: Values, points: Values | None, samples: tuple[Values, Values] | None = None
) -> dict[str, Any]:
    """The most accurate arch under limits at the deciles of latency, as picked and after measuring five.

    ``overshoots`` are relative (0.02 = 2 % over the limit), ``lost`` in accuracy points against the most
    accurate arch that truly meets the limit. ``lost`` is missing where nothing was picked. After measuring, the
    ``samples`` (latency and accuracy of what the model was fitted to) may be picked too, for they are measured. Where
    nothing measured meets the limit a service says so and names the nearest finalist: that counts as a pick which
    does not meet it, and once more in ``unmet``.
    """
    if points is None:
        return {}
    own, own_points = samples or (np.empty(0), np.empty(0))
    spread = np.maximum((answer.high - answer.mean) / norm.ppf(0.95), 1e-9)
    picked: dict[str, list[float]] = {
        "overshoots": [],
        "lost": [],
        "measured_overshoots": [],
        "measured_lost": [],
    }
    nothing = unmet = 0
    for limit in np.quantile(truth, LIMITS):
        best = points[truth <= limit].max()
        safe = np.flatnonzero(answer.high <= limit)
        if len(safe):
            pick = safe[np.argmax(points[safe])]
            picked["overshoots"].append(truth[pick] / limit - 1)
            picked["lost"].append(best - points[pick])
        else:
            nothing += 1
        finalists = choose_finalists((limit - answer.mean) / spread, points)
        latency = np.concatenate([truth[finalists], own])
        accuracy = np.concatenate([points[finalists], own_points])
        met = np.flatnonzero(latency <= limit)
        unmet += not len(met)
        chosen = met[np.argmax(accuracy[met])] if len(met) else np.argmin(latency[: len(finalists)])
        picked["measured_overshoots"].append(latency[chosen] / limit - 1)
        # A sample may be more accurate than every test arch.
        picked["measured_lost"].append(max(best - accuracy[chosen], 0.0))
    return {**picked, "nothing": nothing, "unmet": unmet}


def choose_finalists(score: Values, points: Values) -> NDArray[np.int64]:
    """Five archs that promise the most accuracy once their latency is measured, by greedy expectation.

    ``score (n,)`` is how far below the limit an arch is predicted, in standard deviations. An arch is worth what
    it adds to the expected best accuracy among those that will turn out to meet the limit. Half the variance is
    taken to be shared by all archs, and with ``DISTRUST`` the model is wrong by five deviations.
    """
    shared = np.append(norm.ppf((np.arange(NODES) + 0.5) / NODES), WRONG_BY)
    weight = np.append(np.full(NODES, (1 - DISTRUST) / NODES), DISTRUST)
    order = np.argsort(-points)
    order = order[score[order] >= min(BOLDEST, score.max())][:SHORTLIST]
    # Ever safer ones belong in the list, however inaccurate: something must meet the limit.
    steps = [np.flatnonzero(score >= s) for s in range(int(WRONG_BY) + 3) if (score >= s).any()]
    safer = [int(index[np.argmax(points[index])]) for index in steps]
    order = np.array(list(dict.fromkeys([*order.tolist(), *safer, int(np.argmax(score))])))
    # (n,) scores -> (nodes, n) chances, given what is shared.
    chance = norm.cdf((score[order] - np.sqrt(0.5) * shared[:, None]) / np.sqrt(0.5))
    value, worst = points[order], float(points.min()) - 1
    chosen: list[int] = []
    for _ in range(min(FINALISTS, len(order))):
        sets = np.array([[*chosen, c] for c in range(len(order))])
        sets = np.take_along_axis(sets, np.argsort(-value[sets], axis=1, kind="stable"), axis=1)
        met = chance[:, sets]
        missed = np.cumprod(1 - met, axis=2)
        before = np.concatenate([np.ones_like(missed[:, :, :1]), missed[:, :, :-1]], axis=2)
        expected = weight @ ((before * met * value[sets]).sum(axis=2) + missed[:, :, -1] * worst)
        expected[chosen] = -np.inf
        chosen.append(int(np.argmax(expected)))
    return order[np.array(chosen)]


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
    row["measured_nothing_met"] = float(np.mean([f["unmet"] for f in found])) / len(LIMITS)
    return row
