"""Other precisions of an exported ONNX file: 16-bit floats, and 8-bit integers calibrated on training examples."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supernets.errors import ExportError
from supernets.export.metadata import PREFIX
from supernets.export.model_file import write_model
from supernets.export.runtime import session
from supernets.metrics import CLEARLY

PRECISIONS = ("fp32", "fp16", "int8")
Feed = Mapping[str, NDArray[np.generic]]
"""Inputs of a file by name, examples along the first axis."""
MIN_CALIBRATION = 16
ROUNDS = 30
WARMUP = 3
PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")
"""Marks for the quantiser that shapes are inferred and BatchNorms are folded, as the direct writer does."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A file in another precision.

    Attributes:
        path: where it is.
        sha256: of its bytes.
        size_bytes: of the file.
        activation: type of the quantised activations, ``u8`` or ``s8``, or None.
        latency_ms: median time of one run by file, on one thread of this machine: ``fp32``, and each candidate.
    """

    path: Path
    sha256: str
    size_bytes: int
    activation: str | None
    latency_ms: dict[str, float]


def convert(
    source: Path,
    path: Path,
    precision: str,
    calibration: Sequence[Feed],
    example: Feed,
    ir_version: int | None = None,
) -> Converted:
    """Write the fp32 file ``source`` in another precision to ``path``, with the same metadata.

    int8 is static quantisation in QDQ form, with one scale a channel for weights. Whether signed or unsigned
    activations are faster depends on the processor: both are written and timed, and unsigned ones are kept unless
    signed ones take less than ``CLEARLY`` of their time.

    Args:
        source: an fp32 ONNX file.
        path: where to write.
        precision: ``fp16`` or ``int8``.
        calibration: batches of prepared training examples; used by int8 only.
        example: what the files are timed on.
        ir_version: of the file; the lowest that its operators allow if absent.

    Raises:
        ExportError: another precision, too few calibration examples, or a tool that fails.
    """
    with tempfile.TemporaryDirectory(prefix="netwright-precision-") as name:
        folder = Path(name)
        if precision == "fp16":
            candidates = {"fp16": _fp16(source, folder / "fp16.onnx")}
        elif precision == "int8":
            _check_calibration(calibration)
            candidates = {
                kind: _int8(source, folder / f"{kind}.onnx", calibration, kind) for kind in ("u8", "s8")
            }
        else:
            raise ExportError(f"precision must be one of {', '.join(PRECISIONS[1:])}, got {precision!r}")
        times = median_ms({"fp32": source, **candidates}, example)
        chosen = _faster(times) if precision == "int8" else precision
        import onnx

        metadata = {entry.key: entry.value for entry in onnx.load(source).metadata_props}
        kept = {key: value for key, value in metadata.items() if key.startswith(PREFIX)}
        sha256, size = write_model(onnx.load(candidates[chosen]), path, kept, ir_version)
    activation = chosen if precision == "int8" else None
    return Converted(path, sha256, size, activation, {k: round(v, 4) for k, v in times.items()})


def _faster(times: Mapping[str, float]) -> str:
    """``u8`` unless ``s8`` is clearly faster: a difference within the noise must not change the file."""
    return "s8" if times["s8"] < CLEARLY * times["u8"] else "u8"


def _check_calibration(calibration: Sequence[Feed]) -> None:
    n = sum(len(next(iter(batch.values()))) for batch in calibration)
    if n < MIN_CALIBRATION:
        raise ExportError(f"int8 needs at least {MIN_CALIBRATION} training examples to calibrate on, got {n}")


def _fp16(source: Path, path: Path) -> Path:
    """Weights and activations in 16 bits; inputs and outputs stay float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    try:
        model = OnnxModel(convert_float_to_float16(onnx.load(source), keep_io_types=True))
        model.topological_sort()
    except Exception as error:  # the tool's exceptions share no base class but this
        raise ExportError(f"{source.name} could not be converted to fp16: {error}") from error
    write_model(model.model, path, {})
    return path


def _int8(source: Path, path: Path, calibration: Sequence[Feed], activation: str) -> Path:
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    kinds = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}
    model = onnx.shape_inference.infer_shapes(onnx.load(source))
    del model.metadata_props[:]
    model.metadata_props.add(key=PREPARED[0], value=PREPARED[1])
    try:
        quantize_static(
            model,
            str(path),
            _Reader(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=kinds[activation],
            weight_type=QuantType.QInt8,
        )
    except Exception as error:  # the tool's exceptions share no base class but this
        raise ExportError(f"{source.name} could not be quantised: {error}") from error
    return path


class _Reader:
    """Calibration batches as the quantiser reads them: one a call, then None."""

    def __init__(self, batches: Sequence[Feed]) -> None:
        self._batches: Iterator[Feed] = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        batch = next(self._batches, None)
        return None if batch is None else dict(batch)

    def __iter__(self) -> _Reader:
        return self

    def __next__(self) -> dict[str, NDArray[np.generic]]:
        return dict(next(self._batches))


def median_ms(files: Mapping[str, Path], example: Feed, rounds: int = ROUNDS) -> dict[str, float]:
    """Median time of one run of each file in ms, on one thread, the files in turn: load on the machine hits all."""
    sessions = {name: session(path) for name, path in files.items()}
    feed = {name: np.ascontiguousarray(array) for name, array in example.items()}
    times: dict[str, list[float]] = {name: [] for name in files}
    for index in range(WARMUP + rounds):
        for name, each in sessions.items():
            start = time.perf_counter()
            each.run(None, feed)
            if index >= WARMUP:
                times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}
