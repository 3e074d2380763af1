"""Operators that sum products over an axis: linear layers, convolutions, matrix products, attention. No torch."""

from __future__ import annotations

import math

import numpy as np

from supernets.traced.follow import WHOLE, Rule, Step, Unfollowed, Val
from supernets.traced.graph import Size
from supernets.traced.slots import Labels

POSITION = "it is a position, not a channel"
NOT_ZERO = "it sums over channels that need not be zero"


def contracted(step: Step, left: Val, axis: int, right: Val, other: int) -> None:
    """A sum over ``left``'s axis and ``right``'s: their entries meet pairwise."""
    one, two = left.labels[axis], right.labels[other]
    if not (left.constant or right.constant):
        if not step.places:
            step.freeze(one, WHOLE)
            step.freeze(two, WHOLE)
            return
        step.slots.read(one)
    labels = step.match(one, two, "it is summed with an axis that is not followed")
    if labels is not None and not (left.zero[axis] or right.zero[other]):
        step.freeze(labels, NOT_ZERO)


def _with_bias(step: Step, result: Val, axis: int, bias: Val | None, zero: bool) -> None:
    if bias is not None:
        if bias.ndim != 1:
            raise Unfollowed("its bias has several axes")
        result.labels[axis] = step.match(result.labels[axis], bias.labels[0])
        zero = zero and bias.zero[0]
    result.zero[axis] = zero and result.labels[axis] is not None


def _linear(step: Step) -> Val:
    source, weight = step.tensor("input"), step.tensor("weight")
    result = step.result()
    if weight.ndim != 2:
        raise Unfollowed("its weight is no matrix")
    step.produces("weight", 0)
    contracted(step, source, source.ndim - 1, weight, 1)
    for axis in range(source.ndim - 1):
        result.labels[axis] = source.labels[axis]
        result.zero[axis] = False
        if step.value("bias") is None:
            result.zero[axis] = source.zero[axis] and result.labels[axis] is not None
    result.labels[-1] = weight.labels[0]
    _with_bias(step, result, result.ndim - 1, step.value("bias"), weight.zero[0])
    return result


def _matmul(step: Step) -> Val:
    names = [name for name in ("self", "other", "mat2", "batch1", "batch2") if step.value(name) is not None]
    left, right = (step.tensor(name) for name in names[-2:])
    step.produces(names[-1], right.ndim - 1)
    return _product(step, left, right)


def _product(step: Step, left: Val, right: Val) -> Val:
    result = step.result()
    if left.ndim < 2 or right.ndim < 2:
        raise Unfollowed("a product with a vector")
    contracted(step, left, left.ndim - 1, right, right.ndim - 2)
    n = result.ndim
    result.labels[n - 2], result.zero[n - 2] = left.labels[-2], left.zero[-2]
    result.labels[n - 1], result.zero[n - 1] = right.labels[-1], right.zero[-1]
    for axis in range(n - 2):
        _batch_axis(step, result, axis, left, right)
    return result


def _batch_axis(step: Step, result: Val, axis: int, left: Val, right: Val) -> None:
    parts: list[tuple[Labels | None, bool]] = []
    for value in (left, right):
        own = axis - result.ndim + value.ndim
        if own >= 0 and value.shape[own] != 1:
            parts.append((value.labels[own], value.zero[own]))
    if not parts:
        return
    labels = parts[0][0]
    if len(parts) > 1:
        labels = step.match(parts[0][0], parts[1][0])
    result.labels[axis] = labels
    result.zero[axis] = labels is not None and any(zero for _, zero in parts)


def _with_vector(step: Step) -> Val:
    """A matrix or a vector times a vector, as spectral norm has it."""
    names = [name for name in ("self", "vec", "tensor", "other") if step.value(name) is not None]
    left, right = (step.tensor(name) for name in names)
    contracted(step, left, left.ndim - 1, right, 0)
    result = step.result()
    if left.ndim > 1:
        result.labels[0] = left.labels[0]
        result.zero[0] = left.zero[0] and left.labels[0] is not None
    return result


def _bilinear(step: Step) -> Val:
    """Each output sums products of two inputs: ``(..., i), (..., j), (o, i, j)`` to ``(..., o)``."""
    weight, result = step.tensor("weight"), step.result()
    sources = [step.tensor("input1"), step.tensor("input2")]
    step.produces("weight", 0)
    for axis, source in enumerate(sources, start=1):
        contracted(step, source, source.ndim - 1, weight, axis)
    for axis in range(result.ndim - 1):
        result.labels[axis] = step.match(sources[0].labels[axis], sources[1].labels[axis])
    result.labels[-1] = weight.labels[0]
    _with_bias(step, result, result.ndim - 1, step.value("bias"), weight.zero[0])
    return result


def _addmm(step: Step) -> Val:
    bias = step.tensor("self")
    left = step.value("mat1") or step.value("batch1")
    right = step.value("mat2") or step.value("batch2")
    if left is None or right is None or step.raw("beta", 1) != 1:
        raise Unfollowed("a scaled sum of products")
    step.produces("mat2" if step.value("mat2") is not None else "batch2", right.ndim - 1)
    result = _product(step, left, right)
    for axis in range(result.ndim):
        own = axis - result.ndim + bias.ndim
        if own >= 0 and bias.shape[own] != 1:
            result.labels[axis] = step.match(result.labels[axis], bias.labels[own])
            result.zero[axis] = result.zero[axis] and bias.zero[own] and result.labels[axis] is not None
        else:
            result.zero[axis] = False
    return result


# --- convolutions ---------------------------------------------------------------------------------------


def _convolution(step: Step) -> Val:
    """``(n, c, ...)`` by ``(out, c / groups, ...)``; transposed by ``(c, out / groups, ...)``."""
    source, weight = step.tensor("input"), step.tensor("weight")
    transposed = step.node.kind.startswith("conv_transpose")
    groups = step.integer("groups", 1)
    result = step.result()
    spatial = weight.ndim - 2
    axis = source.ndim - spatial - 1
    step.freeze_axes(source, POSITION, range(axis + 1, source.ndim))
    step.freeze_axes(weight, "it is the kernel's size", range(2, weight.ndim))
    for before in range(axis):
        result.labels[before] = source.labels[before]
    enters, leaves = (0, 1) if transposed else (1, 0)
    step.produces("weight", leaves if groups == 1 else 0)
    if groups == 1:
        contracted(step, source, axis, weight, enters)
        result.labels[axis] = weight.labels[leaves]
    else:
        result.labels[axis] = _grouped(step, source, axis, weight, groups, transposed)
    _with_bias(step, result, axis, step.value("bias"), weight.zero[leaves] or groups > 1)
    return result


def _grouped(step: Step, source: Val, axis: int, weight: Val, groups: int, transposed: bool) -> Labels | None:
    """Labels of the output of a grouped convolution: whole groups go, or equal places of all groups."""
    entering = source.labels[axis]
    channels = _static(source.shape[axis])
    if not weight.constant or not weight.zero[0]:
        raise Unfollowed("a grouped convolution with computed weights")
    across = weight.labels[0]
    inner = weight.labels[1]
    per_in, size = channels // groups, _static(weight.shape[0])
    if entering is None:
        step.freeze(across, "it belongs to groups of an input that is not followed")
        step.freeze(inner, "it belongs to groups of an input that is not followed")
        return None
    per_first = size // groups
    if transposed:
        across = step.match(across, entering)
        per_out = _static(weight.shape[1])
    else:
        per_out = per_first
    if across is None:
        raise Unfollowed("its weights are not followed")
    by_place = _by_place(step, groups, per_in, per_out)
    if by_place:
        if not (source.zero[axis] or transposed or weight.zero[1]):
            step.freeze(entering, NOT_ZERO)
        return _places(step, entering, across, inner, groups, transposed, per_out)
    step.freeze(inner, "it lies within a group")
    units = step.tie(entering.reshape(groups, per_in))
    step.slots.unite(units, step.tie(across.reshape(groups, per_first)))
    step.rewrite("groups", units)
    return np.repeat(units, per_out)


def _by_place(step: Step, groups: int, per_in: int, per_out: int) -> bool:
    """Whether equal places of all groups go together: only where a group has several channels."""
    if per_in == 1 or per_out == 1:
        return False
    first = int(min(per_in, per_out) > groups)
    return step.choose(f"groups {groups} of {per_in} to {per_out}", 2) != first


def _places(
    step: Step,
    entering: Labels,
    across: Labels,
    inner: Labels | None,
    groups: int,
    transposed: bool,
    per_out: int,
) -> Labels:
    places = step.tie(np.ascontiguousarray(entering.reshape(groups, -1).T))
    own = step.tie(np.ascontiguousarray(across.reshape(groups, -1).T))
    if transposed:
        left = inner if inner is not None else step.slots.fresh(per_out)
        return np.tile(left, groups)
    step.match(inner, places)
    return np.tile(own, groups)


def _static(size: Size) -> int:
    if not isinstance(size, int):
        raise Unfollowed("the number of channels depends on the batch")
    return size


# --- attention ------------------------------------------------------------------------------------------


def _attention(step: Step) -> Val:
    """Scaled dot-product attention: heads go whole, together with the rows that make and read them.

    The same places of queries and keys go in all heads, and the same places of values; the scores keep their scale.
    """
    query, key, value = (step.tensor(name) for name in ("query", "key", "value"))
    result = step.result()
    if step.places:
        _scores(step, query, key)
    else:
        for each in (query, key):
            step.freeze_axes(each, WHOLE, [each.ndim - 1])
    for each in (query, key, value):
        step.freeze_axes(each, POSITION, [each.ndim - 2])
    for axis in range(result.ndim - 2):
        labels = query.labels[axis]
        for other in (key, value):
            labels = _shared_heads(step, query, labels, other, axis)
        result.labels[axis] = labels
        result.zero[axis] = labels is not None and value.zero[axis]
    result.labels[-1], result.zero[-1] = value.labels[-1], value.zero[-1]
    mask = step.value("attn_mask")
    if mask is not None:
        _masked(step, mask, result)
    return result


def _scores(step: Step, query: Val, key: Val) -> None:
    """Products of queries and keys, whose scale stays."""
    contracted(step, query, query.ndim - 1, key, key.ndim - 1)
    width = query.shape[-1]
    if step.raw("scale") is None and isinstance(width, int):
        step.state("scale", 1 / math.sqrt(width))


def _shared_heads(step: Step, query: Val, labels: Labels | None, other: Val, axis: int) -> Labels | None:
    """Heads of queries and of keys or values; several heads of queries may read one of keys."""
    own = other.labels[axis]
    if labels is not None and own is not None and len(labels) > len(own):
        own = np.repeat(own, len(labels) // len(own))
    if other.shape[axis] != 1 or query.shape[axis] == 1:
        return step.match(labels, own)
    if labels is not None:
        raise Unfollowed("one key for all heads")
    return labels


def _masked(step: Step, mask: Val, result: Val) -> None:
    """A mask is added to the scores: it must have the heads of the result, or one for all."""
    for axis in range(mask.ndim):
        own = axis - mask.ndim + result.ndim
        if mask.shape[axis] == 1:
            continue
        if own < result.ndim - 2:
            result.labels[own] = step.match(result.labels[own], mask.labels[axis])
            result.zero[own] = result.zero[own] and result.labels[own] is not None
        else:
            step.freeze_axes(mask, POSITION, [axis])


def _einsum(step: Step) -> Val:
    equation = step.raw("equation")
    values = step.listed("tensors")
    if not isinstance(equation, str) or "." in equation or "->" not in equation:
        raise Unfollowed("an equation without explicit axes")
    reads, writes = equation.replace(" ", "").split("->")
    terms = reads.split(",")
    result = step.result()
    operands = [value for value in values if value is not None]
    if len(terms) != len(operands) or any(len(set(t)) != len(t) for t in [*terms, writes]):
        raise Unfollowed("an equation with repeated axes")
    for letter in dict.fromkeys("".join(terms)):
        holds = [(v, t.index(letter)) for v, t in zip(operands, terms, strict=True) if letter in t]
        _letter(step, holds, writes.find(letter), result)
    return result


def _letter(step: Step, holds: list[tuple[Val, int]], target: int, result: Val) -> None:
    """What becomes of one axis of an equation: ``target`` is its place in the result, -1 where it is summed."""
    full = [(value, axis) for value, axis in holds if value.shape[axis] != 1]
    if not full:
        return
    if target < 0 and len(full) > 1 and not any(value.constant for value, _ in full):
        for value, axis in full:
            if step.places:
                step.slots.read(value.labels[axis])
            else:
                step.freeze(value.labels[axis], WHOLE)
        if not step.places:
            return
    labels = full[0][0].labels[full[0][1]]
    for value, axis in full[1:]:
        labels = step.match(labels, value.labels[axis])
    if labels is None:
        step.freeze_all([value.labels[axis] for value, axis in full])
    zero = labels is not None and any(value.zero[axis] for value, axis in full)
    if target >= 0:
        result.labels[target], result.zero[target] = labels, zero
    elif labels is not None and not zero:
        step.freeze(labels, NOT_ZERO)


RULES: dict[str, Rule] = {
    "linear": _linear,
    **dict.fromkeys(("matmul", "mm", "bmm"), _matmul),
    **dict.fromkeys(("addmm", "baddbmm"), _addmm),
    **dict.fromkeys(("mv", "dot", "vdot"), _with_vector),
    "bilinear": _bilinear,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _convolution),
    "scaled_dot_product_attention": _attention,
    "einsum": _einsum,
}
