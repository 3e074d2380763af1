"""Spaces against slow references, over generated spaces."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supernets.errors import ArchError, SpaceError
from supernets.spaces.space import Arch, Axis, Choice, Space

QUICK = settings(max_examples=40, deadline=None)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """One to three roots, each with up to two children and perhaps a grandchild."""
    axes: list[Axis] = []
    for root in range(draw(st.integers(1, 3))):
        choices = tuple(range(1, draw(st.integers(1, 3)) + 1))
        axes.append(Axis(f"r{root}", "root", choices))
        for child in range(draw(st.integers(0, 2))):
            when = tuple(draw(st.sets(st.sampled_from(choices), min_size=1)))
            below = tuple(range(10, 10 + draw(st.integers(1, 3))))
            axes.append(Axis(f"r{root}.c{child}", "child", below, f"r{root}", when))
            if draw(st.booleans()):
                axes.append(
                    Axis(f"r{root}.c{child}.g", "leaf", ("a", "b"), f"r{root}.c{child}", (below[-1],))
                )
    return Space(axes)


def slow_members(space: Space) -> set[Arch]:
    """Every combination of allowed choices, canonical, without duplicates."""

    def combinations() -> Iterator[dict[str, Choice]]:
        options = [
            [axis.choices[i] for i in allowed]
            for axis, allowed in zip(space.axes, space.allowed, strict=True)
        ]
        for values in itertools.product(*options):
            yield {axis.name: value for axis, value in zip(space.axes, values, strict=True)}

    return {space.arch(choices) for choices in combinations()}


@QUICK
@given(spaces())
def test_size_and_enumeration_match_the_slow_count(space: Space) -> None:
    members = slow_members(space)
    rows = space.enumerate()
    assert space.size() == len(members) == len(rows)
    assert set(space.decode(rows)) == members
    assert space.member(rows).all()


@QUICK
@given(spaces(), st.integers(0, 2**32 - 1))
def test_operators_stay_inside_and_round_trip(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = space.sample(rng, 8), space.sample(rng, 8)
    made = [
        left,
        space.mutate(rng, left, 0.3),
        space.crossover(rng, left, right),
        space.repair(rng.integers(0, 9, left.shape)),
    ]
    made += [space.neighbours(row) for row in left[:2]]
    for population in made:
        assert space.member(population).all()
        archs = space.decode(population)
        assert np.array_equal(space.encode(archs), population)
        assert [Arch(tuple(a.as_dict().items())) for a in archs] == archs
        assert all(space.contains(arch) for arch in archs)


@QUICK
@given(spaces(), st.integers(0, 2**32 - 1))
def test_mutation_changes_every_row_that_can_change(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    population = space.sample(rng, 16)
    changed = (space.mutate(rng, population, 0.0) != population).any(axis=1)
    can = [len(space.neighbours(row)) > 0 for row in population]
    assert changed.tolist() == can


@QUICK
@given(spaces(), st.integers(0, 2**32 - 1))
def test_two_encodings_of_one_network_are_one_arch(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    population = space.sample(rng, 8)
    noise = (rng.random(population.shape) * space.cardinalities).astype(np.int64)
    other = np.where(space.active(population), population, noise)
    assert space.decode(other) == space.decode(population)
    assert np.array_equal(space.canonical(other), population)


@QUICK
@given(spaces(), st.data())
def test_restriction_is_a_subset_with_the_same_encoding(space: Space, data: st.DataObject) -> None:
    axis = data.draw(st.sampled_from(space.axes))
    kept = data.draw(st.lists(st.sampled_from(axis.choices), min_size=1, unique=True))
    small = space.restrict({axis.name: kept})
    inside = {arch for arch in slow_members(space) if arch.get(axis.name, kept[0]) in kept}
    assert set(small.decode(small.enumerate())) == inside
    assert small.size() == len(inside)
    assert space.member(small.enumerate()).all()
    assert inside >= {small.min(), small.max()}


@QUICK
@given(spaces(), st.integers(0, 2**32 - 1))
def test_neighbours_are_all_members_one_decision_away(space: Space, seed: int) -> None:
    row = space.sample(np.random.default_rng(seed), 1)[0]
    arch = space.decode(row[None])[0]
    found = space.decode(space.neighbours(row))
    assert len(set(found)) == len(found)
    assert arch not in found
    for other in found:
        shared = set(arch.as_dict()) & set(other.as_dict())
        assert sum(arch[name] != other[name] for name in shared) == 1


def test_json_round_trip_keeps_hash_and_restriction() -> None:
    space = Space([Axis("d", "depth", (1, 2)), Axis("k", "kernel", (3, 5), "d", (2,))]).restrict(
        {"kernel": [5]}
    )
    again = Space.from_json(space.as_json())
    assert again == space
    assert again.sha256 == space.sha256


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"d": 1, "z": 3}, "unknown axes"),
        ({"d": 9}, "must be one of"),
        ({"d": True}, "must be one of"),
        ({"d": 2}, "is active and needs a choice"),
        ({}, "is active and needs a choice"),
    ],
)
def test_bad_archs_name_rule_and_choices(choices: dict[str, Choice], message: str) -> None:
    space = Space([Axis("d", "depth", (1, 2)), Axis("k", "kernel", (3, 5), "d", (2,))])
    with pytest.raises(ArchError, match=message):
        space.arch(choices)


@pytest.mark.parametrize("restriction", [{"colour": [1]}, {"kernel": [7]}, {"kernel": []}, {"kernel": "35"}])
def test_bad_restrictions_are_refused(restriction: dict[str, list[Choice]]) -> None:
    with pytest.raises(SpaceError):
        Space([Axis("d", "depth", (1, 2)), Axis("k", "kernel", (3, 5), "d", (2,))]).restrict(restriction)


def test_bad_axes_are_refused() -> None:
    for axes in (
        [],
        [Axis("a", "x", ())],
        [Axis("a", "x", (1,)), Axis("a", "x", (2,))],
        [Axis("a", "x", (1,), "b", (1,))],
    ):
        with pytest.raises(SpaceError):
            Space(axes)
    with pytest.raises(SpaceError, match="enumerated"):
        Space([Axis(f"a{i}", "x", tuple(range(10))) for i in range(6)]).enumerate()
