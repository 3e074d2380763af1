"""Means over height and width as pools, which ONNX Runtime computes in the layout of its convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

HEIGHT_AND_WIDTH = [2, 3]


def with_pools(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model, changed in place, with equal outputs but for rounding. Axes are an input, as from opset 18 on."""
    from onnx import numpy_helper

    weights = {weight.name: weight for weight in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "ReduceMean" or len(node.input) != 2 or node.input[1] not in weights:
            continue
        keeps = all(attribute.i for attribute in node.attribute if attribute.name == "keepdims")
        if keeps and numpy_helper.to_array(weights[node.input[1]]).tolist() == HEIGHT_AND_WIDTH:
            node.op_type = "GlobalAveragePool"
            del node.input[1:], node.attribute[:]
    return model
