"""How much a statistic differs from one measurement of a net to the next: candidates, and their figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recording import Recording
from predictors.measuring.protocol import low

Grid = NDArray[np.float64]
Values = NDArray[np.float64]
# A measurement is made of this many rounds; of fewer where a statistic needs a reference on both sides: of three
# blocks for two nets one is the reference's, then of four two, which take the same time together.
ROUNDS, ROUNDS_BOTH = 20, 15
ALIKE = 1.03


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """One measurement of one net: quantile grids ``(rounds, GRID)``, ms, of its blocks and their neighbours.

    ``own`` is the same without the time that other processes had the core.
    """

    before: Grid
    net: Grid
    after: Grid
    own: Pass | None = None


def _at(grid: Grid, p: float) -> Values:
    """Quantile ``p`` of every block ``(rounds,)``."""
    return grid[:, round(p * (grid.shape[1] - 1))]


def _raw(p: float, one: Pass) -> float:
    """Quantile of all inferences, blocks counting alike."""
    return float(np.quantile(one.net, p))


def _raw_trimmed(one: Pass) -> float:
    """Mean of the middle 60 % of all inferences."""
    values = np.sort(one.net.ravel())
    cut = len(values) // 5
    return float(values[cut : len(values) - cut].mean())


def _median_raw(p: float, one: Pass) -> float:
    return float(np.median(_at(one.net, p)))


def _median_ratio(p: float, one: Pass) -> float:
    return float(np.median(_at(one.net, p) / _at(one.before, p)))


def _quantile_ratio(q: float, one: Pass) -> float:
    return float(np.quantile(_at(one.net, 0) / _at(one.before, 0), q))


def _trimmed_ratio(one: Pass) -> float:
    """Mean of the middle 60 % of the ratios of minima."""
    ratios = np.sort(_at(one.net, 0) / _at(one.before, 0))
    cut = len(ratios) // 5
    return float(ratios[cut : len(ratios) - cut].mean())


def _ratio_of(q: float, one: Pass) -> float:
    """Quantile over rounds of the net's minima over that of the reference's."""
    return float(np.quantile(_at(one.net, 0), q) / np.quantile(_at(one.before, 0), q))


def _both(join: Callable[[Values, Values], Values], one: Pass) -> float:
    return float(np.median(_at(one.net, 0) / join(_at(one.before, 0), _at(one.after, 0))))


def _agreeing(one: Pass) -> float:
    """Median ratio of the rounds whose references before and after agree; of all where none do."""
    before, after = _at(one.before, 0), _at(one.after, 0)
    ratios = _at(one.net, 0) / np.sqrt(before * after)
    kept = np.maximum(before, after) <= ALIKE * np.minimum(before, after)
    return float(np.median(ratios[kept] if kept.any() else ratios))


def _lowest(one: Pass) -> float:
    """The mean of the lowest three block minima over that of the reference: the protocol's version 2."""
    net, reference = (np.sort(_at(grid, 0))[:3].mean() for grid in (one.net, one.before))
    return float(net / reference)


def _low(one: Pass) -> float:
    """What the protocol makes of the block minima of net and reference."""
    return float(low(_at(one.net, 0)) / low(_at(one.before, 0)))


def _fast_rounds(one: Pass) -> float:
    """Median ratio of minima over the half of the rounds with the fastest references."""
    reference = _at(one.before, 0)
    order = np.argsort(reference)[: (len(reference) + 1) // 2]
    return float(np.median(_at(one.net, 0)[order] / reference[order]))


def _own(statistic: Callable[[Pass], float], one: Pass) -> float:
    """The same statistic without the time that other processes had the core."""
    assert one.own is not None
    return statistic(one.own)


# Name → (rounds, statistic); the first was that of the protocol's version 1.
STATISTICS: dict[str, tuple[int, Callable[[Pass], float]]] = {
    "median of min / adjacent reference min": (ROUNDS, partial(_median_ratio, 0.0)),
    "median of p25 / adjacent reference p25": (ROUNDS, partial(_median_ratio, 0.25)),
    "median of p50 / adjacent reference p50": (ROUNDS, partial(_median_ratio, 0.5)),
    "trimmed mean of min / reference min": (ROUNDS, _trimmed_ratio),
    "p25 of min / reference min": (ROUNDS, partial(_quantile_ratio, 0.25)),
    "median of min / reference min, faster half": (ROUNDS, _fast_rounds),
    "median of min / mean of both references": (ROUNDS_BOTH, partial(_both, lambda a, b: np.sqrt(a * b))),
    "median of min / faster of both references": (ROUNDS_BOTH, partial(_both, np.minimum)),
    "the same where both references agree": (ROUNDS_BOTH, _agreeing),
    "lowest three of block min / reference's": (ROUNDS, _lowest),
    "min of all / reference min of all": (ROUNDS, partial(_ratio_of, 0.0)),
    "p25 of block min / that of the reference": (ROUNDS, partial(_ratio_of, 0.25)),
    "median of block min / that of the reference": (ROUNDS, partial(_ratio_of, 0.5)),
    "p10 of block min / that of the reference": (ROUNDS, _low),
    "raw min": (ROUNDS, partial(_raw, 0.0)),
    "raw median of block min": (ROUNDS, partial(_median_raw, 0.0)),
    "raw p50": (ROUNDS, partial(_raw, 0.5)),
    "raw trimmed mean": (ROUNDS, _raw_trimmed),
    "raw p90": (ROUNDS, partial(_raw, 0.9)),
}
STATISTICS |= {
    f"own time: {name}": (rounds, partial(_own, statistic))
    for name, (rounds, statistic) in STATISTICS.items()
}


PROTOCOL = "own time: p10 of block min / that of the reference"


def measured(recording: Recording, name: str) -> Values:
    """The statistic of every net in every pass of the recording ``(passes, nets)``.

    Passes start every ``ROUNDS`` rounds, whatever a statistic needs, so that all of them see the same moments.
    """
    rounds, statistic = STATISTICS[name]
    blocks = recording.blocks.astype(np.float64)
    if len(blocks) < 2 * ROUNDS:
        raise SystemExit(f"two measurements take {2 * ROUNDS} rounds, got {len(blocks)}; record for longer")
    starts = range(0, len(blocks) - ROUNDS + 1, ROUNDS)
    return np.array(
        [
            [statistic(_pass(blocks[start : start + rounds, net])) for net in range(blocks.shape[1])]
            for start in starts
        ]
    )


def _pass(blocks: NDArray[np.float64]) -> Pass:
    """From blocks ``(rounds, 3, 2, GRID)``."""
    wall, own = blocks[:, :, 0], blocks.min(axis=2)
    return Pass(wall[:, 0], wall[:, 1], wall[:, 2], Pass(own[:, 0], own[:, 1], own[:, 2]))


def differences(values: Values) -> Values:
    """Relative differences ``(pairs, nets)`` between any two passes ``(passes, nets)``."""
    left, right = np.triu_indices(len(values), 1)
    return np.asarray(np.abs(np.log(values[left] / values[right])))


def spread_rows(recordings: dict[str, Recording]) -> list[dict[str, Any]]:
    """One row a statistic and half: how far two passes differ, and how far a busy neighbour moves the middle."""
    rows = []
    for name, (rounds, _) in STATISTICS.items():
        values = {half: measured(recording, name) for half, recording in recordings.items()}
        for half, found in values.items():
            pairs = differences(found)
            row = {
                "method": name,
                "half": half,
                "rounds": rounds,
                "passes": len(found),
                "repeat_median": float(np.median(pairs)),
                "repeat_p95": float(np.quantile(pairs, 0.95)),
                "repeat_max": float(pairs.max()),
                "repeat_p95_by_net": np.quantile(pairs, 0.95, axis=0).tolist(),
            }
            if half == "busy" and "quiet" in values:
                moved = np.log(np.median(found, axis=0) / np.median(values["quiet"], axis=0))
                row["moved_median"] = float(np.median(np.abs(moved)))
                row["moved_max"] = float(np.abs(moved).max())
            rows.append(row)
    return rows
