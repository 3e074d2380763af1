"""Normalisation, reduction and pooling. No torch."""

from __future__ import annotations

from supernets.traced.follow import Rule, Step, Unfollowed, Val

STATISTIC = "a statistic over channels changes with their number (a LayerNorm, or a mean over channels)"
POSITION = "it is a position, not a channel"


def _scaled(step: Step, result: Val, axis: int, names: tuple[str, ...], zero: bool) -> None:
    """Scale, shift and statistics of each channel."""
    labels = result.labels[axis]
    present = [value for value in (step.value(name) for name in names) if value is not None]
    for value in present:
        if labels is None:
            step.freeze_axes(value, "it belongs to channels that are not followed")
        else:
            labels = step.match(labels, value.labels[0])
    weight, bias = step.value("weight"), step.value("bias")
    if weight is not None:
        zero = weight.zero[0] and (bias is None or bias.zero[0])
    elif bias is not None:
        zero = zero and bias.zero[0]
    result.labels[axis], result.zero[axis] = labels, zero and labels is not None


def _batch_norm(step: Step) -> Val:
    source, result = step.tensor("input"), step.result()
    result.labels, result.zero = list(source.labels), [False] * source.ndim
    _scaled(step, result, 1, ("weight", "bias", "running_mean", "running_var"), False)
    return result


def _own_statistics(step: Step) -> list[Val]:
    """A BatchNorm with the statistics of its input, ``(1, c, n)`` where weights are standardised by it."""
    source, result = step.tensor("input"), step.result()
    result.labels, result.zero = list(source.labels), [False] * source.ndim
    if source.constant:
        result.padded = True
    else:
        step.freeze_axes(source, POSITION, range(2, source.ndim))
        result.labels[2:] = [None] * (source.ndim - 2)
    _scaled(step, result, 1, ("weight", "bias"), source.zero[1])
    return [result, *(step.result(index) for index in range(1, len(step.node.outputs)))]


def _weight_norm(step: Step) -> list[Val]:
    """``g * v / |v|``: entries of a row may go, whose length zeros do not change; a whole row may not."""
    source, scale = step.tensor("v"), step.tensor("g")
    axis = step.integer("dim", 0) % source.ndim
    step.freeze_axes(source, "weight norm divides by its length", [axis])
    step.freeze_axes(scale, "weight norm divides by its length")
    result = step.result()
    result.labels, result.zero = list(source.labels), list(source.zero)
    return [result, *(step.result(index) for index in range(1, len(step.node.outputs)))]


def _instance_norm(step: Step) -> Val:
    source, result = step.tensor("input"), step.result()
    step.freeze_axes(source, POSITION, range(2, source.ndim))
    result.labels[:2] = source.labels[:2]
    own = bool(step.raw("use_input_stats", True))
    _scaled(step, result, 1, ("weight", "bias", "running_mean", "running_var"), own and source.zero[1])
    return result


def _group_norm(step: Step) -> Val:
    """Whole groups go: the statistics of the others stay as they are."""
    source, result = step.tensor("input"), step.result()
    groups = step.integer("num_groups")
    step.freeze_axes(source, POSITION, range(2, source.ndim))
    labels = source.labels[1]
    if labels is not None and groups == 1:
        labels = step.statistic(labels, "a statistic over all channels (a GroupNorm of one group)")
    elif labels is not None:
        units = step.tie(labels.reshape(groups, -1))
        step.rewrite("num_groups", units)
    result.labels[1] = labels
    _scaled(step, result, 1, ("weight", "bias"), source.zero[1] and groups > 1)
    return result


def _layer_norm(step: Step) -> Val:
    source, result = step.tensor("input"), step.result()
    count = len(step.integers("normalized_shape"))
    first = source.ndim - count
    result.labels[:first] = source.labels[:first]
    weight, bias = step.value("weight"), step.value("bias")
    for axis in range(first, source.ndim):
        if count > 1:
            step.freeze_axes(source, STATISTIC, [axis])
        labels = step.statistic(source.labels[axis], STATISTIC)
        for value in (weight, bias):
            if value is not None:
                labels = step.match(labels, value.labels[axis - first], STATISTIC)
        result.labels[axis] = labels
        if labels is not None:
            step.rewrite("normalized_shape", labels, axis - first)
            result.zero[axis] = weight is not None and weight.zero[0] and (bias is None or bias.zero[0])
    if weight is None and bias is None:
        for axis in range(first):
            result.zero[axis] = source.zero[axis] and result.labels[axis] is not None
    return result


# --- reductions -----------------------------------------------------------------------------------------

LOSSLESS = {"sum", "linalg_vector_norm", "norm", "frobenius_norm", "nansum", "count_nonzero"}
"""Reductions that zeros do not change."""
ZERO_OF_ZEROS = LOSSLESS | {"mean", "amax", "amin", "max", "min", "var", "std", "cumsum", "prod", "median"}
KEEPS_SHAPE = {
    "softmax",
    "_softmax",
    "log_softmax",
    "_log_softmax",
    "cumsum",
    "cumprod",
    "softmin",
    "normalize",
}


def _reduced_axes(step: Step, source: Val) -> list[int]:
    given = step.integers("dim") if "dim" in step.node.args else []
    return sorted({axis % source.ndim for axis in given}) or list(range(source.ndim))


def _reduce(step: Step) -> Val:
    source = step.tensor("self") if step.value("self") is not None else step.tensor("input")
    kind, result = step.node.kind, step.result()
    axes = _reduced_axes(step, source)
    for axis in axes:
        _reduced(step, source, axis, result)
    keeps = kind in KEEPS_SHAPE or bool(step.raw("keepdim", False))
    target = 0
    for axis in range(source.ndim):
        if axis in axes and not keeps:
            continue
        if axis not in axes:
            zero = kind in ZERO_OF_ZEROS and source.zero[axis]
            result.labels[target], result.zero[target] = source.labels[axis], zero
        target += 1
    return result


def _reduced(step: Step, source: Val, axis: int, result: Val) -> None:
    """What becomes of the channels over which it reduces."""
    labels, kind = source.labels[axis], step.node.kind
    if labels is None or (kind in LOSSLESS and source.zero[axis]):
        return
    if source.constant and kind not in KEEPS_SHAPE:
        result.padded = True  # computed from complete weights, in which removed channels are zero
    elif kind == "mean" and source.zero[axis]:
        step.average(labels)
    elif kind in ("mean", "var", "std", "var_mean"):
        step.statistic(labels, STATISTIC)
    else:
        step.freeze(labels, f"{kind} runs over the channels")


def _reductions(step: Step) -> list[Val]:
    """A reduction with several results: ``max`` with its index, ``var_mean``."""
    first = _reduce(step)
    others = []
    for index in range(1, len(step.node.outputs)):
        other = step.result(index)
        other.labels, other.zero = list(first.labels), [False] * first.ndim
        if step.node.kind == "var_mean":
            other.zero = list(first.zero)
        other.padded = other.padded or first.padded
        others.append(other)
    return [first, *others]


# --- places ---------------------------------------------------------------------------------------------


def _pooled(step: Step) -> Val:
    """Pooling and resizing: batch and channels go on, positions stop."""
    source = step.tensor("self") if step.value("self") is not None else step.tensor("input")
    result = step.result()
    kind = step.node.kind
    spatial = next((int(digit) for digit in "123" if f"{digit}d" in kind), None)
    spatial = {"upsample_linear1d": 1}.get(kind, spatial)
    if spatial is None:
        raise Unfollowed("an unknown number of positions")
    first = source.ndim - spatial
    step.freeze_axes(source, POSITION, range(first, source.ndim))
    result.labels[:first], result.zero[:first] = source.labels[:first], source.zero[:first]
    return result


def _pooled_with_places(step: Step) -> tuple[Val, ...]:
    """Pooling that may return the places of its maxima too; they are of the same channels."""
    found = [_pooled(step)]
    for index in range(1, len(step.node.outputs)):
        places = step.result(index)
        places.labels[:] = found[0].labels
        found.append(places)
    return tuple(found)


def _lookup(step: Step) -> Val:
    """``grid_sampler``: channels pass through, for any grid."""
    source, result = step.tensor("input"), step.result()
    step.freeze_axes(source, POSITION, range(2, source.ndim))
    step.freeze_axes(step.value("grid"), "it is a place in an image")
    result.labels[:2], result.zero[:2] = source.labels[:2], source.zero[:2]
    return result


POOLS = [
    f"{name}{n}d"
    for n in (1, 2, 3)
    for name in (
        "avg_pool",
        "max_pool",
        "adaptive_avg_pool",
        "_adaptive_avg_pool",
        "lp_pool",
    )
]
PLACED = [
    f"{name}{n}d{more}"
    for n in (1, 2, 3)
    for name, more in (("adaptive_max_pool", ""), ("max_pool", "_with_indices"))
]
RESIZES = (
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact2d upsample_linear1d "
    "upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa "
    "reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d"
).split()

RULES: dict[str, Rule] = {
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    **dict.fromkeys(("_weight_norm", "_weight_norm_interface"), _weight_norm),
    "_native_batch_norm_legit": _own_statistics,
    "group_norm": _group_norm,
    **dict.fromkeys(("layer_norm",), _layer_norm),
    **dict.fromkeys(
        (
            *(
                "sum",
                "mean",
                "var",
                "std",
                "amax",
                "amin",
                "argmax",
                "argmin",
                "prod",
                "any",
                "all",
                "logsumexp",
            ),
            *(
                "linalg_vector_norm",
                "norm",
                "frobenius_norm",
                "softmax",
                "_softmax",
                "log_softmax",
                "_log_softmax",
            ),
            *("cumsum", "cumprod"),
        ),
        _reduce,
    ),
    **dict.fromkeys(("max", "min", "var_mean", "median"), _reductions),
    **dict.fromkeys((*POOLS, *RESIZES), _pooled),
    **dict.fromkeys(PLACED, _pooled_with_places),
    "grid_sampler": _lookup,
}
