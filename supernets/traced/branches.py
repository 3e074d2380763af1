"""Residual branches that may be skipped. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from supernets.traced.follow import Val
from supernets.traced.graph import Arg, Node, Ref
from supernets.traced.groups import Groups

MOST_OPERATORS = 400
"""The most operators of a branch."""


@dataclass(frozen=True)
class Branch:
    """``end = start + f(start)``: skipping it passes ``start`` on.

    ``axis`` is the depth of the run of equal branches to which it belongs, ``place`` its number in it from 1;
    ``nodes`` run for it alone, ``groups`` are the axes of channels that exist in it alone.
    """

    start: str
    end: str
    axis: str
    place: int
    nodes: frozenset[str]
    groups: tuple[int, ...]


@dataclass(frozen=True)
class _Found:
    start: str
    end: str
    nodes: frozenset[str]
    form: tuple[object, ...]
    module: str


def branches(groups: Groups) -> tuple[Branch, ...]:
    """All branches that can be skipped, in runs of equal ones, in the order of the network.

    A branch runs from a value to a sum with that value, and reads nothing else that depends on it. Branches that follow
    each other directly and have the same operators and sizes are a run: the last ones are skipped first.
    """
    by_name = {node.name: node for node in groups.graph.nodes}
    order = {node.name: place for place, node in enumerate(groups.graph.nodes)}
    readers: dict[str, list[str]] = {}
    for node in groups.graph.nodes:
        for name in set(node.refs()):
            readers.setdefault(name, []).append(node.name)
    outputs = set(groups.graph.output_names())
    found = []
    for node in groups.graph.nodes:
        if node.kind == "add" and (each := _branch(groups, node, by_name, order, readers, outputs)):
            found.append(each)
    return _runs(groups, found, by_name)


def _branch(
    groups: Groups,
    node: Node,
    by_name: dict[str, Node],
    order: dict[str, int],
    readers: dict[str, list[str]],
    outputs: set[str],
) -> _Found | None:
    """The branch that ends at a sum; None where there is none."""
    left, right = node.args.get("self"), node.args.get("other")
    if not isinstance(left, Ref) or not isinstance(right, Ref) or node.args.get("alpha", 1) != 1:
        return None
    values = groups.followed.values
    for start, last in ((left.name, right.name), (right.name, left.name)):
        one, two = values[start][0], values[last][0]
        if one.shape != two.shape or one.constant or two.constant or not _same_channels(groups, one, two):
            continue
        region = _region(start, last, by_name, order, values)
        if region is None:
            continue
        own = region | {node.name}
        if all(set(readers.get(name, ())) <= own for name in region) and not region & outputs:
            form = tuple(_form(by_name[name], values) for name in sorted(region, key=order.__getitem__))
            modules = [by_name[name].module for name in region if by_name[name].module]
            return _Found(start, node.name, frozenset(region), form, _common(modules))
    return None


def _same_channels(groups: Groups, one: Val, two: Val) -> bool:
    of = groups.classes.of
    for left, right in zip(one.labels, two.labels, strict=True):
        if (left is None) != (right is None):
            return False
        if left is not None and right is not None and not np.array_equal(of[left], of[right]):
            return False
    return True


def _region(
    start: str, last: str, by_name: dict[str, Node], order: dict[str, int], values: dict[str, tuple[Val, ...]]
) -> set[str] | None:
    """Operators between two values; None where the last does not depend on the first, or on anything behind it too."""
    if last not in by_name or order.get(last, -1) <= order.get(start, -1):
        return None
    begin = order.get(start, -1)
    region: set[str] = set()
    waiting, meets = [last], False
    while waiting:
        name = waiting.pop()
        if name == start:
            meets = True
        elif name in by_name and name not in region and order[name] >= begin:  # what is older may be read
            region.add(name)
            if len(region) > MOST_OPERATORS:
                return None
            waiting += by_name[name].refs()
    weighted = any(values[ref][0].constant for name in region for ref in by_name[name].refs() if values[ref])
    return region if meets and weighted else None


def _form(node: Node, values: dict[str, tuple[Val, ...]]) -> tuple[object, ...]:
    """What equal branches have in common."""
    shapes = tuple(values[name][0].shape if values[name] else () for name in node.refs())
    settings = tuple((name, _plain(value)) for name, value in sorted(node.args.items()))
    return node.op, shapes, settings


def _plain(value: Arg) -> object:
    if isinstance(value, Ref):
        return "value"
    return tuple(_plain(each) for each in value) if isinstance(value, list) else value


def _common(modules: list[str]) -> str:
    """The module that holds all of them."""
    if not modules:
        return ""
    parts = [module.split(".") for module in modules]
    shared = []
    for names in zip(*parts, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return ".".join(shared)


def _runs(groups: Groups, found: list[_Found], by_name: dict[str, Node]) -> tuple[Branch, ...]:
    owners = _owners(groups, found, by_name)
    runs: list[list[_Found]] = []
    for each in found:
        before = runs[-1][-1] if runs else None
        if before is not None and _follows(before, each, by_name) and before.form == each.form:
            runs[-1].append(each)
        else:
            runs.append([each])
    taken: dict[str, int] = {}
    made = []
    for run in runs:
        name = run[0].module or run[0].end
        taken[name] = taken.get(name, 0) + 1
        axis = f"{name}.depth" if taken[name] == 1 else f"{name}/{taken[name]}.depth"
        for place, each in enumerate(run, 1):
            made.append(Branch(each.start, each.end, axis, place, each.nodes, owners.get(each.end, ())))
    return tuple(made)


def _follows(before: _Found, after: _Found, by_name: dict[str, Node]) -> bool:
    """Whether one begins where the other ends, or behind an activation of that."""
    name = after.start
    for _ in range(2):
        if name == before.end:
            return True
        node = by_name.get(name)
        refs = list(node.refs()) if node is not None else []
        if len(refs) != 1:
            return False
        name = refs[0]
    return name == before.end


def _owners(groups: Groups, found: list[_Found], by_name: dict[str, Node]) -> dict[str, tuple[int, ...]]:
    """End of a branch to the groups whose weights are read in that branch alone."""
    place = {name: each.end for each in found for name in each.nodes}
    users: dict[str, set[str]] = {}
    for name, node in by_name.items():
        for ref in node.refs():
            users.setdefault(ref, set()).add(place.get(name, ""))
    of_class = np.full(groups.classes.n, -1, dtype=np.int64)
    for index, group in enumerate(groups.groups):
        of_class[group.units] = index
    where: dict[int, set[str]] = {}
    for weight in groups.graph.weights:
        for labels in groups.followed.values[weight.name][0].labels:
            if labels is not None:
                parts = groups.classes.parts_of(labels)
                for index in np.unique(of_class[parts[parts >= 0]]).tolist():
                    where.setdefault(index, set()).update(users.get(weight.name, set()))
    owned: dict[str, list[int]] = {}
    for index, ends in where.items():
        if index >= 0 and len(ends) == 1 and "" not in ends:
            owned.setdefault(next(iter(ends)), []).append(index)
    return {end: tuple(sorted(indices)) for end, indices in owned.items()}
