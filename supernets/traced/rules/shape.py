"""Operators that move entries: views, transpositions, concatenation, splitting, padding, indexing. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from supernets.traced.follow import Rule, Step, Unfollowed, Val
from supernets.traced.graph import sized
from supernets.traced.rules import lookups
from supernets.traced.rules.views import view
from supernets.traced.slots import Labels


def _moved(step: Step, order: Sequence[int]) -> Val:
    source, result = step.tensor("self"), step.result()
    result.labels = [source.labels[axis] for axis in order]
    result.zero = [source.zero[axis] for axis in order]
    return result


def _permute(step: Step) -> Val:
    n = step.tensor("self").ndim
    return _moved(step, [axis % n for axis in step.integers("dims")])


def _transpose(step: Step) -> Val:
    n = step.tensor("self").ndim
    first, second = step.integer("dim0") % n, step.integer("dim1") % n
    order = list(range(n))
    order[first], order[second] = second, first
    return _moved(step, order)


def _t(step: Step) -> Val:
    return _moved(step, list(range(step.tensor("self").ndim))[::-1])


def _movedim(step: Step) -> Val:
    n = step.tensor("self").ndim
    sources = [axis % n for axis in step.integers("source")]
    targets = [axis % n for axis in step.integers("destination")]
    order = [-1] * n
    for one, two in zip(sources, targets, strict=True):
        order[two] = one
    rest = iter(axis for axis in range(n) if axis not in sources)
    return _moved(step, [axis if axis >= 0 else next(rest) for axis in order])


def _unsqueeze(step: Step) -> Val:
    source, result = step.tensor("self"), step.result()
    axis = step.integer("dim") % (source.ndim + 1)
    result.labels = [*source.labels[:axis], None, *source.labels[axis:]]
    result.zero = [*source.zero[:axis], False, *source.zero[axis:]]
    return result


def _squeeze(step: Step) -> Val:
    source, result = step.tensor("self"), step.result()
    given = step.integers("dim") if "dim" in step.node.args else list(range(source.ndim))
    chosen = {axis % source.ndim for axis in given}
    kept = [axis for axis in range(source.ndim) if axis not in chosen or source.shape[axis] != 1]
    result.labels = [source.labels[axis] for axis in kept]
    result.zero = [source.zero[axis] for axis in kept]
    return result


def _expand(step: Step) -> Val:
    """Axes of one entry get as many equal ones: each of these may go, as in a mask that all heads share."""
    source, result = step.tensor("self"), step.result()
    name = "size" if "size" in step.node.args else "sizes"
    sizes = step.raw(name)
    for axis, size in enumerate(result.shape):
        own = axis - result.ndim + source.ndim
        if own < 0 or source.shape[own] != size:
            if isinstance(size, int) and size > 1:
                result.labels[axis] = labels = step.slots.fresh(size)
                step.rewrite(name, labels, axis)
            continue
        result.labels[axis], result.zero[axis] = source.labels[own], source.zero[own]
        if source.labels[own] is not None and isinstance(sizes, list) and sizes[axis] != -1:
            if isinstance(result.shape[axis], int):
                step.rewrite(name, source.labels[own], axis)
            else:
                step.rewrite(name, None, axis)  # -1: as it is
    return result


def _repeat(step: Step) -> Val:
    source, result = step.tensor("self"), step.result()
    times = step.raw("repeats")
    if not isinstance(times, list):
        raise Unfollowed("its repeats are not constant")
    for axis, count in enumerate(times):
        own = axis - len(times) + source.ndim
        labels = source.labels[own] if own >= 0 else None
        if labels is None:
            continue
        if isinstance(count, int):
            result.labels[axis], result.zero[axis] = np.tile(labels, count), source.zero[own]
        else:
            step.freeze(labels, "the number of repeats depends on the data")
    return result


def _repeat_interleave(step: Step) -> Val:
    source, result = step.tensor("self"), step.result()
    axis, count = step.integer("dim") % source.ndim, step.integer("repeats")
    result.labels, result.zero = list(source.labels), list(source.zero)
    labels = source.labels[axis]
    if labels is not None:
        result.labels[axis] = np.repeat(labels, count)
    return result


# --- joining and cutting --------------------------------------------------------------------------------


def _cat(step: Step) -> Val:
    values = [value for value in step.listed("tensors") if value is not None]
    result = step.result()
    axis = step.integer("dim", 0) % result.ndim
    if any(value.ndim != result.ndim for value in values):
        raise Unfollowed("tensors with different axes")
    for each in range(result.ndim):
        if each == axis:
            continue
        labels = values[0].labels[each]
        for value in values[1:]:
            labels = step.match(labels, value.labels[each])
        if labels is None:
            step.freeze_all([value.labels[each] for value in values])
        result.labels[each] = labels
        result.zero[each] = labels is not None and all(value.zero[each] for value in values)
    if any(value.labels[axis] is not None for value in values) and isinstance(result.shape[axis], int):
        result.labels[axis] = np.concatenate([_whole(step, value, axis) for value in values])
        result.zero[axis] = all(v.zero[axis] for v in values if v.labels[axis] is not None)
    else:
        step.freeze_all([value.labels[axis] for value in values])
    return result


def _whole(step: Step, value: Val, axis: int) -> Labels:
    """The labels of an axis; frozen ones where it is not followed."""
    labels = value.labels[axis]
    if labels is None:
        labels = step.slots.fresh(sized(value.shape[axis]))
        step.freeze(labels, "it is not followed")
    return labels


def _stack(step: Step) -> Val:
    values = [value for value in step.listed("tensors") if value is not None]
    result = step.result()
    new = step.integer("dim", 0) % result.ndim
    for axis in range(values[0].ndim):
        labels = values[0].labels[axis]
        for value in values[1:]:
            labels = step.match(labels, value.labels[axis])
        if labels is None:
            step.freeze_all([value.labels[axis] for value in values])
        target = axis + (axis >= new)
        result.labels[target] = labels
        result.zero[target] = labels is not None and all(value.zero[axis] for value in values)
    return result


def _parts(step: Step, axis: int, lengths: Sequence[int], argument: str | None) -> list[Val]:
    source = step.tensor("self")
    labels, start, found = source.labels[axis], 0, []
    for index, length in enumerate(lengths):
        part = step.result(index)
        part.labels, part.zero = list(source.labels), list(source.zero)
        if labels is not None:
            own = labels[start : start + length]
            part.labels[axis] = _several(step, own)
            if argument is not None:
                step.rewrite(argument, own, index)
        start += length
        found.append(part)
    return found


def _several(step: Step, labels: Labels) -> Labels | None:
    """Labels of a part; a single channel cannot go, so it is not followed."""
    if len(labels) > 1:
        return labels
    step.freeze(labels, "a single channel of it is read")
    return None


def _lengths(step: Step, axis: int) -> list[int]:
    found = []
    for output in step.node.outputs:
        size = output.shape[axis]
        if not isinstance(size, int):
            raise Unfollowed("its parts depend on the batch")
        found.append(size)
    return found


def _split(step: Step) -> Sequence[Val]:
    axis = step.integer("dim", 0) % step.tensor("self").ndim
    return _parts(step, axis, _lengths(step, axis), "split_sizes")


def _unbind(step: Step) -> Sequence[Val]:
    source = step.tensor("self")
    axis = step.integer("dim", 0) % source.ndim
    step.freeze_axes(source, "its channels are taken one by one", [axis])
    found = []
    for index in range(len(step.node.outputs)):
        part = step.result(index)
        part.labels = source.labels[:axis] + source.labels[axis + 1 :]
        part.zero = source.zero[:axis] + source.zero[axis + 1 :]
        found.append(part)
    return found


def _select(step: Step) -> Val:
    source, result = step.tensor("self"), step.result()
    axis = step.integer("dim") % source.ndim
    step.freeze_axes(source, "a single channel of it is read", [axis])
    result.labels = source.labels[:axis] + source.labels[axis + 1 :]
    result.zero = source.zero[:axis] + source.zero[axis + 1 :]
    return result


def _slice(step: Step) -> Val:
    source, result = step.tensor("self"), step.result()
    axis = step.integer("dim", 0) % source.ndim
    result.labels, result.zero = list(source.labels), list(source.zero)
    labels = source.labels[axis]
    if labels is None:
        return result
    start, end = step.raw("start"), step.raw("end")
    n = len(labels)
    first = 0 if start is None else start
    last = n if end is None else end
    if not isinstance(first, int) or not isinstance(last, int) or step.integer("step", 1) != 1:
        step.freeze(labels, "every other channel of it is read")
        result.labels[axis] = None
        return result
    first = max(0, first + n if first < 0 else min(first, n))
    last = max(first, last + n if last < 0 else min(last, n))
    part = labels[first:last]
    if (first, last) != (0, n):
        step.rewrite("start", labels[:first])
        step.rewrite("end", labels[:last])
    result.labels[axis] = _several(step, part)
    return result


def _pad(step: Step) -> Val:
    source, result = step.tensor("self"), step.result()
    amounts = step.integers("pad")
    mode, value = step.raw("mode", "constant"), step.raw("value")
    zeros = value is None or value == 0
    result.labels, result.zero = list(source.labels), list(source.zero)
    if mode != "constant" or not zeros:
        result.zero = [zero and mode != "constant" for zero in result.zero]
    for index in range(0, len(amounts), 2):
        axis = source.ndim - 1 - index // 2
        before, after = amounts[index], amounts[index + 1]
        labels = source.labels[axis]
        if labels is None or (before, after) == (0, 0):
            continue
        if before < 0 or after < 0 or mode != "constant":
            step.freeze(labels, "channels are padded with others")
            result.labels[axis] = None
            continue
        left, right = step.slots.fresh(before), step.slots.fresh(after)
        result.labels[axis] = np.concatenate([left, labels, right])
        step.rewrite("pad", left, index)
        step.rewrite("pad", right, index + 1)
    return result


def _item(step: Step) -> Val:
    """One of several results."""
    return step.item()


def _sizes(step: Step) -> Val:
    """A size, which is no tensor; rewritten sizes are counted from channels, so that one axis must stay."""
    source = step.value("self")
    if source is not None and "dim" in step.node.args:
        step.freeze_axes(source, "the network computes with its size", [step.integer("dim") % source.ndim])
    return step.result()


RULES: dict[str, Rule] = {
    **dict.fromkeys(("reshape", "flatten", "unflatten"), view),
    "permute": _permute,
    **dict.fromkeys(("transpose", "swapaxes"), _transpose),
    **dict.fromkeys(("t", "numpy_T", "adjoint"), _t),
    "movedim": _movedim,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "expand": _expand,
    "repeat": _repeat,
    "repeat_interleave": _repeat_interleave,
    **dict.fromkeys(("cat", "concat"), _cat),
    "stack": _stack,
    "split_with_sizes": _split,
    "unbind": _unbind,
    "select": _select,
    "slice": _slice,
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    **lookups.RULES,
    "getitem": _item,
    "sym_size": _sizes,
}
