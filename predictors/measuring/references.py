"""Three small nets of fixed structure, against which every net is held while it is timed."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

# name: channels, resolution, blocks. About 0.03, 0.3 and 3 ms on one core of a current server CPU. The
# middle one comes first: it anchors the calibration.
SIZES: dict[str, tuple[int, int, int]] = {
    "medium": (32, 32, 10),
    "small": (16, 16, 7),
    "large": (64, 40, 24),
}
OPSET = 17
IR_VERSION = 8


@cache
def reference_net(name: str) -> bytes:
    """The ONNX file of a reference net: alternating 1x1 and depthwise 3x3 convolutions, fixed weights.

    Equal bytes everywhere and always: versions are fixed and weights come from a fixed generator.
    """
    from onnx import TensorProto, helper

    channels, resolution, blocks = SIZES[name]
    shape = [1, channels, resolution, resolution]
    rng = np.random.default_rng(20)
    nodes, weights, tensor = [], [], "input"
    for index in range(blocks):
        for kind, kernel, groups in (("pointwise", 1, 1), ("depthwise", 3, channels)):
            size = (channels, channels // groups, kernel, kernel)
            scale = 1 / np.sqrt(channels // groups * kernel * kernel)
            values = (rng.random(size) - 0.5).astype(np.float32) * np.float32(2 * scale)
            step = f"{kind}{index}"
            weights.append(
                helper.make_tensor(f"{step}.weight", TensorProto.FLOAT, size, values.tobytes(), raw=True)
            )
            convolution = helper.make_node(
                "Conv",
                [tensor, f"{step}.weight"],
                [f"{step}.conv"],
                kernel_shape=[kernel, kernel],
                pads=[kernel // 2] * 4,
                group=groups,
            )
            nodes.append(convolution)
            nodes.append(helper.make_node("Relu", [f"{step}.conv"], [f"{step}.relu"]))
            tensor = f"{step}.relu"
    nodes.append(helper.make_node("GlobalAveragePool", [tensor], ["output"]))
    graph = helper.make_graph(
        nodes,
        f"netwright_reference_{name}",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, channels, 1, 1])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "netwright"
    return bytes(model.SerializeToString(deterministic=True))


def reference_sha256(name: str) -> str:
    """Hash of the file of a reference net."""
    return hashlib.sha256(reference_net(name)).hexdigest()
