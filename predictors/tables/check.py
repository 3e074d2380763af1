"""Checks of imported rows: the valid ones, and the reason for refusing each of the others.

Invalid rows do not affect valid ones. Rows are numbered from 1, without the header.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from predictors.dataset import LARGEST
from predictors.errors import TableError
from predictors.tables.archs import Reader, cells_of
from predictors.tables.read import Table
from supernets.errors import ArchError
from supernets.families.family import Family
from supernets.metrics import MACS
from supernets.spaces.columns import Cell, number
from supernets.spaces.space import Population

# Factor to milliseconds.
UNITS = {"ms": 1.0, "s": 1e3, "us": 1e-3, "µs": 1e-3, "ns": 1e-6}
# Values that are separated from most others by this gap, and whose median differs from theirs by this factor,
# are in another unit: ms and s differ by 1000, and networks of one space by less (but see ``accept_jumps``).
GAP, JUMP = 20.0, 100.0
FEWEST_FOR_JUMP = 3
# Impossible multiply-accumulates per second (slower than an 8-bit microcontroller, faster than a rack of
# accelerators), and unusual ones, for which there is a warning about the unit.
ABSURD_MACS = (1e4, 1e16)
UNUSUAL_MACS = (1e7, 1e14)
# Repeats of one arch may differ by noise up to this share of their median; beyond it they are contradictory.
REPEAT = 0.1
SAME = 1e-9
SHOWN_GOT = 120
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was refused: the rule and the value."""

    row: int
    rule: str
    got: object
    reason: str

    def as_json(self) -> dict[str, object]:
        """``{row, rule, got, reason}``."""
        plain = self.got is None or isinstance(self.got, bool | int)
        plain = plain or (isinstance(self.got, float) and math.isfinite(self.got))
        got = self.got if plain else str(self.got)[:SHOWN_GOT]
        return {"row": self.row, "rule": self.rule, "got": got, "reason": self.reason}


@dataclass
class Checked:
    """Accepted archs ``(n, d)`` with their values in ms, the number of rows of each, and the refused rows.

    ``known`` counts rows that are already stored with the same value: they are neither stored again nor refused.
    """

    population: Population
    values: Values
    counts: NDArray[np.int64]
    spreads: list[float | None]
    refused: list[Refusal]
    rows: int
    accepted: int
    known: int
    warnings: list[str] = field(default_factory=list)

    def summary(self, shown: int) -> dict[str, object]:
        """Counts, and at most ``shown`` refusals."""
        rules = [refusal.rule for refusal in self.refused]
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "archs": len(self.population),
            "known": self.known,
            "refused_count": len(self.refused),
            "refused_by_rule": {rule: rules.count(rule) for rule in sorted(set(rules))},
            "refused": [refusal.as_json() for refusal in self.refused[:shown]],
            "warnings": self.warnings,
        }


@dataclass(frozen=True, slots=True)
class Stored:
    """The existing rows of the target: archs ``(m, d)`` and values ``(m,)`` in ms."""

    population: Population
    values: Values


def check_rows(
    table: Table,
    family: Family,
    read: Reader,
    columns: Sequence[str],
    latency: str,
    unit: str,
    *,
    stored: Stored,
    batch: int = 1,
    accept_jumps: bool = False,
) -> Checked:
    """Check every row: its arch, its value, and the value against other rows and the limits of devices.

    Raises:
        TableError: an unknown unit.
    """
    if unit not in UNITS:
        raise TableError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    refused: list[Refusal] = []
    rows, archs, values = [], [], []
    for index in range(table.rows):
        try:
            value = _value(table[latency][index], UNITS[unit])
            arch = read(cells_of(table, columns, index))
        except _RowProblem as problem:
            refused.append(Refusal(index + 1, "value", table[latency][index], str(problem)))
        except ArchError as error:
            got = {name: cell for name, cell in cells_of(table, columns, index).items() if cell is not None}
            refused.append(
                Refusal(index + 1, "arch", next(iter(got.values())) if len(got) == 1 else got, str(error))
            )
        else:
            rows.append(index + 1)
            archs.append(arch)
            values.append(value)
    population = family.space().encode(archs)
    batch_of = _Batch(np.array(rows, dtype=np.int64), population, np.array(values, dtype=np.float64))
    warnings: list[str] = []
    batch_of = batch_of.without(_absurd(batch_of, family, batch, warnings), refused)
    batch_of = batch_of.without({} if accept_jumps else _jumps(batch_of, stored, warnings), refused)
    checked = _merge(batch_of, stored, refused, family.space().d)
    checked.rows, checked.warnings = table.rows, warnings
    checked.refused.sort(key=lambda refusal: refusal.row)
    return checked


class _RowProblem(ValueError):
    """A cell that is not a latency."""


def _value(cell: Cell, factor: float) -> float:
    value = number(cell)
    if value is None:
        got = "an empty cell" if cell is None else f"{type(cell).__name__} {cell!r}"
        raise _RowProblem(f"a latency must be a number, got {got}")
    value *= factor
    if not (math.isfinite(value) and 0 < value <= LARGEST["ms"]):
        raise _RowProblem(f"a latency must be finite, above 0 and at most {LARGEST['ms']:g} ms")
    return value


@dataclass(frozen=True)
class _Batch:
    """Rows that are valid so far."""

    rows: NDArray[np.int64]
    population: Population
    values: Values

    def without(self, bad: Mapping[int, tuple[str, str]], refused: list[Refusal]) -> _Batch:
        """The other rows; those in ``bad`` (index to rule and reason) are added to ``refused``."""
        for index, (rule, reason) in bad.items():
            refused.append(Refusal(int(self.rows[index]), rule, float(self.values[index]), reason))
        kept = np.array([index not in bad for index in range(len(self.rows))], dtype=bool)
        return _Batch(self.rows[kept], self.population[kept], self.values[kept])


def _absurd(rows: _Batch, family: Family, batch: int, warnings: list[str]) -> dict[int, tuple[str, str]]:
    """Rows with an impossible number of multiply-accumulates per second."""
    if not len(rows.rows) or MACS not in family.known_costs:
        return {}
    macs = np.maximum(family.costs(rows.population)[MACS], 1.0)
    rates = macs / (rows.values / 1e3)
    low, high = ABSURD_MACS[0], ABSURD_MACS[1] * batch
    middle = float(np.median(rates))
    if not UNUSUAL_MACS[0] <= middle <= UNUSUAL_MACS[1] * batch:
        warnings.append(
            f"the middle row means {middle:.2g} multiply-accumulates a second, which is unusual for any device: "
            f"is the unit right?"
        )
    reason = "{:.2g} multiply-accumulates a second is what no device does: is the unit right?"
    return {
        index: ("device", reason.format(rate)) for index, rate in enumerate(rates) if not low <= rate <= high
    }


def _jumps(rows: _Batch, stored: Stored, warnings: list[str]) -> dict[int, tuple[str, str]]:
    """Rows in another unit than most: separated by a wide gap and larger or smaller by a factor of 100."""
    every = np.concatenate([rows.values, stored.values])
    if len(every) < FEWEST_FOR_JUMP:
        return {}
    order = np.argsort(every, kind="stable")
    logs = np.log(every[order])
    cluster = np.empty(len(every), dtype=np.int64)
    cluster[order] = np.concatenate([[0], np.cumsum(np.diff(logs) > math.log(GAP))])
    sizes = np.bincount(cluster)
    main = int(sizes.argmax())
    middles = [float(np.median(every[cluster == k])) for k in range(len(sizes))]
    far = [k for k in range(len(sizes)) if not 1 / JUMP < middles[k] / middles[main] < JUMP]
    if not far:
        return {}
    if sizes[main] * 2 <= len(every):
        parts = ", ".join(f"{size} around {middles[k]:.3g} ms" for k, size in enumerate(sizes))
        warnings.append(f"values fall into groups far apart ({parts}): are there two units in one column?")
        return {}
    return {
        index: ("unit jump", _jump_reason(middles[main], float(rows.values[index])))
        for index in range(len(rows.rows))
        if cluster[index] in far
    }


def _jump_reason(middle: float, value: float) -> str:
    ratio = value / middle if value > middle else middle / value
    thousands = 1000 ** max(1, round(math.log(ratio) / math.log(1000)))
    side = "above" if value > middle else "below"
    about = f"about {thousands}x" if 1 / 6 < ratio / thousands < 6 else f"{ratio:.3g}x"
    return (
        f"{value:.4g} ms is {about} {side} the rest (median {middle:.4g} ms), as another unit would be; "
        f"import it with accept_jumps (--accept-jumps) if it is real"
    )


def _merge(rows: _Batch, stored: Stored, refused: list[Refusal], d: int) -> Checked:
    """One row per arch: repeats become their median, and all contradictory rows are refused."""
    groups: dict[bytes, list[int]] = {}
    for index, row in enumerate(rows.population):
        groups.setdefault(row.tobytes(), []).append(index)
    before: dict[bytes, list[float]] = {}
    for row, value in zip(stored.population, stored.values, strict=True):
        before.setdefault(row.tobytes(), []).append(float(value))
    kept: list[tuple[int, float, int, float | None]] = []
    accepted = known = 0
    for key, indices in groups.items():
        values, old = rows.values[indices], before.get(key, [])
        reason = _contradiction(rows.rows[indices], values, old)
        if reason is not None:
            refused += [
                Refusal(int(rows.rows[i]), "contradiction", float(rows.values[i]), reason) for i in indices
            ]
            continue
        fresh = [v for v in values.tolist() if not any(abs(v - o) <= SAME * o for o in old)]
        known += len(indices) - len(fresh)
        if not fresh:
            continue
        accepted += len(fresh)
        # Equal rows are duplicates of one measurement; different ones are repeats.
        distinct = sorted(set(fresh))
        spread = float(np.std(distinct, ddof=1) / math.sqrt(len(distinct))) if len(distinct) > 1 else None
        kept.append((indices[0], float(np.median(distinct)), len(distinct), spread))
    population = rows.population[[entry[0] for entry in kept]].reshape(len(kept), d)
    return Checked(
        population,
        np.array([entry[1] for entry in kept], dtype=np.float64),
        np.array([entry[2] for entry in kept], dtype=np.int64),
        [entry[3] for entry in kept],
        refused,
        0,
        accepted,
        known,
    )


def _contradiction(rows: NDArray[np.int64], values: Values, old: Sequence[float]) -> str | None:
    every = np.concatenate([values, old])
    if np.ptp(every) <= REPEAT * float(np.median(every)):
        return None
    where = ", ".join(map(str, rows[:10].tolist()))
    them = f"rows {where} give" if len(rows) > 1 else f"row {where} gives"
    has = f", and the target has {', '.join(f'{value:.4g}' for value in old[:5])} ms" if old else ""
    said = ", ".join(f"{value:.4g}" for value in values[:10])
    # Otherwise rows in another unit than the stored ones would be reported as contradictions, not as a wrong unit.
    ratio = float(every.max() / every.min())
    unit = ", about 1000x apart, as another unit would be" if 1000 / 6 < ratio < 6000 else ""
    return (
        f"{them} one arch values that differ by more than {REPEAT:.0%}: {said} ms{has}{unit}; "
        f"none of these rows was taken"
    )
