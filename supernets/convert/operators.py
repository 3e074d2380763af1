"""Operators of an exported program: their names, and whether the program can be read without tracing it again.

``torch.export`` gives operators that change tensors in place. ``run_decompositions`` removes them, and costs more than
the export. It is not needed where every operator is supported and each change in place is of a tensor that nothing
else shares memory with: the operator is then read as the one that returns a new tensor.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from supernets.traced.operators import known

DROPPED = (
    "_assert_tensor_metadata",
    "_assert_scalar",
    "_assert_async",
    "sym_constrain_range_for_size",
    "sym_constrain_range",
)
BUILTINS = {
    operator.add: "add", operator.sub: "sub", operator.mul: "mul", operator.floordiv: "floordiv", operator.neg: "neg",
    operator.mod: "mod", operator.eq: "eq", operator.ne: "ne", operator.lt: "lt", operator.le: "le",
    operator.gt: "gt", operator.ge: "ge", operator.truediv: "truediv", operator.pow: "pow", torch.sym_min: "min",
    torch.sym_max: "max", torch.sym_int: "int", torch.sym_float: "sym_float", torch.sym_not: "not",
}  # fmt: skip
RENAMED = {
    "aten._native_batch_norm_legit_no_training.default": "aten.batch_norm.default",
    "aten.split.Tensor": "aten.split_with_sizes.default",
    "aten.split.sizes": "aten.split_with_sizes.default",
    "aten.chunk.default": "aten.split_with_sizes.default",
    "aten.view.default": "aten.reshape.default",
    "aten._unsafe_view.default": "aten.reshape.default",
}
SHAPED_LIKE = ("aten.reshape_as.default", "aten.view_as.default")
PLACES = ("device", "layout", "pin_memory", "memory_format", "non_blocking")
"""Arguments about where a tensor lies, which are not read."""

UNCHANGED = ("detach", "dropout", "alpha_dropout", "feature_dropout")
"""Operators that change nothing, in evaluation mode."""
IN_PLACE = tuple(
    "add sub mul div relu relu6 hardtanh silu hardswish hardsigmoid sigmoid tanh leaky_relu elu celu selu mish "
    "clamp gelu".split()
)
"""Operators whose form in place computes the same."""
NEW = (
    *IN_PLACE,
    *"conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d".split(),
    *"linear matmul mm bmm addmm baddbmm".split(),
    *"batch_norm layer_norm group_norm instance_norm cat softmax mean sum softplus exp square sqrt".split(),
    *"max_pool2d avg_pool2d max_pool1d avg_pool1d embedding".split(),
)
"""Operators whose result shares no memory with anything; of others that is not assumed."""


def dropped(node: fx.Node) -> bool:
    """Whether the operator only checks something."""
    return op_name(node.target).split(".")[1] in DROPPED


def op_name(target: object) -> str:
    """``aten.add.Tensor``, ``builtin.mul``; a name of no known namespace for anything else."""
    if target is operator.getitem:
        return "builtin.getitem"
    if target in BUILTINS:
        return f"builtin.{BUILTINS[target]}"
    if isinstance(target, torch._ops.OpOverload):
        name = str(target)
        return RENAMED.get(name, name)
    return f"foreign.{getattr(target, '__name__', target)}"


def out_of_place(name: str) -> str | None:
    """The operator that returns a new tensor in place of ``aten.relu_.default``; None for any other operator."""
    space, kind, *overload = name.split(".")
    if kind.endswith("_") and not kind.endswith("__") and kind[:-1] in (*IN_PLACE, *UNCHANGED):
        return ".".join([space, kind[:-1], *overload])
    return None


def argument_names(name: str) -> list[str]:
    """Of an operator ``aten.add.Tensor``; none where torch does not have it."""
    _, kind, overload = name.split(".")
    found = getattr(getattr(torch.ops.aten, kind, None), overload, None)
    return [argument.name for argument in found._schema.arguments] if found is not None else []


def readable(program: ExportedProgram) -> bool:
    """Whether every operator of the program can be read as it is; see the module docstring."""
    if any(spec.kind != OutputKind.USER_OUTPUT for spec in program.graph_signature.output_specs):
        return False
    alone: set[fx.Node] = set()
    for node in program.graph.nodes:
        if node.op == "call_function" and not dropped(node) and not _readable(node, alone):
            return False
    return True


def _readable(node: fx.Node, alone: set[fx.Node]) -> bool:
    """Whether one can; ``alone`` are the results so far that share no memory with others."""
    name = op_name(node.target)
    if not isinstance(node.target, torch._ops.OpOverload):
        return known(name)
    pure = out_of_place(name)
    plain = pure or name
    kind = plain.split(".")[1]
    changes = pure is not None and kind not in UNCHANGED
    if changes and not _changes_alone(node, alone):
        return False
    if pure is None and node.target._schema.is_mutable:
        return False
    if pure is not None and (len(argument_names(pure)) != len(argument_names(name)) or node.kwargs):
        return False
    if not (known(plain) or name in SHAPED_LIKE) or not _arguments_known(node) or _trains(node, kind):
        return False
    if kind in NEW:
        alone.add(node)
        if changes:
            alone.discard(node.args[0])
    else:
        alone.difference_update(node.all_input_nodes)
    return name not in SHAPED_LIKE or _one_batch(node)


def _changes_alone(node: fx.Node, alone: set[fx.Node]) -> bool:
    """Whether only the first argument changes, nothing shares its memory, and its type stays."""
    changed = node.args[0]
    if not isinstance(changed, fx.Node) or changed not in alone:
        return False
    types = {value.dtype for value in _values(node) if isinstance(value, Tensor)}
    return len(types) == 1


def _values(node: fx.Node) -> Iterator[object]:
    for each in node.all_input_nodes:
        yield each.meta.get("val")


def _arguments_known(node: fx.Node) -> bool:
    """Whether the arguments that are not read have defaults."""
    assert isinstance(node.target, torch._ops.OpOverload)
    return all(
        argument.name not in PLACES or argument.has_default_value()
        for argument in node.target._schema.arguments
    )


def _trains(node: fx.Node, kind: str) -> bool:
    """Whether a norm updates its statistics, which no schema says."""
    assert isinstance(node.target, torch._ops.OpOverload)
    names = [argument.name for argument in node.target._schema.arguments]
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    if kind == "batch_norm":
        return bool(given.get("training"))
    return (
        kind == "instance_norm"
        and bool(given.get("use_input_stats"))
        and given.get("running_mean") is not None
    )


def _one_batch(node: fx.Node) -> bool:
    """Whether at most one size of the result depends on the batch."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and sum(not isinstance(size, int) for size in value.shape) <= 1
