"""Operators that work entry by entry. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from supernets.traced.follow import Rule, Step, Val
from supernets.traced.graph import Size

ZERO_AT_ZERO = (
    "relu relu6 leaky_relu gelu silu mish tanh sin tan atan asinh sinh asin erf erfinv expm1 log1p sqrt abs neg "
    "sign sgn hardswish elu selu celu softshrink hardshrink tanhshrink softsign round floor ceil trunc frac square "
    "rrelu dropout alpha_dropout feature_dropout clone contiguous detach _to_copy to alias lift_fresh_copy zeros_like "
    "positive nan_to_num deg2rad rad2deg type_as conj resolve_conj resolve_neg"
).split()
"""Functions of one tensor (and numbers) with ``f(0) = 0``."""
NOT_ZERO_AT_ZERO = (
    "sigmoid hardsigmoid exp exp2 cos cosh acos softplus log_sigmoid logical_not bitwise_not isnan isinf isfinite "
    "ones_like full_like erfc logit sinc"
).split()
"""Functions of one tensor with another value at 0."""
INFINITE_AT_ZERO = "log log2 log10 rsqrt reciprocal digamma lgamma".split()
COMPARISONS = (
    "eq ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor __and__ __or__ "
    "__xor__ isclose"
).split()


def joined(step: Step, values: Sequence[Val], rule: str, shape: Sequence[Size] | None = None) -> Val:
    """Tensors broadcast against each other.

    ``rule`` defines when the result is zero: where ``any`` of them is, where ``all`` are, or ``never``.
    """
    result = step.result()
    if shape is not None:
        result.shape = tuple(shape)
    n = result.ndim
    for axis in range(n):
        found = [(v, axis - n + v.ndim) for v in values if axis - n + v.ndim >= 0]
        full = [(v, a) for v, a in found if v.shape[a] == result.shape[axis] and v.shape[a] != 1]
        labels = full[0][0].labels[full[0][1]] if full else None
        for value, own in full[1:]:
            labels = step.match(labels, value.labels[own])
        if len(full) > 1 and labels is None:
            for value, own in full:  # one that is not followed stops all others
                step.freeze(value.labels[own], "it meets an axis that is not followed")
        result.labels[axis] = labels
        zeros = [value.zero[own] for value, own in full]
        whole = len(full) == len(values)
        zero = any(zeros) if rule == "any" else rule == "all" and whole and all(zeros)
        result.zero[axis] = labels is not None and zero
    return result


def _unary(zero: bool) -> Rule:
    def rule(step: Step) -> Val:
        source = step.tensors()[0]
        return joined(step, [source], "all" if zero else "never")

    return rule


def _infinite(step: Step) -> Val:
    source = step.tensors()[0]
    for axis, labels in enumerate(source.labels):
        if source.zero[axis]:
            step.freeze(labels, "the operator is not finite at zero")
            source.labels[axis] = None
    return joined(step, [source], "never")


def _sum(step: Step) -> Val:
    values = step.tensors()
    numbers = [
        v for name, v in step.node.args.items() if name in ("self", "other") and isinstance(v, int | float)
    ]
    return joined(step, values, "never" if any(numbers) else "all")


def _product(step: Step) -> Val:
    return joined(step, step.tensors(), "any")


def _quotient(step: Step) -> Val:
    numerator, denominator = step.value("self"), step.value("other")
    if denominator is not None:
        for axis, labels in enumerate(denominator.labels):
            if denominator.zero[axis]:
                step.freeze(labels, "it divides by what may be zero")
                denominator.labels[axis] = None
                denominator.zero[axis] = False
    if numerator is None:
        return joined(step, step.tensors(), "never")
    values = step.tensors()
    result = joined(step, values, "any")  # zero where the numerator is: no denominator is zero any more
    return result


def _never(step: Step) -> Val:
    return joined(step, step.tensors(), "never")


def _all(step: Step) -> Val:
    return joined(step, step.tensors(), "all")


def _power(step: Step) -> Val:
    exponent = step.raw("exponent")
    base = step.value("self")
    if base is None or not isinstance(exponent, int | float):
        values = step.tensors()
        for value in values:
            step.freeze_axes(value, "a power of tensors is not followed")
        return step.result()
    return joined(step, [base], "all") if exponent > 0 else _infinite(step) if exponent < 0 else _never(step)


def _clamp(step: Step) -> Val:
    low, high = step.raw("min", step.raw("min_val")), step.raw("max", step.raw("max_val"))
    if step.node.kind == "hardtanh":
        low, high = step.number("min_val", -1.0), step.number("max_val", 1.0)
    values = step.tensors()
    within = all(
        each is None or isinstance(each, int | float) for each in (low, high)
    ) and -math.inf < _number(low, -1.0) <= 0 <= _number(high, 1.0)
    source = values[0]
    return joined(step, [source] if within else values, "all" if within else "never")


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default


def _where(step: Step) -> Val:
    result = joined(step, step.tensors(), "never")
    branches = [step.value("self"), step.value("other")]
    numbers = [step.raw(name) for name in ("self", "other") if step.value(name) is None]
    if any(number != 0 for number in numbers):
        return result
    for axis in range(result.ndim):
        zeros = []
        for value in branches:
            own = axis - result.ndim + value.ndim if value is not None else -1
            if value is not None:
                zeros.append(own >= 0 and value.shape[own] == result.shape[axis] and value.zero[own])
        result.zero[axis] = result.labels[axis] is not None and all(zeros)
    return result


def _masked_fill(step: Step) -> Val:
    source, mask = step.tensor("self"), step.tensor("mask")
    zero = step.raw("value") == 0
    result = joined(step, [source, mask], "never")
    if zero:
        for axis in range(result.ndim):
            own = axis - result.ndim + source.ndim
            result.zero[axis] = result.labels[axis] is not None and own >= 0 and source.zero[own]
    return result


def _threshold(step: Step) -> Val:
    zero = step.number("threshold") >= 0 and step.number("value") == 0
    return joined(step, [step.tensor("self")], "all" if zero else "never")


def _prelu(step: Step) -> Val:
    source, weight = step.tensor("self"), step.tensor("weight")
    result = joined(step, [source], "all")
    if source.ndim > 1 and weight.ndim == 1 and weight.shape[0] != 1:
        result.labels[1] = step.match(source.labels[1], weight.labels[0])
        result.zero[1] = result.zero[1] and result.labels[1] is not None
    return result


def _glu(step: Step) -> Val:
    source = step.tensor("self")
    axis = step.integer("dim", -1) % source.ndim
    result = step.result()
    result.labels, result.zero = list(source.labels), list(source.zero)
    labels = source.labels[axis]
    if labels is not None:
        half = len(labels) // 2
        result.labels[axis] = step.match(labels[:half], labels[half:])
    return result


def _made(step: Step) -> Val:
    """A constant tensor: each of its axes may shrink with what it meets."""
    result = step.result()
    fill = {"zeros": 0.0, "new_zeros": 0.0, "ones": 1.0, "new_ones": 1.0}.get(
        step.node.kind, step.number("fill_value", 1.0)
    )
    for axis, size in enumerate(result.shape):
        if isinstance(size, int) and size > 1:
            labels = step.slots.fresh(size)
            result.labels[axis], result.zero[axis] = labels, fill == 0
            step.rewrite("size", labels, axis)
    return result


def _values(step: Step) -> Val:
    """New values of which nothing is followed."""
    return step.result()


RULES: dict[str, Rule] = {
    **dict.fromkeys(ZERO_AT_ZERO, _unary(True)),
    **dict.fromkeys(NOT_ZERO_AT_ZERO, _unary(False)),
    **dict.fromkeys(INFINITE_AT_ZERO, _infinite),
    **dict.fromkeys(COMPARISONS, _never),
    **dict.fromkeys(("add", "sub", "rsub"), _sum),
    **dict.fromkeys(("mul",), _product),
    **dict.fromkeys(("div", "true_divide", "floor_divide"), _quotient),
    **dict.fromkeys(("maximum", "minimum", "hypot"), _all),
    **dict.fromkeys(("atan2", "remainder", "fmod", "lerp", "addcmul", "addcdiv"), _never),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max", "hardtanh", "clip"), _clamp),
    **dict.fromkeys(("full", "zeros", "ones", "new_zeros", "new_ones", "new_full"), _made),
    **dict.fromkeys(("arange", "scalar_tensor", "eye", "linspace"), _values),
    "pow": _power,
    "where": _where,
    "masked_fill": _masked_fill,
    "threshold": _threshold,
    "prelu": _prelu,
    "glu": _glu,
}
