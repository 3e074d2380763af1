"""ONNX Runtime sessions for running exported files; needs no torch. Timing them is not done here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from supernets.errors import ExportError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions


def session(path: Path, optimized_to: Path | None = None) -> InferenceSession:
    """A session on one thread that does not spin.

    The file is handed over as bytes, so one that needs further files cannot be loaded.

    Args:
        path: an ONNX file.
        optimized_to: where to write the graph that is really run, or None.
    """
    options = _options(1)
    if optimized_to is not None:
        options.optimized_model_filepath = str(optimized_to)
    if not path.is_file():
        raise ExportError(f"there must be a file to load, but {path.name} is none")
    try:
        return _session(path.read_bytes(), options)
    except Exception as error:  # the runtime's exceptions share no base class but this
        raise ExportError(f"{path.name} must be an ONNX file that can be loaded, but: {error}") from error


class Session(Protocol):
    """The part of an ``onnxruntime.InferenceSession`` that evaluation uses."""

    def run(
        self, output_names: None, input_feed: dict[str, NDArray[np.generic]]
    ) -> list[NDArray[np.generic]]:
        """Outputs for inputs by name."""
        ...


def memory_session(content: bytes, threads: int) -> Session:
    """A session of an ONNX model in memory on this many threads that do not spin."""
    made: Session = _session(content, _options(threads))
    return made


def _options(threads: int) -> SessionOptions:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors come as exceptions
    return options


def _session(content: bytes, options: SessionOptions) -> InferenceSession:
    import onnxruntime as ort

    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
