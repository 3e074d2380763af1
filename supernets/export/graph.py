"""An ONNX graph written straight from a plain network's layers: milliseconds where torch's exporter takes seconds.

The network is traced symbolically, and every traced layer has a rule below. A BatchNorm behind a convolution is
folded into it. What has no rule raises :class:`UntranslatedError`, and torch's exporter takes over.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from supernets.errors import ExportError
from supernets.export.onnx_nodes import Graph
from supernets.export.transformer_rules import RULES
from supernets.tasks.task import Interface, NamedTensor

if TYPE_CHECKING:
    import onnx

REDUCE_AXES_AS_INPUT = 18
"""From this opset on, reductions take their axes as an input and no longer as an attribute."""


class UntranslatedError(ExportError):
    """The network has a layer that no rule translates."""


def direct_model(net: nn.Module, interface: Interface, opset: int) -> onnx.ModelProto:
    """``net`` as an ONNX model with the inputs and the output of ``interface``.

    Args:
        net: plain, in evaluation mode.
        interface: names and shapes; an axis of any size has a name.
        opset: version of the operators.

    Raises:
        UntranslatedError: a layer or call that has no rule.
    """
    from onnx import helper

    graph, names = Graph(opset), dict[fx.Node, str]()
    inputs = iter(interface.inputs)
    output = ""
    for node in _trace(net).nodes:
        if node.op == "placeholder":
            names[node] = next(inputs).name
        elif node.op == "output":
            output = names.get(node.args[0], "")
        elif node.op == "get_attr":
            names[node] = graph.weight(str(node.target), _numbers(_attribute(net, str(node.target))))
        else:
            names[node] = _translated(graph, net, node, names)
    if not graph.nodes or output != graph.nodes[-1].name:
        raise UntranslatedError("no rule for a network whose last layer does not make its only output")
    graph.nodes[-1].output[0] = interface.output.name
    body = helper.make_graph(
        graph.nodes,
        type(net).__name__,
        [_value(each) for each in interface.inputs],
        [_value(interface.output)],
        graph.weights,
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], producer_name="netwright")


def _value(named: NamedTensor) -> onnx.ValueInfoProto:
    from onnx import TensorProto, helper

    kind = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}[named.dtype]
    return helper.make_tensor_value_info(named.name, kind, list(named.shape))


class _Tracer(fx.Tracer):
    """Layers that have a rule are not looked into."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in MODULES or bool(super().is_leaf_module(m, module_qualified_name))


def _attribute(net: nn.Module, path: str) -> Tensor:
    """The parameter at ``path``."""
    module, _, name = path.rpartition(".")
    found: Tensor = getattr(net.get_submodule(module), name)
    return found


def _trace(net: nn.Module) -> fx.Graph:
    """The calls of a forward pass; no module with code of its own is made of them, which takes longer than tracing."""
    try:
        return _Tracer().trace(net)
    except Exception as error:  # whatever the tracer meets in a forward method
        raise UntranslatedError(f"{type(net).__name__} cannot be traced symbolically: {error}") from error


def _translated(graph: Graph, net: nn.Module, node: fx.Node, names: dict[fx.Node, str]) -> str:
    """The name of the tensor that ``node`` makes."""
    inputs = [names[argument] for argument in node.args if isinstance(argument, fx.Node)]
    if node.op == "call_module":
        module = net.get_submodule(str(node.target))
        if isinstance(module, nn.BatchNorm2d):
            return _batch_norm(graph, net, node, module, names)
        rule = MODULES.get(type(module))
        if rule is not None and not node.kwargs:
            return rule(graph, node.name, module, inputs)
        raise UntranslatedError(f"no rule for layer {node.target} of type {type(module).__name__}")
    call = CALLS.get(node.target)
    if call is None:
        raise UntranslatedError(f"no rule for the call {node.target}")
    return call(graph, node, inputs)


def _numbers(tensor: Tensor) -> NDArray[np.generic]:
    found: NDArray[np.generic] = tensor.detach().cpu().numpy()
    return found


# --- layers ----------------------------------------------------------------------------------------


def _conv(graph: Graph, name: str, conv: nn.Conv2d, inputs: list[str]) -> str:
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        raise UntranslatedError(f"no rule for the padding of {name}")
    tensors = [graph.weight(f"{name}.weight", _numbers(conv.weight))]
    if conv.bias is not None:
        tensors.append(graph.weight(f"{name}.bias", _numbers(conv.bias)))
    return graph.node(
        "Conv",
        name,
        [*inputs, *tensors],
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        pads=list(conv.padding) * 2,
        dilations=list(conv.dilation),
        group=conv.groups,
    )


def _batch_norm(
    graph: Graph, net: nn.Module, node: fx.Node, norm: nn.BatchNorm2d, names: dict[fx.Node, str]
) -> str:
    """Scale and shift, folded into the convolution in front where nothing else reads that."""
    before = node.args[0]
    assert isinstance(before, fx.Node) and norm.running_mean is not None and norm.running_var is not None
    source = net.get_submodule(str(before.target)) if before.op == "call_module" else None
    if isinstance(source, nn.Conv2d) and len(before.users) == 1 and graph.nodes[-1].name == before.name:
        return _fold(graph, node.name, source, norm)
    numbers = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    tensors = [
        graph.weight(f"{node.name}.{kind}", _numbers(tensor))
        for kind, tensor in zip(("scale", "bias", "mean", "var"), numbers, strict=True)
    ]
    return graph.node("BatchNormalization", node.name, [names[before], *tensors], epsilon=norm.eps)


def _fold(graph: Graph, name: str, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
    """Change the convolution written last so that it scales and shifts too; it is called ``name`` then."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - norm.running_mean.double() * scale
    if conv.bias is not None:
        shift = shift + conv.bias.double() * scale
    node = graph.nodes[-1]
    graph.drop(node.input[1:])
    weight = graph.weight(
        f"{name}.weight", _numbers((conv.weight.double() * scale.view(-1, 1, 1, 1)).float())
    )
    bias = graph.weight(f"{name}.bias", _numbers(shift.float()))
    source = node.input[0]
    node.ClearField("input")
    node.input.extend([source, weight, bias])
    node.name = node.output[0] = name
    return name


def _linear(graph: Graph, name: str, linear: nn.Linear, inputs: list[str]) -> str:
    tensors = [graph.weight(f"{name}.weight", _numbers(linear.weight))]
    if linear.bias is not None:
        tensors.append(graph.weight(f"{name}.bias", _numbers(linear.bias)))
    return graph.node("Gemm", name, [*inputs, *tensors], transB=1)


def _relu6(graph: Graph, name: str, _module: nn.Module, inputs: list[str]) -> str:
    low = graph.weight("zero", np.array(0.0, np.float32))
    high = graph.weight("six", np.array(6.0, np.float32))
    return graph.node("Clip", name, [*inputs, low, high])


def _plain(kind: str, **attributes: object) -> Callable[[Graph, str, object, list[str]], str]:
    return lambda graph, name, _module, inputs: graph.node(kind, name, inputs, **attributes)


def _pair(value: int | tuple[int, ...]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _max_pool(graph: Graph, name: str, pool: nn.MaxPool2d, inputs: list[str]) -> str:
    if _pair(pool.dilation) != [1, 1] or pool.return_indices:
        raise UntranslatedError(f"no rule for the dilation of {name}")
    return graph.node(
        "MaxPool",
        name,
        inputs,
        kernel_shape=_pair(pool.kernel_size),
        strides=_pair(pool.stride),
        pads=_pair(pool.padding) * 2,
        ceil_mode=int(pool.ceil_mode),
    )


def _average_pool(graph: Graph, name: str, pool: nn.AvgPool2d, inputs: list[str]) -> str:
    if _pair(pool.padding) != [0, 0] or pool.divisor_override:
        raise UntranslatedError(f"no rule for the padding of {name}")
    return graph.node(
        "AveragePool",
        name,
        inputs,
        kernel_shape=_pair(pool.kernel_size),
        strides=_pair(pool.stride),
        ceil_mode=int(pool.ceil_mode),
    )


MODULES: dict[type[nn.Module], Callable[[Graph, str, Any, list[str]], str]] = {
    nn.Conv2d: _conv,
    nn.Linear: _linear,
    nn.ReLU: _plain("Relu"),
    nn.ReLU6: _relu6,
    nn.Hardswish: _plain("HardSwish"),
    nn.Hardsigmoid: _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    nn.Identity: lambda _graph, _name, _module, inputs: inputs[0],
    nn.Dropout: lambda _graph, _name, _module, inputs: inputs[0],
    **RULES,
}


# --- functions and methods -------------------------------------------------------------------------


def _mean(graph: Graph, node: fx.Node, inputs: list[str]) -> str:
    axes = list(node.args[1] if len(node.args) > 1 else node.kwargs["dim"])  # type: ignore[arg-type]
    keep = int(bool(node.kwargs.get("keepdim", node.args[2] if len(node.args) > 2 else False)))
    if graph.opset < REDUCE_AXES_AS_INPUT:
        return graph.node("ReduceMean", node.name, inputs, axes=axes, keepdims=keep)
    name = graph.weight("axes." + ".".join(map(str, axes)), np.array(axes, np.int64))
    return graph.node("ReduceMean", node.name, [*inputs, name], keepdims=keep)


def _flatten(graph: Graph, node: fx.Node, inputs: list[str]) -> str:
    if node.args[1:] != (1,) or node.kwargs:
        raise UntranslatedError("no rule for a flatten of other dimensions than all but the first")
    return graph.node("Flatten", node.name, inputs, axis=1)


def _binary(kind: str) -> Callable[[Graph, fx.Node, list[str]], str]:
    def rule(graph: Graph, node: fx.Node, inputs: list[str]) -> str:
        if len(inputs) != 2:
            raise UntranslatedError(f"no rule for {kind} with a constant")
        return graph.node(kind, node.name, inputs)

    return rule


CALLS: dict[object, Callable[[Graph, fx.Node, list[str]], str]] = {
    "mean": _mean,
    "flatten": _flatten,
    operator.add: _binary("Add"),
    operator.mul: _binary("Mul"),
}
