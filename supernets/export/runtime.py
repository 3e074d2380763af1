"""ONNX Runtime sessions for running exported files; needs no torch. Timing them is not done here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from supernets.errors import ExportError


def session(path: Path, optimized_to: Path | None = None) -> Any:
    """A session on one thread that does not spin.

    The file is handed over as bytes, so one that needs further files cannot be loaded.

    Args:
        path: an ONNX file.
        optimized_to: where to write the graph that is really run, or None.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors come as exceptions
    if optimized_to is not None:
        options.optimized_model_filepath = str(optimized_to)
    if not path.is_file():
        raise ExportError(f"there must be a file to load, but {path.name} is none")
    try:
        return ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no base class but this
        raise ExportError(f"{path.name} must be an ONNX file that can be loaded, but: {error}") from error
