"""Graphs run: operator by operator, and as a plain module."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from supernets.elastic.holder import Holder
from supernets.errors import SpaceError
from supernets.traced.graph import Arg, DType, Graph, Node, Ref, Result
from supernets.traced.operators import known

Values = dict[str, Any]
Replaced = Callable[[Node, Values], object]
"""Runs an operator in place of its own implementation; see :func:`run_graph`."""

ATTENTION = "scaled_dot_product_attention"
BUILTINS: dict[str, Callable[..., object]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "floordiv": operator.floordiv,
    "mod": operator.mod, "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le,
    "gt": operator.gt, "ge": operator.ge, "min": min, "max": max, "truediv": operator.truediv, "pow": operator.pow,
}  # fmt: skip
SINGLE: dict[str, Callable[[Any], object]] = {
    "neg": operator.neg, "int": int, "sym_float": float, "not": operator.not_,
}  # fmt: skip


def implementation(node: Node) -> Callable[..., object]:
    """What runs an operator; called with its arguments by name.

    Raises:
        SpaceError: the operator is not one that a graph may hold, or this version of torch does not have it.
    """
    parts = node.op.split(".")
    if node.op == "builtin.pick":
        return _pick
    if not known(node.op):
        raise SpaceError(f"operator {node.op!r} is not one that a graph may hold")
    if parts[0] == "builtin":
        return _builtin(parts[1])
    packet = getattr(torch.ops.aten, parts[1], None)
    overload = None if packet is None else getattr(packet, ".".join(parts[2:]) or "default", None)
    if not isinstance(overload, torch._ops.OpOverload):
        raise SpaceError(f"this version of torch has no operator {node.op!r}")
    return _attention(overload) if parts[1] == ATTENTION else overload


def _attention(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Attention whose result is laid out as its axes when it is exported.

    The fused operator returns another layout than what exporters put in its place, and a reshape of the result is
    recorded as a view, which is then of a layout that it cannot view.
    """

    def run(**arguments: object) -> Tensor:
        found = call(**arguments)
        return found.clone(memory_format=torch.contiguous_format) if torch.compiler.is_exporting() else found

    return run


def _builtin(name: str) -> Callable[..., object]:
    if name == "getitem":
        return lambda self, index: self[index]
    if name in SINGLE:
        single = SINGLE[name]
        return lambda self: single(self)
    pair = BUILTINS[name]
    return lambda self, other: pair(self, other)


def _pick(self: Tensor, dim: int, index: list[int]) -> Tensor:
    return self.index_select(dim, torch.tensor(index, device=self.device))


class Program:
    """A graph with the implementations of its operators."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._steps = [(node, implementation(node)) for node in graph.nodes]
        last: dict[str, int] = {}
        for place, node in enumerate(graph.nodes):
            for name in node.refs():
                last[name] = place
        for name in (*graph.output_names(), graph.quality):
            last[name] = len(graph.nodes)
        self._drop: list[list[str]] = [[] for _ in graph.nodes]
        for name, place in last.items():
            if place < len(graph.nodes):
                self._drop[place].append(name)

    def __call__(
        self, inputs: Sequence[Tensor], weights: Mapping[str, Tensor], replaced: Mapping[str, Replaced]
    ) -> Values:
        """Run it. ``replaced`` runs kinds of operators (``batch_norm``) in place of torch.

        Returns:
            The values that the network returns, by name.
        """
        values: Values = dict(weights)
        values.update(zip((source.name for source in self.graph.inputs), inputs, strict=True))
        for (node, call), drop in zip(self._steps, self._drop, strict=True):
            own = replaced.get(node.kind)
            if own is not None:
                values[node.name] = own(node, values)
            else:
                args = {name: resolved(value, values) for name, value in node.args.items()}
                values[node.name] = call(**args)
            for name in drop:
                del values[name]
        return values


def resolved(value: Arg, values: Values) -> object:
    """An argument with the values that it names."""
    if isinstance(value, Ref):
        return values[value.name]
    if isinstance(value, list):
        return [resolved(each, values) for each in value]
    if isinstance(value, DType):
        return getattr(torch, value.name)
    return value


class Outputs(dict[str, object]):
    """What a network returns under names, also as attributes."""

    def __getattr__(self, name: str) -> object:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


def structured(result: Result, values: Values) -> object:
    """The outputs in the form in which the original returns them; dicts have attributes."""
    if isinstance(result, Ref):
        return values[result.name]
    if isinstance(result, dict):
        form = dict if torch.compiler.is_exporting() else Outputs  # exporters know plain dicts only
        return form({name: structured(each, values) for name, each in result.items()})
    return None if result is None else [structured(each, values) for each in result]


def hold(root: nn.Module, key: str, tensor: Tensor | nn.Parameter) -> None:
    """Register a tensor under a dotted name, making the modules on the way."""
    *path, name = key.split(".")
    module = root
    for part in path:
        child = module._modules.get(part)
        if child is None:
            child = Holder()
            module.add_module(part, child)
        module = child
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


class PlainNet(nn.Module):
    """A graph with its weights, under the names that they have in the original; made by :func:`plain_net`.

    With positional inputs it returns the output that quality is computed from; with inputs by name it returns
    what the original returns. It has no public attribute of its own: all names are those of the original.
    """

    _netwright_program: Program

    def forward(self, *inputs: Tensor, **named: Tensor) -> object:
        """See the class."""
        graph = self._netwright_program.graph
        given = [*inputs, *(named[source.name] for source in graph.inputs[len(inputs) :])]
        weights = {weight.name: of(self, weight.key) for weight in graph.weights}
        values = self._netwright_program(given, weights, {})
        return structured(graph.result, values) if named else values[graph.quality]


def plain_net(graph: Graph, tensors: Mapping[str, Tensor]) -> PlainNet:
    """A graph as a module, with the arguments of the original's ``forward``; ``tensors`` by the weights' keys."""
    net = _class_of(graph)()
    net._netwright_program = Program(graph)
    for weight in graph.weights:
        tensor = tensors[weight.key]
        held: Tensor = tensor
        if weight.kind == "parameter":
            held = nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
        for key in weight.keys:
            hold(net, key, held)
    return net


def _class_of(graph: Graph) -> type[PlainNet]:
    """A class whose ``forward`` has the inputs as arguments: exporters name the inputs of a file after them."""

    def forward(self: PlainNet, *inputs: Tensor, **named: Tensor) -> object:
        return PlainNet.forward(self, *inputs, **named)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = ["self", *(source.name for source in graph.inputs)]
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    forward.__signature__ = signature  # type: ignore[attr-defined]
    return type("PlainNet", (PlainNet,), {"forward": forward, "__doc__": PlainNet.__doc__})


def of(net: nn.Module, key: str) -> Tensor:
    """The tensor with this dotted name."""
    *path, name = key.split(".")
    for part in path:
        child = net._modules[part]
        assert child is not None
        net = child
    found: Tensor = getattr(net, name)
    return found
