"""The hot path against the space's own, slower operations."""

import numpy as np
import pytest

import search.variation
from search.seen import Seen, fresh
from search.variation import Activity, Variation, graded
from supernets.spaces.space import Axis, Space
from tests.search.toy import toy_space


def nested() -> Space:
    """A parent that is itself active only sometimes."""
    return Space(
        [
            Axis("a", "depth", (1, 2, 3)),
            Axis("b", "depth", (1, 2), "a", (2, 3)),
            Axis("c", "kernel", (3, 5, 7), "b", (2,)),
            Axis("d", "kernel", (3, 5)),
            Axis("e", "kernel", (3, 5), "d", (5,)),
        ]
    )


def wide() -> Space:
    """More choices than a byte has values, and more archs than a float64 has whole numbers."""
    return Space([Axis(f"w{i}", "width", tuple(range(1, 301))) for i in range(9)])


SPACES = {
    "toy": toy_space(),
    "restricted": toy_space().restrict({"kernel": [5], "resolution": [8, 32]}),
    "nested": nested(),
    "wide": wide(),
}


def genomes(space, n, seed=0):
    """Any allowed choice everywhere, also in inactive genes."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.choice(choices, n) for choices in space.allowed], axis=1)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("limit", [4096, 6, 1], ids=["one table", "several", "none"])
def test_active_genes_are_those_of_the_space(name, limit, monkeypatch):
    monkeypatch.setattr(search.variation, "TABLE", limit)
    rows = genomes(SPACES[name], 500)
    assert (Activity(SPACES[name])(rows) == SPACES[name].active(rows)).all()


@pytest.mark.parametrize("name", SPACES)
def test_children_are_members_that_take_after_their_parents(name):
    space, rng = SPACES[name], np.random.default_rng(1)
    parents = space.sample(rng, 60)
    variation = Variation(space)
    filled = variation.filled(rng, parents)
    assert (np.where(space.active(parents), filled, 0) == parents).all()
    left, right = rng.integers(60, size=(2, 400))
    children = variation.children(rng, filled, left, right)
    assert space.member(children).all()
    strange = (children != filled[left]) & (children != filled[right]) & space.active(children)
    assert (strange.sum(axis=1) <= 1).all() and 100 < strange.any(axis=1).sum() < 350
    both = (children == filled[left]).all(axis=1) | (children == filled[right]).all(axis=1)
    assert not both.all()


def test_every_allowed_choice_comes_up_in_inactive_genes():
    space = SPACES["toy"]
    smallest = np.repeat(space.encode([space.min()]), 500, axis=0)
    filled = Variation(space).filled(np.random.default_rng(0), smallest)
    for column, choices in enumerate(space.allowed):
        seen = set(filled[:, column].tolist())
        assert seen == ({0} if space.active(smallest)[0, column] else set(choices))


@pytest.mark.parametrize("name", SPACES)
def test_graded_rows_are_members_from_small_to_large(name):
    space = SPACES[name]
    rows = graded(space, np.random.default_rng(0), 300)
    assert space.member(rows).all()
    assert rows[:100].sum() < rows[-100:].sum()


@pytest.mark.parametrize("name", SPACES)
def test_a_set_of_archs_is_exact(name):
    space, rng = SPACES[name], np.random.default_rng(2)
    rows = np.concatenate([space.sample(rng, 200), space.neighbours(space.sample(rng, 1)[0])])
    rows = rows[rng.integers(len(rows), size=600)]
    seen, reference = Seen(space), set()
    seen.add(rows[:100])
    reference.update(map(tuple, rows[:100].tolist()))
    assert len(seen) == len(reference)
    for at in range(100, 600, 50):
        batch = rows[at : at + 50]
        expected = [tuple(row) for row in dict.fromkeys(map(tuple, batch.tolist())) if row not in reference]
        assert sorted(map(tuple, batch[seen.new(batch)].tolist())) == sorted(expected)
        assert list(map(tuple, seen.take(batch, 7).tolist())) == expected[:7]
        reference.update(expected[:7])
        assert len(seen) == len(reference)
    again = Seen(space)
    again.restore(seen.state())
    assert again.state() == seen.state() and not again.new(np.array(sorted(reference))).any()


def test_nothing_is_taken_where_nothing_is_wanted():
    seen = Seen(SPACES["toy"])
    rows = SPACES["toy"].sample(np.random.default_rng(0), 5)
    assert len(seen.take(rows, 0)) == len(seen.take(rows, -2)) == len(seen) == 0
    assert len(fresh(SPACES["toy"], np.random.default_rng(0), seen, -1)) == 0
