"""What a search has evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from predictors.quality.parts import Shift
from service.measurements.models import Quality, SubnetTiming
from service.runtime.task import Rows
from service.search.request.plan import Key
from service.search.request.schemas import PredictedValue
from service.search.rounds.stored import StoredEvaluations
from supernets.metrics import LATENCY

Row = list[int]
Values = NDArray[np.float64]


class SearchHistory:
    """Archs in the order they were proposed, with predictions, true values and confirmations; unknown is NaN."""

    def __init__(
        self,
        quality: str,
        targets: Sequence[str],
        costs: Callable[[NDArray[np.int64]], Mapping[str, Values]],
        extras: Sequence[str] = (),
    ) -> None:
        """``extras`` are the measured metrics other than latency."""
        self._quality, self._targets, self._costs = quality, list(targets), costs
        self._extras = list(extras)
        self.images = 0
        """Validation images that this search's own evaluations took."""
        self.rows: Rows = []
        self.predicted: list[list[PredictedValue]] = []
        self.validation: list[Quality] = []
        self.test: dict[int, Quality] = {}
        self.timings: dict[str, dict[int, SubnetTiming]] = {target: {} for target in targets}
        self.confirmations: dict[str, dict[int, SubnetTiming]] = {target: {} for target in targets}
        self.confirmed: set[int] = set()
        self.round_sizes: list[int] = []
        self.reused = 0

    @property
    def spent(self) -> int:
        """Evaluations of this search's own."""
        return len(self.rows) - self.reused

    def begin(self, known: StoredEvaluations) -> None:
        """Start from what was evaluated before; what was confirmed on every target keeps that value."""
        self.rows, self.predicted = list(known.population), list(known.predicted)
        self.validation, self.reused = list(known.quality), len(known.population)
        for target in self._targets:
            self.timings[target] = dict(enumerate(known.timings[target]))
        for index in range(self.reused):
            confirmed = {target: known.confirmations[target][index] for target in self._targets}
            if confirmed and all(timing is not None for timing in confirmed.values()):
                self.confirmed.add(index)
                for target, timing in confirmed.items():
                    assert timing is not None
                    self.confirmations[target][index] = timing

    @property
    def last(self) -> Rows:
        """The rows of the last round."""
        return self.rows[len(self.rows) - self.round_sizes[-1] :] if self.round_sizes else []

    def add(self, rows: Sequence[Row], predicted: Sequence[list[PredictedValue]]) -> None:
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

    def set_quality(self, evaluations: Sequence[Quality]) -> None:
        """Quality of the last round on validation."""
        self.validation += evaluations

    @property
    def parts(self) -> list[int]:
        """Positions of what was evaluated on a part of the validation images only."""
        return [index for index, found in enumerate(self.validation) if found.part]

    def set_whole(self, indices: Sequence[int], evaluations: Sequence[Quality]) -> None:
        """Quality on all validation images of some that were evaluated on a part."""
        for index, found in zip(indices, evaluations, strict=False):
            self.validation[index] = found

    def expected(self, shifts: Mapping[int, Shift]) -> tuple[dict[Key, Values], Values]:
        """Values as :meth:`values`, quality on a part included, shifted; and standard errors ``(n,)`` of quality."""
        values, errors = self.values(confirmed=False), np.zeros(len(self.rows))
        column = values[self._quality, None]
        for index in self.parts:
            found = self.validation[index]
            column[index] = found.value + shifts[found.n].offset
            errors[index] = shifts[found.n].error
        return values, errors

    def set_test(self, indices: Sequence[int], evaluations: Sequence[Quality]) -> None:
        """Quality of some on the test split."""
        self.test.update(zip(indices, evaluations, strict=True))

    def set_timings(
        self, target: str, rows: Sequence[Row], timings: Sequence[SubnetTiming], *, confirmed: bool
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
        """The positions of these rows."""
        at = {tuple(row): index for index, row in enumerate(self.rows)}
        return [at[tuple(row)] for row in rows]

    def values(self, *, confirmed: bool) -> dict[Key, Values]:
        """True values ``(n,)`` of every metric; with ``confirmed``, only of archs that were confirmed.

        A quality on a part of the images is not one.
        """
        n = len(self.rows)
        population = np.array(self.rows, dtype=np.int64)
        mask = np.array([index in self.confirmed or not confirmed for index in range(n)], dtype=bool)
        columns: dict[Key, Values] = {
            (name, None): column for name, column in self._costs(population).items()
        }
        columns[self._quality, None] = _column(None if each.part else each.value for each in self.validation)
        for target in self._targets:
            source = self.confirmations[target] if confirmed else self.timings[target]
            found = [source.get(index) for index in range(n)]
            columns[LATENCY, target] = _column(None if t is None else t.latency_ms for t in found)
            for metric in self._extras:
                extras = [None if t is None else t.extras.get(metric) for t in found]
                columns[metric, target] = _column(None if e is None else e.value for e in extras)
        return {key: np.where(mask, column, np.nan) for key, column in columns.items()}


def _column(values: Iterable[float | None]) -> Values:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
