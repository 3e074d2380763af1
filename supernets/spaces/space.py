"""Axes, archs and the space between them. No torch.

A *population* is an ``(n, d)`` int64 matrix of choice indices, one column per axis in the order of
``Space.axes``. Populations handed out by a space are canonical: genes of inactive axes are 0, so equal
networks are equal rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernets.errors import ArchError, SpaceError

Choice = int | float | str
Population = NDArray[np.int64]
ENUMERATE_LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class Axis:
    """One decision, its choices ordered from the smallest network to the largest.

    ``kind`` groups axes that mean the same thing (``kernel``, ``depth``, ``expand``, ``width``,
    ``resolution``). The axis matters only while ``parent`` takes one of the choices ``active_when``.
    """

    name: str
    kind: str
    choices: tuple[Choice, ...]
    parent: str | None = None
    active_when: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Arch:
    """One canonical point of a space: hashable, JSON, inactive axes dropped."""

    choices: tuple[tuple[str, Choice], ...]
    _lookup: dict[str, Choice] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lookup", dict(self.choices))

    def __getitem__(self, axis: str) -> Choice:
        return self._lookup[axis]

    def get(self, axis: str, default: Choice | None = None) -> Choice | None:
        """The choice made on ``axis``, or ``default`` where the axis is inactive or unknown."""
        return self._lookup.get(axis, default)

    def as_dict(self) -> dict[str, Choice]:
        """Axis name to choice, in the order of the space."""
        return dict(self.choices)

    @property
    def id(self) -> str:
        """16 hex digits that identify the arch within its space."""
        text = json.dumps(sorted(self.choices), separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Space:
    """A finite set of archs over ordered axes.

    Promises: immutable; all randomness comes from the generator argument; ``decode(encode(archs)) ==
    archs``; two encodings of the same network decode to one arch; everything returned is a member;
    a restricted space encodes like the space it came from, so predictors serve both.

    ``networks`` identifies the networks that the archs stand for, where equal axes do not: two converted networks may
    have axes of equal names and choices. It is part of the hash.
    """

    def __init__(
        self, axes: Sequence[Axis], allowed: Sequence[Sequence[int]] | None = None, networks: str = ""
    ) -> None:
        self.axes = tuple(axes)
        self.networks = networks
        self._column = {axis.name: column for column, axis in enumerate(self.axes)}
        self._check_axes()
        self.allowed: tuple[tuple[int, ...], ...] = (
            tuple(tuple(range(len(axis.choices))) for axis in self.axes)
            if allowed is None
            else tuple(tuple(sorted(set(choices))) for choices in allowed)
        )
        if len(self.allowed) != len(self.axes) or not all(self.allowed):
            raise SpaceError(f"every axis needs at least one allowed choice, got {self.allowed}")
        self._tabulate()

    def _check_axes(self) -> None:
        if not self.axes:
            raise SpaceError("a space needs at least one axis, got none")
        if len(self._column) != len(self.axes):
            raise SpaceError(f"axis names must be unique, got {[axis.name for axis in self.axes]}")
        for column, axis in enumerate(self.axes):
            if not axis.choices or len(set(axis.choices)) != len(axis.choices):
                raise SpaceError(f"choices of {axis.name!r} must be non-empty and unique, got {axis.choices}")
            if axis.parent is None:
                continue
            if self._column.get(axis.parent, column) >= column:
                raise SpaceError(f"parent {axis.parent!r} of {axis.name!r} must be an earlier axis")
            unknown = set(axis.active_when) - set(self.axes[self._column[axis.parent]].choices)
            if unknown or not axis.active_when:
                raise SpaceError(
                    f"{axis.name!r} must be active for choices of {axis.parent!r}, got {axis.active_when}"
                )

    def _tabulate(self) -> None:
        """Lay the allowed choices and activity rules out as arrays, so that every operation is vectorised."""
        widest = max(len(axis.choices) for axis in self.axes)
        self.cardinalities = np.array([len(axis.choices) for axis in self.axes], dtype=np.int64)
        self._count = np.array([len(choices) for choices in self.allowed], dtype=np.int64)
        self._choice_at = np.zeros((self.d, widest), dtype=np.int64)
        self._position_of = np.full((self.d, widest), -1, dtype=np.int64)
        self._active_for = np.ones((self.d, widest), dtype=bool)
        self._parent = np.full(self.d, -1, dtype=np.int64)
        level = np.zeros(self.d, dtype=np.int64)
        for column, axis in enumerate(self.axes):
            indices = np.array(self.allowed[column])
            if indices[0] < 0 or indices[-1] >= len(axis.choices):
                raise SpaceError(
                    f"allowed choices of {axis.name!r} must be below {len(axis.choices)}, got {indices}"
                )
            self._choice_at[column, : len(indices)] = indices
            self._position_of[column, indices] = np.arange(len(indices))
            if axis.parent is not None:
                parent = self._column[axis.parent]
                self._parent[column] = parent
                level[column] = level[parent] + 1
                choices = self.axes[parent].choices
                self._active_for[column, : len(choices)] = [choice in axis.active_when for choice in choices]
        self._levels = [np.flatnonzero(level == k) for k in range(1, int(level.max()) + 1)]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Space)
            and self.axes == other.axes
            and self.allowed == other.allowed
            and self.networks == other.networks
        )

    def __hash__(self) -> int:
        return hash((self.axes, self.allowed, self.networks))

    def __repr__(self) -> str:
        return f"Space({self.d} axes, {self.size():.3g} archs)"

    @property
    def d(self) -> int:
        """Number of axes, the width of a population."""
        return len(self.axes)

    def column(self, axis: str) -> int:
        """Column of ``axis`` in a population."""
        if axis not in self._column:
            raise SpaceError(f"no axis {axis!r}; choices: {', '.join(self._column)}")
        return self._column[axis]

    # --- archs -------------------------------------------------------------------------------------

    def arch(self, choices: Mapping[str, object]) -> Arch:
        """The canonical arch with these choices; inactive axes are dropped, anything else is refused."""
        unknown = sorted(set(choices) - set(self._column))
        if unknown:
            raise ArchError(f"unknown axes {unknown}; choices: {', '.join(self._column)}")
        kept: list[tuple[str, Choice]] = []
        made: dict[str, Choice] = {}
        for column, axis in enumerate(self.axes):
            if axis.parent is not None and made.get(axis.parent) not in axis.active_when:
                continue
            allowed = [axis.choices[index] for index in self.allowed[column]]
            if axis.name not in choices:
                raise ArchError(f"axis {axis.name!r} is active and needs a choice; choices: {allowed}")
            value = choices[axis.name]
            if isinstance(value, bool) or value not in allowed:
                raise ArchError(f"{axis.name!r} must be one of {allowed}, got {value!r}")
            value = allowed[allowed.index(value)]
            made[axis.name] = value
            kept.append((axis.name, value))
        return Arch(tuple(kept))

    def contains(self, arch: Arch) -> bool:
        """Whether ``arch`` is a canonical member."""
        try:
            return self.arch(arch.as_dict()) == arch
        except ArchError:
            return False

    def encode(self, archs: Iterable[Arch]) -> Population:
        """Population ``(n, d)`` of ``archs``; raises :class:`ArchError` for one outside the space."""
        rows = []
        for arch in archs:
            if not self.contains(arch):
                self.arch(arch.as_dict())
                raise ArchError(f"arch is not canonical in this space: {arch.as_dict()}")
            row = np.zeros(self.d, dtype=np.int64)
            for name, value in arch.choices:
                column = self._column[name]
                row[column] = self.axes[column].choices.index(value)
            rows.append(row)
        return np.array(rows, dtype=np.int64).reshape(len(rows), self.d)

    def decode(self, population: Population) -> list[Arch]:
        """The canonical archs of a population, one per row."""
        population = self._checked(population)
        active = self.active(population)
        return [
            Arch(
                tuple(
                    (axis.name, axis.choices[gene])
                    for axis, gene, on in zip(self.axes, row, mask, strict=True)
                    if on
                )
            )
            for row, mask in zip(population.tolist(), active.tolist(), strict=True)
        ]

    def max(self) -> Arch:
        """The largest member: the last allowed choice everywhere."""
        return self.decode(self.canonical(self._choice_at[np.arange(self.d), self._count - 1][None]))[0]

    def min(self) -> Arch:
        """The smallest member: the first allowed choice everywhere."""
        return self.decode(self.canonical(self._choice_at[:, 0][None]))[0]

    # --- populations -------------------------------------------------------------------------------

    def _checked(self, population: Population) -> Population:
        population = np.asarray(population, dtype=np.int64)
        if population.ndim != 2 or population.shape[1] != self.d:
            raise ArchError(f"a population must have shape (n, {self.d}), got {population.shape}")
        if population.size and (population.min() < 0 or (population >= self.cardinalities).any()):
            raise ArchError("genes must lie in [0, number of choices of their axis)")
        return population

    def active(self, population: Population) -> NDArray[np.bool_]:
        """Which genes matter, ``(n, d)``."""
        active = np.ones(population.shape, dtype=bool)
        for columns in self._levels:
            parents = self._parent[columns]
            active[:, columns] = active[:, parents] & self._active_for[columns, population[:, parents]]
        return active

    def canonical(self, population: Population) -> Population:
        """The same networks with inactive genes set to 0."""
        return np.where(self.active(population), population, 0)

    def member(self, population: Population) -> NDArray[np.bool_]:
        """Which rows are canonical members, ``(n,)``."""
        population = self._checked(population)
        active = self.active(population)
        allowed = self._position_of[np.arange(self.d), population] >= 0
        return np.asarray(np.where(active, allowed, population == 0).all(axis=1))

    def features(self, population: Population) -> NDArray[np.float32]:
        """One-hot rows ``(n, sum of cardinalities)``; inactive axes are all zero."""
        offsets = np.concatenate([[0], np.cumsum(self.cardinalities)[:-1]])
        features = np.zeros((len(population), int(self.cardinalities.sum())), dtype=np.float32)
        rows, columns = np.nonzero(self.active(population))
        features[rows, offsets[columns] + population[rows, columns]] = 1.0
        return features

    def sample(self, rng: np.random.Generator, n: int) -> Population:
        """``n`` members, every axis drawn uniformly and independently."""
        return self.canonical(self._draw(rng, n))

    def _draw(self, rng: np.random.Generator, n: int) -> Population:
        positions = (rng.random((n, self.d)) * self._count).astype(np.int64)
        return self._choice_at[np.arange(self.d), positions]

    def mutate(self, rng: np.random.Generator, population: Population, rate: float) -> Population:
        """Change each active gene to another choice with probability ``rate``, and at least one a row.

        Genes that become active by a change of their parent are redrawn.
        """
        n = len(population)
        active = self.active(population)
        free = active & (self._count > 1)
        chosen = free & (rng.random((n, self.d)) < rate)
        forced = np.where(free, rng.random((n, self.d)), -1.0).argmax(axis=1)
        idle = ~chosen.any(axis=1) & free.any(axis=1)
        chosen[np.flatnonzero(idle), forced[idle]] = True
        position = self._position_of[np.arange(self.d), population]
        step = 1 + (rng.random((n, self.d)) * np.maximum(self._count - 1, 1)).astype(np.int64)
        other = self._choice_at[np.arange(self.d), (position + step) % self._count]
        return self._settle(rng, np.where(chosen, other, population), active)

    def crossover(self, rng: np.random.Generator, left: Population, right: Population) -> Population:
        """One child a pair, each gene from either parent (from the one where it is active)."""
        active_left, active_right = self.active(left), self.active(right)
        take_left = rng.random(left.shape) < 0.5
        take_left = np.where(active_left == active_right, take_left, active_left)
        return self._settle(rng, np.where(take_left, left, right), active_left | active_right)

    def _settle(self, rng: np.random.Generator, child: Population, known: NDArray[np.bool_]) -> Population:
        """Draw the genes that are not set, then make the rows canonical."""
        return self.canonical(np.where(known, child, self._draw(rng, len(child))))

    def repair(self, population: Population) -> Population:
        """The nearest member of each row: genes clipped to the nearest allowed choice."""
        repaired = np.array(population, dtype=np.int64)
        for column, allowed in enumerate(self.allowed):
            choices = np.array(allowed)
            nearest = np.abs(repaired[:, column, None] - choices[None, :]).argmin(axis=1)
            repaired[:, column] = choices[nearest]
        return self.canonical(repaired)

    def neighbours(self, row: NDArray[np.int64]) -> Population:
        """All members that differ from ``row`` ``(d,)`` in one decision; genes it activates are smallest."""
        row = np.asarray(row, dtype=np.int64)
        active = self.active(row[None])[0]
        smallest = self._choice_at[:, 0]
        base = np.where(active, row, smallest)
        rows = []
        for column in np.flatnonzero(active):
            for choice in self.allowed[column]:
                if choice != row[column]:
                    changed = base.copy()
                    changed[column] = choice
                    rows.append(changed)
        return self.canonical(np.array(rows, dtype=np.int64).reshape(len(rows), self.d))

    # --- subsets -----------------------------------------------------------------------------------

    def restrict(self, choices: Mapping[str, Sequence[Choice]]) -> Space:
        """The subspace in which the named axes, or all axes of a named kind, take only these choices."""
        allowed = [list(indices) for indices in self.allowed]
        kinds = {axis.kind for axis in self.axes}
        for name, requested in choices.items():
            columns = [c for c, axis in enumerate(self.axes) if name in (axis.name, axis.kind)]
            if not columns:
                raise SpaceError(
                    f"no axis or kind {name!r}; kinds: {', '.join(sorted(kinds))}; axes: {', '.join(self._column)}"
                )
            for column in columns:
                allowed[column] = self._restricted(column, requested)
        return Space(self.axes, allowed, self.networks)

    def _restricted(self, column: int, requested: Sequence[Choice]) -> list[int]:
        axis = self.axes[column]
        known = [axis.choices[index] for index in self.allowed[column]]
        if (
            isinstance(requested, str)
            or not requested
            or any(isinstance(w, bool) or w not in known for w in requested)
        ):
            raise SpaceError(f"{axis.name!r} can be restricted to choices among {known}, got {requested!r}")
        return [axis.choices.index(choice) for choice in requested]

    def size(self) -> int:
        """Exact number of members."""
        return self._size

    @cached_property
    def _size(self) -> int:
        children: dict[int, list[int]] = {}
        for column in range(self.d):
            children.setdefault(int(self._parent[column]), []).append(column)

        def count(column: int) -> int:
            total = 0
            for choice in self.allowed[column]:
                product = 1
                for child in children.get(column, []):
                    product *= count(child) if self._active_for[child, choice] else 1
                total += product
            return total

        product = 1
        for root in children[-1]:
            product *= count(root)
        return product

    def enumerate(self, limit: int = ENUMERATE_LIMIT) -> Population:
        """All members ``(size, d)`` in lexicographic order; refused for more than ``limit``."""
        if self.size() > limit:
            raise SpaceError(f"only spaces of at most {limit} archs can be enumerated, got {self.size()}")
        rows = np.zeros((1, self.d), dtype=np.int64)
        for column in range(self.d):
            active = self.active(rows)[:, column]
            parts = [rows[~active]]
            for choice in self.allowed[column]:
                part = rows[active].copy()
                part[:, column] = choice
                parts.append(part)
            rows = np.concatenate(parts)
        return rows[np.lexsort(rows.T[::-1])]

    # --- identity ----------------------------------------------------------------------------------

    def as_json(self) -> dict[str, object]:
        """What :meth:`from_json` reads back."""
        axes = [
            {
                "name": a.name,
                "kind": a.kind,
                "choices": list(a.choices),
                "parent": a.parent,
                "active_when": list(a.active_when),
            }
            for a in self.axes
        ]
        named = {"networks": self.networks} if self.networks else {}
        return {"axes": axes, "allowed": [list(indices) for indices in self.allowed], **named}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Space:
        """The space that :meth:`as_json` wrote."""
        axes = [
            Axis(a["name"], a["kind"], tuple(a["choices"]), a["parent"], tuple(a["active_when"]))
            for a in value["axes"]
        ]
        return cls(axes, value["allowed"], value.get("networks", ""))

    @cached_property
    def sha256(self) -> str:
        """Hash of the axes, of what is allowed, and of ``networks`` where it is not empty."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()

    def __iter__(self) -> Iterator[Arch]:
        return iter(self.decode(self.enumerate()))
