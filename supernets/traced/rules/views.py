"""Views: the axes of a tensor split and merged. No torch.

Axes are matched in blocks of equal size. Where a channel axis splits into several (heads and the places within each,
groups of channels), a smaller tensor must be a block again. Either one of them carries the channels, and entries that
differ in the others only go together; or a channel stays where its entry of each of them stays. What is done is a
decision (:meth:`supernets.traced.follow.Step.choose`).
"""

from __future__ import annotations

import math

import numpy as np

from supernets.traced.follow import Step, Unfollowed, Val
from supernets.traced.graph import Shape, multiple, sized
from supernets.traced.slots import Labels

PROBE = 1_000_003
"""Stands for the batch when axes are matched: a prime no axis has as a factor."""
MOST_CROSSED = 1 << 16
"""The most channels that an axis merged of several followed ones may have."""


def view(step: Step) -> Val:
    """The rule of ``view``, ``reshape``, ``flatten`` and ``unflatten``."""
    source, result = step.tensor("self"), step.result()
    for reads, writes in blocks(source.shape, result.shape):
        _block(step, source, reads, result, writes)
    _rewrite_sizes(step, result)
    return result


def blocks(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """Runs of axes with equal products; axes of one entry belong to none."""
    left = [(axis, sized(size, PROBE)) for axis, size in enumerate(before) if size != 1]
    right = [(axis, sized(size, PROBE)) for axis, size in enumerate(after) if size != 1]
    if any(size == "?" for size in (*before, *after)):
        raise Unfollowed("an axis is no multiple of the batch")
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        reads, writes = [left[i][0]], [right[j][0]]
        one, two = left[i][1], right[j][1]
        i, j = i + 1, j + 1
        while one != two:
            if one < two and i < len(left):
                reads.append(left[i][0])
                one, i = one * left[i][1], i + 1
            elif two < one and j < len(right):
                writes.append(right[j][0])
                two, j = two * right[j][1], j + 1
            else:
                raise Unfollowed("its axes do not match")
        found.append((reads, writes))
    if i < len(left) or j < len(right):
        raise Unfollowed("its axes do not match")
    return found


def _block(step: Step, source: Val, reads: list[int], result: Val, writes: list[int]) -> None:
    if len(reads) == len(writes) == 1:
        result.labels[writes[0]], result.zero[writes[0]] = source.labels[reads[0]], source.zero[reads[0]]
        return
    followed = [axis for axis in reads if source.labels[axis] is not None]
    if not followed:
        return
    if step.places:
        _crossed(step, source, reads, result, writes)
        return
    carrier = max(followed, key=lambda axis: len(_labels(source, axis)))
    for axis in followed:
        if axis != carrier:
            step.freeze(source.labels[axis], "it merges with other channels")
    flat = _merged(source, reads, carrier)
    target = None if flat is None else _split(step, flat, result, writes)
    if target is None:
        step.freeze(source.labels[carrier], "it merges with the batch")
        return
    result.zero[target] = source.zero[carrier]


def _crossed(step: Step, source: Val, reads: list[int], result: Val, writes: list[int]) -> None:
    """Labels for all new axes of a block, so that a channel stays where it stays in each of them."""
    followed = [axis for axis in reads if source.labels[axis] is not None]
    flat = _product(step, source, reads, followed)
    sizes = _sizes(result.shape, writes)
    if flat is None or sizes is None or math.prod(sizes) != len(flat):
        step.freeze_axes(source, "it merges with the batch", followed)
        return
    targets = [index for index, size in enumerate(sizes) if size > 1]
    if not targets:
        step.freeze_axes(source, "a single channel of it is left", followed)
        return
    parts = [flat] if len(targets) == 1 else [step.slots.fresh(sizes[index]) for index in targets]
    if len(targets) > 1:
        step.slots.split(
            flat, [_along(part, sizes, index) for part, index in zip(parts, targets, strict=True)]
        )
    for part, index in zip(parts, targets, strict=True):
        result.labels[writes[index]] = part
        result.zero[writes[index]] = all(source.zero[axis] for axis in followed)


def _product(step: Step, source: Val, reads: list[int], followed: list[int]) -> Labels | None:
    """As :func:`_merged`, of all followed axes."""
    sizes = _sizes(source.shape, reads)
    if sizes is None:
        return None
    if len(followed) == 1:
        return _merged(source, reads, followed[0])
    shape = [size if axis in followed else 1 for axis, size in zip(reads, sizes, strict=True)]
    if math.prod(shape) > MOST_CROSSED:
        step.freeze_axes(source, "it merges with other channels", followed)
        return None
    entries = step.slots.fresh(math.prod(shape))
    parts = [_along(_labels(source, axis), shape, reads.index(axis)) for axis in followed]
    step.slots.merge(entries, parts)
    return np.broadcast_to(entries.reshape(shape), sizes).reshape(-1)


def _along(labels: Labels, sizes: list[int], axis: int) -> Labels:
    """The labels of one axis of a block, for each of its entries."""
    shape = [1] * len(sizes)
    shape[axis] = -1
    return np.broadcast_to(labels.reshape(shape), sizes).reshape(-1)


def _sizes(shape: Shape, axes: list[int]) -> list[int] | None:
    """Sizes of a block, of one period where it begins with the batch; None where the batch is inside."""
    if [axis for axis in axes if not isinstance(shape[axis], int)] not in ([], [axes[0]]):
        return None
    return [size if isinstance(size, int) else multiple(size) for size in (shape[axis] for axis in axes)]


def _labels(value: Val, axis: int) -> Labels:
    labels = value.labels[axis]
    assert labels is not None
    return labels


def _merged(source: Val, reads: list[int], carrier: int) -> Labels | None:
    """Labels of the block as one axis; of one period where it begins with the batch. None where the batch is inside."""
    sizes = _sizes(source.shape, reads)
    return None if sizes is None else _along(_labels(source, carrier), sizes, reads.index(carrier))


def _split(step: Step, flat: Labels, result: Val, writes: list[int]) -> int | None:
    """Distribute the labels of a block over its new axes; the axis that carries them, None where there is none."""
    sizes = _sizes(result.shape, writes)
    if sizes is None or math.prod(sizes) != len(flat):
        return None
    options = [index for index, size in enumerate(sizes) if size > 1]
    if not options:
        return None
    chosen = options[0]
    if len(options) > 1:
        key = f"view {' x '.join(map(str, sizes))}"
        chosen = options[step.choose(key, len(options))]
    cube = np.moveaxis(flat.reshape(sizes), chosen, 0).reshape(sizes[chosen], -1)
    target = writes[chosen]
    result.labels[target] = step.tie(cube) if len(options) > 1 else np.ascontiguousarray(cube[:, 0])
    return target


def _rewrite_sizes(step: Step, result: Val) -> None:
    """The sizes among the arguments follow the kept channels."""
    kind = step.node.kind
    if kind == "flatten":
        return
    name = "sizes" if kind == "unflatten" else "shape"
    sizes = step.raw(name)
    if not isinstance(sizes, list):
        raise Unfollowed("its sizes are not constant")
    offset = step.integer("dim") % (result.ndim - len(sizes) + 1) if kind == "unflatten" else 0
    inferred = any(size == -1 for size in sizes)
    for index, size in enumerate(sizes):
        axis = index + offset
        labels = result.labels[axis]
        if size == -1:
            continue
        if isinstance(result.shape[axis], int):
            if labels is not None:
                step.rewrite(name, labels, index)
        elif multiple(result.shape[axis]) != 1 or labels is not None:
            if inferred and labels is not None:
                step.freeze(labels, "it merges with the batch")
                result.labels[axis] = None
            elif not inferred:
                step.rewrite(name, None, index)
                inferred = True
