"""Rules of :mod:`supernets.export.graph` for the layers of transformers, for any batch and sequence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from supernets.elastic.layers.attention import MASKED, Attend, PaddingBias
from supernets.elastic.layers.token_linear import TokenLinear, Unembed
from supernets.export.onnx_nodes import Graph
from supernets.families.transformers.bert_net import FirstToken, MeanOfTokens
from supernets.families.transformers.gpt_net import LastToken
from supernets.families.transformers.net import Positions
from supernets.families.transformers.vit_net import ClassToken


def _whole(graph: Graph, *numbers: int) -> str:
    return graph.weight("whole." + ".".join(map(str, numbers)), np.array(numbers, np.int64))


def _real(graph: Graph, number: float) -> str:
    return graph.weight(f"real.{number:.9g}", np.array(number, np.float32))


def _tensor(graph: Graph, name: str, tensor: Any) -> str:
    return graph.weight(name, tensor.detach().cpu().numpy())


def _embedding(graph: Graph, name: str, table: nn.Embedding, inputs: list[str]) -> str:
    return graph.node("Gather", name, [_tensor(graph, f"{name}.weight", table.weight), *inputs])


def _token_linear(graph: Graph, name: str, linear: nn.Linear, inputs: list[str]) -> str:
    product = graph.node(
        "MatMul", f"{name}.product", [*inputs, _tensor(graph, f"{name}.weight", linear.weight.T)]
    )
    return graph.node("Add", name, [product, _tensor(graph, f"{name}.bias", linear.bias)])


def _unembed(graph: Graph, name: str, _module: nn.Module, inputs: list[str]) -> str:
    table = graph.node("Transpose", f"{name}.table", [inputs[1]], perm=[1, 0])
    return graph.node("MatMul", name, [inputs[0], table])


def _layer_norm(graph: Graph, name: str, norm: nn.LayerNorm, inputs: list[str]) -> str:
    tensors = [_tensor(graph, f"{name}.{kind}", getattr(norm, kind)) for kind in ("weight", "bias")]
    return graph.node("LayerNormalization", name, [*inputs, *tensors], axis=-1, epsilon=norm.eps)


def _gelu(graph: Graph, name: str, gelu: nn.GELU, inputs: list[str]) -> str:
    (x,) = inputs
    if gelu.approximate == "tanh":
        cube = graph.node("Pow", f"{name}.cube", [x, _real(graph, 3.0)])
        cubic = graph.node("Mul", f"{name}.cubic", [cube, _real(graph, 0.044715)])
        total = graph.node("Add", f"{name}.total", [x, cubic])
        scaled = graph.node("Mul", f"{name}.scaled", [total, _real(graph, math.sqrt(2 / math.pi))])
        curve = graph.node("Tanh", f"{name}.curve", [scaled])
    else:
        scaled = graph.node("Div", f"{name}.scaled", [x, _real(graph, math.sqrt(2))])
        curve = graph.node("Erf", f"{name}.curve", [scaled])
    above = graph.node("Add", f"{name}.above", [curve, _real(graph, 1.0)])
    product = graph.node("Mul", f"{name}.product", [x, above])
    return graph.node("Mul", name, [product, _real(graph, 0.5)])


def _padding_bias(graph: Graph, name: str, _module: nn.Module, inputs: list[str]) -> str:
    real = graph.node("Cast", f"{name}.real", inputs, to=1)
    less = graph.node("Sub", f"{name}.less", [real, _real(graph, 1.0)])
    scaled = graph.node("Mul", f"{name}.scaled", [less, _real(graph, -MASKED)])
    return graph.node("Unsqueeze", name, [scaled, _whole(graph, 1, 2)])


def _attend(graph: Graph, name: str, attend: Attend, inputs: list[str]) -> str:
    def heads(index: int, axes: list[int]) -> str:
        shape = _whole(graph, 0, 0, -1, attend.head_size)
        split = graph.node("Reshape", f"{name}.split{index}", [inputs[index], shape])
        return graph.node("Transpose", f"{name}.heads{index}", [split], perm=axes)

    query, key, value = heads(0, [0, 2, 1, 3]), heads(1, [0, 2, 3, 1]), heads(2, [0, 2, 1, 3])
    product = graph.node("MatMul", f"{name}.product", [query, key])
    scores = graph.node("Mul", f"{name}.scores", [product, _real(graph, attend.head_size**-0.5)])
    if attend.causal:
        scores = graph.node("Add", f"{name}.causal", [scores, _later(graph, inputs[0])])
    if len(inputs) > 3:
        scores = graph.node("Add", f"{name}.masked", [scores, inputs[3]])
    share = graph.node("Softmax", f"{name}.share", [scores], axis=-1)
    found = graph.node("MatMul", f"{name}.found", [share, value])
    order = graph.node("Transpose", f"{name}.order", [found], perm=[0, 2, 1, 3])
    return graph.node("Reshape", name, [order, _whole(graph, 0, 0, -1)])


def _later(graph: Graph, stream: str) -> str:
    """``MASKED`` where the second of two tokens comes after the first, ``(tokens, tokens)``; made once a file."""
    if "causal" in graph.names:
        return "causal"
    shape = graph.node("Shape", "causal.shape", [stream], start=1, end=2)
    tokens = graph.node("Squeeze", "causal.tokens", [shape, _whole(graph, 0)])
    zero, one = (graph.weight(f"scalar.{k}", np.array(k, np.int64)) for k in (0, 1))
    places = graph.node("Range", "causal.places", [zero, tokens, one])
    first = graph.node("Unsqueeze", "causal.first", [places, _whole(graph, 1)])
    later = graph.node("Less", "causal.later", [first, places])
    return graph.node("Where", "causal", [later, _real(graph, MASKED), _real(graph, 0.0)])


def _positions(graph: Graph, name: str, positions: Positions, inputs: list[str]) -> str:
    tokens = graph.node("Shape", f"{name}.tokens", inputs, start=1, end=2)
    table = _tensor(graph, f"{name}.weight", positions.weight)
    part = graph.node("Slice", f"{name}.part", [table, _whole(graph, 0), tokens, _whole(graph, 0)])
    return graph.node("Add", name, [*inputs, part])


def _class_token(graph: Graph, name: str, token: ClassToken, inputs: list[str]) -> str:
    rows = graph.node("Reshape", f"{name}.rows", [*inputs, _whole(graph, 0, 0, -1)])
    patches = graph.node("Transpose", f"{name}.patches", [rows], perm=[0, 2, 1])
    n = graph.node("Shape", f"{name}.n", inputs, start=0, end=1)
    shape = graph.node("Concat", f"{name}.shape", [n, _whole(graph, 1, token.weight.shape[1])], axis=0)
    own = _tensor(graph, f"{name}.weight", token.weight[None])
    first = graph.node("Expand", f"{name}.first", [own, shape])
    return graph.node("Concat", name, [first, patches], axis=1)


def _first_token(graph: Graph, name: str, _module: nn.Module, inputs: list[str]) -> str:
    zero = graph.weight("scalar.0", np.array(0, np.int64))
    return graph.node("Gather", name, [inputs[0], zero], axis=1)


def _last_token(graph: Graph, name: str, _module: nn.Module, inputs: list[str]) -> str:
    x, mask = inputs
    length = graph.node("ReduceSum", f"{name}.length", [mask, _whole(graph, 1)], keepdims=1)
    last = graph.node("Sub", f"{name}.last", [length, graph.weight("scalar.1", np.array(1, np.int64))])
    return graph.node("GatherND", name, [x, last], batch_dims=1)


def _mean_of_tokens(graph: Graph, name: str, _module: nn.Module, inputs: list[str]) -> str:
    x, mask = inputs
    real = graph.node("Cast", f"{name}.real", [mask], to=1)
    weight = graph.node("Unsqueeze", f"{name}.weight", [real, _whole(graph, 2)])
    kept = graph.node("Mul", f"{name}.kept", [x, weight])
    total = graph.node("ReduceSum", f"{name}.total", [kept, _whole(graph, 1)], keepdims=0)
    count = graph.node("ReduceSum", f"{name}.count", [weight, _whole(graph, 1)], keepdims=0)
    return graph.node("Div", name, [total, count])


RULES: dict[type[nn.Module], Callable[[Any, str, Any, list[str]], str]] = {
    nn.Embedding: _embedding,
    nn.LayerNorm: _layer_norm,
    nn.GELU: _gelu,
    nn.Tanh: lambda graph, name, _module, inputs: graph.node("Tanh", name, inputs),
    TokenLinear: _token_linear,
    Unembed: _unembed,
    Attend: _attend,
    PaddingBias: _padding_bias,
    Positions: _positions,
    ClassToken: _class_token,
    FirstToken: _first_token,
    LastToken: _last_token,
    MeanOfTokens: _mean_of_tokens,
}
