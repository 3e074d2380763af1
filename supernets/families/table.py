"""The space of a table of measured archs: it can be predicted, and that is all. No torch, no weights.

For networks that have no supernet here (NAS-Bench-201's cells, FBNet's digits, other people's transformers), so
that predictors can be fitted to their measurements. Where the table has parameters or MACs, their closed form
comes with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

from supernets.errors import SpaceError
from supernets.families.family import Family
from supernets.metrics import MACS, PARAMS
from supernets.spaces.columns import READINGS, Layout
from supernets.spaces.layers import FixedCost, LayerSpec, Segment
from supernets.spaces.space import Arch, Choice, Space

FIELDS = ("space", "layout", "costs")
COSTS = (PARAMS, MACS)
MOST_NAMED = 32


@dataclass(frozen=True)
class CostTable:
    """Parameters and MACs of every combination of the choices of ``axes``, the last one running fastest."""

    axes: tuple[str, ...]
    params: tuple[float, ...]
    macs: tuple[float, ...]

    def as_json(self) -> dict[str, object]:
        """What the constructor takes."""
        return {"axes": list(self.axes), PARAMS: list(self.params), MACS: list(self.macs)}


class TableFamily(Family):
    """See the module. ``layout`` maps the columns of its table to an arch."""

    name = "table"
    has_network = False

    def __init__(
        self,
        space: Space,
        layout: Layout,
        costs: tuple[CostTable, ...] = (),
        known_costs: tuple[str, ...] = (),
    ) -> None:
        self._space, self.layout, self._costs, self.known_costs = space, layout, costs, known_costs

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TableFamily:
        """The family whose :meth:`config` this is."""
        if set(config) != set(FIELDS):
            raise SpaceError(f"a table's settings must be {FIELDS}, got {sorted(config)}; choices: {FIELDS}")
        try:
            space, layout = Space.from_json(config["space"]), Layout.from_json(config["layout"])
            costs = config["costs"] or {"known": [], "segments": []}
            tables = tuple(
                CostTable(tuple(each["axes"]), tuple(each[PARAMS]), tuple(each[MACS]))
                for each in costs["segments"]
            )
            known = tuple(costs["known"])
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, SpaceError):
                raise
            raise SpaceError(f"a table's settings do not fit: {error!r}") from error
        if not set(known) <= set(COSTS) or any(column.read not in READINGS for column in layout.columns):
            raise SpaceError(f"costs must be among {COSTS} and readings among {READINGS}, got {config}")
        for table in tables:
            combinations = 1
            for axis in table.axes:
                combinations *= len(space.axes[space.column(axis)].choices)
            if {len(table.params), len(table.macs)} != {combinations}:
                raise SpaceError(
                    f"costs of {table.axes} must have {combinations} values, got {len(table.params)}"
                )
        return cls(space, layout, tables, known)

    def config(self) -> dict[str, object]:
        """Space, layout and costs, JSON."""
        tables = [table.as_json() for table in self._costs]
        costs = {"known": list(self.known_costs), "segments": tables} if tables else None
        return {"space": self._space.as_json(), "layout": self.layout.as_json(), "costs": costs}

    def space(self) -> Space:
        """Every combination of the choices that the table shows."""
        return self._space

    def segments(self) -> tuple[Segment, ...]:
        """A part for each axis, with its choice only, and one for each table of costs.

        Equal choices in one column are parts of one kind, whatever their position: a model can count them.
        """
        return self._segments

    @cached_property
    def _segments(self) -> tuple[Segment, ...]:
        kinds: dict[str, set[Choice]] = {}
        for axis in self._space.axes:
            kinds.setdefault(axis.kind, set()).update(axis.choices)
        segments = [
            Segment(
                axis.name, (axis.name,), _Named(axis.name, axis.kind, len(kinds[axis.kind]) <= MOST_NAMED)
            )
            for axis in self._space.axes
        ]
        segments += [
            Segment(f"costs{index}", table.axes, _Part(self._space, table, f"costs{index}"))
            for index, table in enumerate(self._costs)
        ]
        return tuple(segments)

    def dimensions(self, arch: Arch) -> NoReturn:
        """Refused: there is no network."""
        raise SpaceError(f"the space of a table has no networks, so arch {arch.id} has no dimensions")

    def build(self) -> NoReturn:
        """Refused: there are no weights."""
        raise SpaceError("the space of a table has no networks to build")


@dataclass(frozen=True)
class _Named:
    """What was chosen on an axis, as a part of its own kind; nothing where it is inactive or has too many choices."""

    axis: str
    kind: str
    named: bool

    def __call__(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        if not self.named or self.axis not in choices:
            return ()
        return (FixedCost.of(self.axis, f"{self.kind}={choices[self.axis]}"),)


@dataclass(frozen=True)
class _Part:
    """What one part of an arch costs; nothing where one of its axes is inactive."""

    space: Space
    table: CostTable
    name: str
    _found: dict[tuple[Choice, ...], tuple[float, float]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        axes = [self.space.axes[self.space.column(axis)].choices for axis in self.table.axes]
        values = zip(self.table.params, self.table.macs, strict=True)
        object.__setattr__(self, "_found", dict(zip(itertools.product(*axes), values, strict=True)))

    def __call__(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        if any(axis not in choices for axis in self.table.axes):
            return ()
        params, macs = self._found[tuple(choices[axis] for axis in self.table.axes)]
        return (FixedCost.of(self.name, "costs", params, macs),)
