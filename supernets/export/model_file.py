"""An ONNX model as a file: checked, reproducible, and with the lowest IR version that its operators allow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from supernets.checkpoints import write_bytes
from supernets.errors import ExportError

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_BYTES = (1 << 31) - 1
"""A model file cannot be larger; ONNX keeps the weights of larger ones in files of their own."""


def write_model(
    model: ModelProto, path: Path, metadata: Mapping[str, str], ir_version: int | None = None
) -> tuple[str, int]:
    """Write an ``onnx.ModelProto`` with ``metadata``; returns SHA-256 and size in bytes.

    Runtimes refuse files of a newer IR version than they know, though they know the operators: ONNX Runtime 1.15 runs
    opset 18 and refuses IR version 10. So the file has the lowest IR version of its opset unless one is asked for.

    Raises:
        ExportError: an IR version that is too low or unknown, a model over 2 GB, or one that the ONNX checker or its
            shape inference refuses.
    """
    from onnx import checker

    known = ir_versions(opset_of(model))
    if ir_version is not None and ir_version not in known:
        raise ExportError(
            f"ir_version must lie in {known[0]}..{known[-1]} for opset {opset_of(model)}, got {ir_version}"
        )
    _clean(model)
    model.ir_version = known[0] if ir_version is None else ir_version
    del model.metadata_props[:]
    for key, text in sorted(metadata.items()):
        model.metadata_props.add(key=key, value=text)
    if model.ByteSize() > MAX_BYTES:
        raise ExportError(f"an ONNX file may take {MAX_BYTES:,} bytes, the model has {model.ByteSize():,}")
    try:
        checker.check_model(model, full_check=True)
    except Exception as error:  # the checker's and the inference's exceptions share no base class but this
        raise ExportError(f"the ONNX checker must accept {path.name}, but: {error}") from error
    content = model.SerializeToString(deterministic=True)
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest(), len(content)


def ir_versions(opset: int) -> range:
    """The IR versions that a file with this version of the operators may have, from the lowest."""
    import onnx
    from onnx import helper

    lowest = int(helper.find_min_ir_version_for([helper.make_opsetid("", opset)]))
    return range(lowest, onnx.IR_VERSION + 1)


def opset_of(model: ModelProto) -> int:
    """Version of the standard operators that a model uses."""
    return next(int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _clean(model: ModelProto) -> None:
    """Drop what exporters note about their own work: stack traces with file names of this machine."""
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.initializer,
        *graph.input,
        *graph.output,
        *graph.value_info,
    ):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
