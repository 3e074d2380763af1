"""Spaces in which some axes follow others (CompOFA, Sahni et al., 2021, arXiv:2104.12642). No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from supernets.errors import ArchError, SpaceError
from supernets.spaces.space import ENUMERATE_LIMIT, Arch, Axis, Choice, Population, Space


class CoupledSpace(Space):
    """A space whose *followers* take the choice of the same rank as their leader's.

    ``leaders`` maps a follower to an earlier axis with as many choices: depth 2, 3, 4 with expansions
    3, 4, 6 leaves (2, 3), (3, 4) and (4, 6). Keeps every promise of :class:`Space` and its encoding, so
    predictors of the free space serve this one too. Followers are restricted through their leaders.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        allowed: Sequence[Sequence[int]] | None = None,
        *,
        leaders: Mapping[str, str],
        networks: str = "",
    ) -> None:
        columns = {axis.name: column for column, axis in enumerate(axes)}
        self.leaders = dict(sorted(leaders.items()))
        for follower, leader in self.leaders.items():
            if follower not in columns or columns.get(leader, len(axes)) >= columns[follower]:
                raise SpaceError(f"{follower!r} must follow an earlier axis, got {leader!r}")
            counts = [len(axes[columns[name]].choices) for name in (follower, leader)]
            if counts[0] != counts[1] or leader in self.leaders:
                raise SpaceError(
                    f"{follower!r} must have as many choices as its leader {leader!r}, which must be free, "
                    f"got {counts[0]} and {counts[1]}"
                )
        self._followers = np.array([columns[name] for name in self.leaders], dtype=np.int64)
        self._leaders = np.array([columns[name] for name in self.leaders.values()], dtype=np.int64)
        given = list(allowed) if allowed is not None else [range(len(axis.choices)) for axis in axes]
        for follower, leader in zip(self._followers, self._leaders, strict=True):
            given[follower] = given[leader]
        super().__init__(axes, given, networks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CoupledSpace) and super().__eq__(other) and self.leaders == other.leaders

    def __hash__(self) -> int:
        return hash((super().__hash__(), tuple(self.leaders.items())))

    def canonical(self, population: Population) -> Population:
        """The population with followers tied to their leaders and inactive genes set to 0."""
        tied = np.array(population, dtype=np.int64)
        tied[:, self._followers] = tied[:, self._leaders]
        return super().canonical(tied)

    def arch(self, choices: Mapping[str, object]) -> Arch:
        """The canonical arch with these choices; one that breaks a coupling is refused."""
        made = super().arch(choices)
        for follower, leader in self.leaders.items():
            if (value := made.get(follower)) is not None:
                ranks = [
                    self.axes[self.column(n)].choices.index(v)
                    for n, v in ((follower, value), (leader, made[leader]))
                ]
                if ranks[0] != ranks[1]:
                    required = self.axes[self.column(follower)].choices[ranks[1]]
                    raise ArchError(
                        f"{follower!r} follows {leader!r}: it must be {required!r} where that is {made[leader]!r}, "
                        f"got {value!r}"
                    )
        return made

    def member(self, population: Population) -> NDArray[np.bool_]:
        """Which rows are canonical members, ``(n,)``."""
        return np.asarray(super().member(population) & (self.canonical(population) == population).all(axis=1))

    def neighbours(self, row: NDArray[np.int64]) -> Population:
        """All members that differ from ``row`` ``(d,)`` in one decision of a leader or free axis."""
        rows = np.unique(super().neighbours(row), axis=0)
        kept: Population = rows[self.member(rows) & (rows != np.asarray(row)).any(axis=1)]
        return kept

    def restrict(self, choices: Mapping[str, Sequence[Choice]]) -> CoupledSpace:
        """The subspace in which these axes or kinds are narrower; followers narrow with their leaders."""
        tied = sorted(
            axis.name
            for axis in self.axes
            if axis.name in self.leaders and {axis.name, axis.kind} & set(choices)
        )
        if tied:
            raise SpaceError(f"{tied[0]!r} follows {self.leaders[tied[0]]!r}: restrict that axis instead")
        allowed = super().restrict(choices).allowed
        return CoupledSpace(self.axes, allowed, leaders=self.leaders, networks=self.networks)

    @cached_property
    def _free(self) -> Space:
        """As many archs: followers hold still, everything else moves."""
        allowed = [list(indices) for indices in self.allowed]
        for follower in self._followers:
            allowed[follower] = allowed[follower][:1]
        return Space(self.axes, allowed, self.networks)

    def size(self) -> int:
        """Exact number of members."""
        return self._free.size()

    def enumerate(self, limit: int = ENUMERATE_LIMIT) -> Population:
        """All members ``(size, d)`` in lexicographic order; refused for more than ``limit``."""
        rows = self.canonical(self._free.enumerate(limit))
        return rows[np.lexsort(rows.T[::-1])]

    def as_json(self) -> dict[str, object]:
        """Axes, what is allowed, and who follows whom."""
        return {**super().as_json(), "leaders": self.leaders}


def couple(space: Space, kinds: Mapping[str, str]) -> CoupledSpace:
    """``space`` with every axis of a kind following its own stage's axis of another kind.

    ``{"expand": "depth"}`` ties ``stage2.block1.expand`` to ``stage2.depth``. A stage without a leader, such as
    one of fixed depth, keeps its axes free.

    Raises:
        SpaceError: no axis of a kind, no stage with both kinds, or a stage with several leaders.
    """
    leaders = {}
    for follower_kind, leader_kind in kinds.items():
        followers = [axis for axis in space.axes if axis.kind == follower_kind]
        if not followers:
            known = ", ".join(sorted({axis.kind for axis in space.axes}))
            raise SpaceError(f"no axis of kind {follower_kind!r} to couple; kinds: {known}")
        for axis in followers:
            stage = axis.name.split(".", 1)[0] + "."
            own = [a.name for a in space.axes if a.kind == leader_kind and a.name.startswith(stage)]
            if len(own) > 1:
                raise SpaceError(
                    f"{axis.name!r} must have one axis of kind {leader_kind!r} in its stage, got {', '.join(own)}"
                )
            if own:
                leaders[axis.name] = own[0]
        if not leaders.keys() & {axis.name for axis in followers}:
            raise SpaceError(
                f"no stage has an axis of kind {leader_kind!r} for its axes of kind {follower_kind!r} to follow"
            )
    return CoupledSpace(space.axes, space.allowed, leaders=leaders, networks=space.networks)


def within(space: Space, allowed: Sequence[Sequence[int]]) -> Space:
    """The part of ``space`` with these allowed choice indices, an axis each; its couplings stay."""
    if isinstance(space, CoupledSpace):
        return CoupledSpace(space.axes, allowed, leaders=space.leaders, networks=space.networks)
    return Space(space.axes, allowed, space.networks)
