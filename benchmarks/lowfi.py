"""Our search when short trainings can be bought: 12 epochs for 12/200 of an evaluation.

What they give is modelled like the real accuracy, and the model's answer (which follows the bought values
closely) is one more feature of every arch. Bought are a random set at first, then before each batch the
archs that would be evaluated next, until ``MOST``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.cells import CellTable
from benchmarks.feature_process import Group, scaled
from search.algorithm import Algorithm
from supernets.spaces.space import Population

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

PRICE = 12 / 200
FIRST, EACH, MOST = 80, 20, 240
PAID_FOR = -1  # stands in a list of rows for one evaluation's worth of short trainings


def short_column(frame: pd.DataFrame, accuracy: str) -> str | None:
    """``acc_<data>_val_12ep`` that belongs to ``acc_<data>_…``; ``None`` where the table has none."""
    data = re.match(r"acc_(.+?)_(?:test|val)_", accuracy)
    name = f"acc_{data.group(1)}_val_12ep" if data else ""
    return name if name in frame.columns else None


class ShortTrainings:
    """Which rows' short trainings were bought, and what they say of all others."""

    def __init__(self, table: CellTable, column: str, seed: int) -> None:
        self.table = table
        self._truth = table.frame[column].to_numpy(float)
        self._rng = np.random.default_rng(seed)
        self.bought: list[int] = []
        self._modelled, self._group = 0, Group(np.zeros((len(table.digits), 1), np.float32), ())
        self.cache: dict[str, Values] = {}

    def buy(self, rows: Rows) -> None:
        """Those of ``rows`` that are new, until ``MOST``; the model follows when there are a quarter more."""
        known = set(self.bought)
        new = [row for row in rows.tolist() if row not in known and np.isfinite(self._truth[row])]
        self.bought += new[: MOST - len(self.bought)]
        if len(self.bought) >= 1.25 * self._modelled or (len(self.bought) == MOST != self._modelled):
            self._model()

    def buy_first(self) -> None:
        """``FIRST`` random rows."""
        self.buy(self._rng.permutation(len(self._truth))[:FIRST])

    def _model(self) -> None:
        self._modelled = len(self.bought)
        process = self.table.process(self.table.quality_groups, {}, log_of=100.0, sign=1.0)
        process.fit(self.table.digits[self.bought], self._truth[self.bought])
        log_error = np.log(np.maximum(100.0 - process.predict(self.table.digits)[0], 1e-3))
        self._group = Group(scaled(log_error[:, None]), (2.0, 1.0))
        self.cache = {}  # shares belong to features

    def groups(self, archs: Population) -> list[Group]:
        """The model's prediction, as a feature of ``archs``."""
        return [Group(self._group.values[self.table.rows(archs)], self._group.widths)]

    @property
    def spent(self) -> float:
        """In evaluations."""
        return PRICE * len(self.bought)


def play_with(
    algorithm: Algorithm,
    clone: Callable[[], Algorithm],
    trainings: ShortTrainings,
    scores: NDArray[np.float64],
    budget: int,
    batch: int,
) -> Rows:
    """Rows in the order in which they were paid for; ``PAID_FOR`` where short trainings cost an evaluation."""
    trainings.buy_first()
    rows: list[int] = []
    for _ in range(budget):
        rows += [PAID_FOR] * (int(np.ceil(trainings.spent - 1e-9)) - rows.count(PAID_FOR))
        if len(rows) >= budget:
            break
        if len(algorithm.seen) and len(trainings.bought) < MOST:
            other = clone()
            other.restore(algorithm.state())
            trainings.buy(trainings.table.rows(other.ask(EACH)))
            rows += [PAID_FOR] * (int(np.ceil(trainings.spent - 1e-9)) - rows.count(PAID_FOR))
        archs = algorithm.ask(max(min(batch, budget - len(rows)), 1))
        if len(archs) == 0:
            break
        at = trainings.table.rows(archs)
        algorithm.tell(archs, scores[at], np.zeros(len(at)))
        rows += at.tolist()
    return np.array(rows[:budget], dtype=np.int64)
