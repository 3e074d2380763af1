"""What a search has seen: one entry an arch, with predictions, true values and the confirmation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]
Key = tuple[str, str | None]
Row = list[int]
Values = NDArray[np.float64]


class Trail:
    """Archs in the order they were proposed. A value that is not known is NaN."""

    def __init__(
        self,
        quality: str,
        targets: Sequence[str],
        costs: Callable[[NDArray[np.int64]], Mapping[str, Values]],
        extras: Sequence[str] = (),
    ) -> None:
        """``extras`` are the measured metrics beside latency."""
        self._quality, self._targets, self._costs = quality, list(targets), costs
        self._extras = list(extras)
        self.rows: list[Row] = []
        self.predicted: list[list[Json]] = []
        self.validation: list[Json] = []
        self.test: dict[int, Json] = {}
        self.timings: dict[str, dict[int, Json]] = {target: {} for target in targets}
        self.confirmations: dict[str, dict[int, Json]] = {target: {} for target in targets}
        self.confirmed: set[int] = set()
        self.round_sizes: list[int] = []
        self.reused = 0

    @property
    def spent(self) -> int:
        """Evaluations of this search's own."""
        return len(self.rows) - self.reused

    def begin(self, known: Json) -> None:
        """Start from what was evaluated before; of what was confirmed on every target, with that value."""
        self.rows, self.predicted = list(known["population"]), list(known["predicted"])
        self.validation, self.reused = list(known["quality"]), len(known["population"])
        for target in self._targets:
            self.timings[target] = dict(enumerate(known["timings"][target]))
        confirmed = {target: known["confirmations"][target] for target in self._targets}
        for index in range(self.reused):
            given = {target: column[index] for target, column in confirmed.items()}
            if given and all(timing is not None for timing in given.values()):
                self.confirmed.add(index)
                for target, timing in given.items():
                    self.confirmations[target][index] = timing

    @property
    def last(self) -> list[Row]:
        """The rows of the last round."""
        return self.rows[len(self.rows) - self.round_sizes[-1] :] if self.round_sizes else []

    def add(self, rows: Sequence[Row], predicted: Sequence[list[Json]]) -> None:
        """Begin a round."""
        self.rows += rows
        self.predicted += predicted
        self.round_sizes.append(len(rows))

    def keep(self, count: int) -> None:
        """Of the last round only the first ``count``: time ran out before the others were done."""
        size = self.round_sizes[-1]
        if count < size:
            end = len(self.rows) - (size - count)
            self.rows, self.predicted = self.rows[:end], self.predicted[:end]
            self.validation = self.validation[:end]
            self.round_sizes[-1] = count
            for timings in self.timings.values():
                for index in [index for index in timings if index >= end]:
                    del timings[index]

    def set_quality(self, evaluations: Sequence[Json]) -> None:
        """Quality of the last round on validation."""
        self.validation += evaluations

    def set_test(self, indices: Sequence[int], evaluations: Sequence[Json]) -> None:
        """Quality of some on the test split."""
        self.test.update(zip(indices, evaluations, strict=True))

    def set_timings(
        self, target: str, rows: Sequence[Row], timings: Sequence[Json], *, confirmed: bool
    ) -> None:
        """What was measured on a target; a confirmation counts as one also where it gave no value."""
        indices = self.indices(rows)
        (self.confirmations if confirmed else self.timings)[target].update(zip(indices, timings, strict=True))
        if confirmed:
            self.confirmed.update(indices)

    def confirm_without_target(self, rows: Sequence[Row]) -> None:
        """A search without targets has nothing to measure again."""
        self.confirmed.update(self.indices(rows))

    def indices(self, rows: Sequence[Row]) -> list[int]:
        """Where these rows stand."""
        at = {tuple(row): index for index, row in enumerate(self.rows)}
        return [at[tuple(row)] for row in rows]

    def values(self, *, confirmed: bool) -> dict[Key, Values]:
        """True values ``(n,)`` of every metric; with ``confirmed``, only of archs that were confirmed."""
        n = len(self.rows)
        population = np.array(self.rows, dtype=np.int64)
        mask = np.array([index in self.confirmed or not confirmed for index in range(n)], dtype=bool)
        columns: dict[Key, Values] = {
            (name, None): column for name, column in self._costs(population).items()
        }
        columns[self._quality, None] = np.array([found["value"] for found in self.validation])
        for target in self._targets:
            source = self.confirmations[target] if confirmed else self.timings[target]
            latencies = [source.get(index, {}).get("latency_ms") for index in range(n)]
            columns["latency_ms", target] = np.array(
                [np.nan if value is None else value for value in latencies], dtype=np.float64
            )
            for metric in self._extras:
                found = [source.get(index, {}).get("extras", {}).get(metric, {}) for index in range(n)]
                columns[metric, target] = np.array(
                    [each.get("value", np.nan) for each in found], dtype=np.float64
                )
        return {key: np.where(mask, column, np.nan) for key, column in columns.items()}
