"""The nodes and weights of an ONNX graph while it is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx


class Graph:
    """Nodes and weights written so far."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    @property
    def names(self) -> set[str]:
        """Names of the nodes written so far."""
        return {node.name for node in self.nodes}

    @property
    def weights(self) -> list[onnx.TensorProto]:
        """The constant tensors in the order in which they were written."""
        return list(self._weights.values())

    def node(self, kind: str, name: str, inputs: list[str], **attributes: Any) -> str:
        """Append an operator with one output, which is called as the node is; returns the name."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, value: NDArray[np.generic]) -> str:
        """Store a constant tensor once; returns its name."""
        from onnx import numpy_helper

        if name not in self._weights:
            self._weights[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def drop(self, names: Iterable[str]) -> None:
        """Remove constant tensors."""
        for name in list(names):
            del self._weights[name]
