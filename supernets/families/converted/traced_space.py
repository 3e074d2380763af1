"""Supernets of networks that were traced: any torch network with axes for its widths and depths. No torch.

The configuration holds the graph (:mod:`supernets.traced.graph`) and how its axes are made; the axes themselves are
found in the graph. An axis keeps a fraction of the channels that must be removed together, the most important first.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Self

from supernets.errors import SpaceError
from supernets.families.convolutional.mobile import check_ascending
from supernets.families.family import Family
from supernets.families.limits import MAX_CHOICES
from supernets.metrics import ACTIVATION, MACS, PARAMS, SIZE
from supernets.spaces.cost import MAX_TABLE, combinations
from supernets.spaces.growth import Growth
from supernets.spaces.layers import LayerSpec, Segment
from supernets.spaces.space import Arch, Axis, Choice, Space
from supernets.traced.branches import Branch, branches
from supernets.traced.follow import Follower
from supernets.traced.graph import Graph, sized
from supernets.traced.groups import Group, Groups, find
from supernets.traced.grow import growths
from supernets.traced.layers import Row, narrower, rows_of
from supernets.traced.operators import RULES

WIDTHS = (0.25, 0.5, 0.75, 1.0)
MULTIPLE = 8


@dataclass(frozen=True)
class TracedConfig:
    """How axes are made.

    Attributes:
        widths: fractions of the channels of an axis, the last one 1.
        multiple: kept channels are a multiple of this where an axis has at least four times as many, else of
            half of it and so on; of whole heads always. The places within each head count as channels.
        approximate: whether channels under a LayerNorm or GroupNorm are axes too, where removing is not exact.
        skip: whether residual branches may be skipped.
        leave: axes that are not offered, by name.
        decisions: how views are followed; see :meth:`supernets.traced.follow.Step.choose`.
    """

    widths: tuple[float, ...] = WIDTHS
    multiple: int = MULTIPLE
    approximate: bool = False
    skip: bool = False
    leave: tuple[str, ...] = ()
    decisions: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_ascending("widths", self.widths)
        if self.widths[-1] != 1 or len(self.widths) > MAX_CHOICES:
            raise SpaceError(f"widths must be at most {MAX_CHOICES} fractions up to 1, got {self.widths}")
        if not 1 <= self.multiple <= 1024:
            raise SpaceError(f"multiple must lie in 1 to 1024, got {self.multiple}")

    def step(self, group: Group) -> int:
        """The number that kept units of a group are a multiple of."""
        step = self.multiple if group.channels == group.parts else 1
        while step > 1 and len(group.units) < 4 * step:
            step //= 2
        return step

    def kept(self, group: Group) -> dict[float, int]:
        """Fraction to units kept, ascending; fractions that keep equally many are one."""
        n, step = len(group.units), self.step(group)
        found: dict[int, float] = {}
        for width in self.widths:
            units = n if width == 1 else min(n, max(1, step * round(width * n / step)))
            found[units] = width  # the largest of equal ones: 1.0 stays the whole
        return {width: units for units, width in sorted(found.items())}


class TracedFamily(Family):
    """See the module."""

    name = "traced"
    prunable = True

    def __init__(self, graph: Graph, settings: TracedConfig) -> None:
        self.graph, self.settings = graph, settings

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """The family whose :meth:`config` this is."""
        names = {f.name for f in dataclasses.fields(TracedConfig)}
        if unknown := sorted(set(config) - names - {"graph"}):
            raise SpaceError(f"unknown traced settings {unknown}; choices: graph, {', '.join(sorted(names))}")
        if not isinstance(config.get("graph"), Mapping):
            raise SpaceError("a traced network must have a graph")
        return cls(*_cached(json.dumps(config, sort_keys=True)))

    def config(self) -> dict[str, object]:
        """Graph and settings, JSON."""
        s = self.settings
        return {
            "graph": self.graph.as_json(),
            "widths": list(s.widths),
            "multiple": s.multiple,
            "approximate": s.approximate,
            "skip": s.skip,
            "leave": list(s.leave),
            "decisions": dict(s.decisions),
        }

    # --- channels ----------------------------------------------------------------------------------

    @cached_property
    def groups(self) -> Groups:
        """All axes of channels that were found, those that are left out too."""
        settings = self.settings
        return _groups(_Key(self.graph, settings.approximate, tuple(sorted(settings.decisions.items()))))

    @cached_property
    def offered(self) -> dict[int, str]:
        """Index of a group to the name of its axis, where there are at least two choices."""
        return {
            index: f"{group.name}.width"
            for index, group in enumerate(self.groups.groups)
            if group.name not in self.settings.leave and len(self.settings.kept(group)) > 1
        }

    def growths(self, channels: int, capacity: int) -> tuple[Growth, ...]:
        """See :class:`Family`; convolutional networks have some."""
        return growths(self.groups, self.offered, channels, capacity)

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """Residual branches that may be skipped."""
        return branches(self.groups) if self.settings.skip else ()

    def units(self, choices: Mapping[str, Choice]) -> dict[int, int]:
        """Index of a group to the units that are kept; groups of inactive axes are absent."""
        found = {}
        for index, group in enumerate(self.groups.groups):
            name = self.offered.get(index)
            if name is None:
                found[index] = len(group.units)
            elif name in choices:
                found[index] = self._kept[index][float(choices[name])]
        return found

    @cached_property
    def _kept(self) -> dict[int, dict[float, int]]:
        return {index: self.settings.kept(self.groups.groups[index]) for index in self.offered}

    def skipped(self, choices: Mapping[str, Choice]) -> dict[str, str]:
        """Operators that an arch leaves out: the sum at a branch's end to the value that it passes on."""
        return {
            branch.end: branch.start
            for branch in self.branches
            if branch.axis in choices and int(choices[branch.axis]) < branch.place
        }

    # --- family ------------------------------------------------------------------------------------

    def space(self) -> Space:
        """A width for each group of channels, a depth for each run of equal residual branches."""
        return self._space

    @cached_property
    def _space(self) -> Space:
        depths: dict[str, list[Branch]] = {}
        for branch in self.branches:
            depths.setdefault(branch.axis, []).append(branch)
        axes = [Axis(name, "depth", tuple(range(len(found) + 1))) for name, found in depths.items()]
        for index, name in self.offered.items():
            owner = self._owner.get(index)
            when = tuple(range(owner.place, len(depths[owner.axis]) + 1)) if owner else ()
            axes.append(Axis(name, "width", tuple(self._kept[index]), owner.axis if owner else None, when))
        if not axes:
            raise SpaceError("the network has no channels that can be removed")
        return Space(axes, networks=self._networks)

    @cached_property
    def _networks(self) -> str:
        """Hash of all that decides what an arch is: the graph without its source lines, and the settings."""
        nodes = tuple(dataclasses.replace(node, line="") for node in self.graph.nodes)
        own = {**self.config(), "graph": dataclasses.replace(self.graph, nodes=nodes).as_json()}
        return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _owner(self) -> dict[int, Branch]:
        """Groups whose channels exist within one branch only."""
        return {index: branch for branch in self.branches for index in branch.groups}

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Its layers, with channels as amounts of units; in parts where their axes have very many combinations."""
        whole = tuple(rows_of(self.groups))
        if combinations(self.space(), self._segments_of(whole)) <= MAX_TABLE:
            return whole
        return tuple(part for row in whole for part in narrower(row))

    def segments(self) -> tuple[Segment, ...]:
        """One for each layer."""
        return self._segments

    @cached_property
    def _segments(self) -> tuple[Segment, ...]:
        return self._segments_of(self.rows)

    def _segments_of(self, rows: Sequence[Row]) -> tuple[Segment, ...]:
        inside = {name: branch for branch in self.branches for name in branch.nodes}
        found = []
        for number, row in enumerate(rows):
            branch = inside.get(row.node)
            axes = [self.offered[index] for index in row.axes if index in self.offered]
            found.append(
                Segment(
                    f"{number}.{row.spec.name}",
                    tuple(([branch.axis] if branch else []) + axes),
                    _Layer(self, row, branch),
                )
            )
        return tuple(found)

    @cached_property
    def known_costs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Without the activation memory where a layer reads parts of many axes and counts as several."""
        names = [row.node for row in self.rows if row.node]
        whole = len(names) == len(set(names))
        return (PARAMS, MACS, ACTIVATION, SIZE) if whole else (PARAMS, MACS, SIZE)

    def dimensions(self, arch: Arch) -> dict[str, int]:
        """``channels``, ``height``, ``width`` of an image, and ``outputs`` where these are logits of classes."""
        del arch  # all read and return the same sizes
        found: dict[str, int] = {}
        shape = self.graph.inputs[0].output.shape
        if len(self.graph.inputs) == 1 and len(shape) == 4:
            found |= dict(
                zip(("channels", "height", "width"), (sized(each) for each in shape[1:]), strict=True)
            )
        quality = self.groups.followed.values[self.graph.quality][0].shape
        if len(quality) == 2:
            found["outputs"] = sized(quality[1])
        return found


@dataclass(frozen=True, eq=False)
class _Key:
    """A graph and how it is followed: equal where both are."""

    graph: Graph
    approximate: bool
    decisions: tuple[tuple[str, int], ...]

    def __hash__(self) -> int:
        return hash((self.graph.sha256, self.approximate, self.decisions))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and hash(self) == hash(other) and self.graph == other.graph


@lru_cache(maxsize=16)
def _groups(key: _Key) -> Groups:
    """Channels are followed once for all families of a graph: a service makes one for every request."""
    follower = Follower(key.graph, RULES, approximate=key.approximate, decisions=dict(key.decisions))
    return find(key.graph, follower.follow())


@lru_cache(maxsize=16)
def _cached(text: str) -> tuple[Graph, TracedConfig]:
    config = json.loads(text)
    graph = Graph.from_json(config["graph"])
    try:
        settings = TracedConfig(
            tuple(float(width) for width in config.get("widths", WIDTHS)),
            int(config.get("multiple", MULTIPLE)),
            bool(config.get("approximate", False)),
            bool(config.get("skip", False)),
            tuple(str(name) for name in config.get("leave", ())),
            {str(key): int(option) for key, option in config.get("decisions", {}).items()},
        )
        return graph, settings
    except (TypeError, ValueError, AttributeError) as error:
        raise SpaceError(f"traced settings do not fit: {error}") from error


@dataclass(frozen=True)
class _Layer:
    """A row of an arch, none where its branch is skipped."""

    family: TracedFamily
    row: Row
    branch: Branch | None

    def __call__(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        if self.branch is not None and int(choices[self.branch.axis]) < self.branch.place:
            return ()
        return (self.row.at(self.family.units(choices)),)
