"""ONNX by torch's own exporters: the reference one, and the old fast one for files that are only measured."""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from supernets.checkpoints import write_bytes
from supernets.elastic.active import Inputs
from supernets.errors import ExportError
from supernets.export.exporter import Exported, Exporter, Run, check_net
from supernets.export.runtime import session
from supernets.tasks.task import Interface

OPSETS = range(17, 24)
LOWEST_OPSET = 18
"""The reference exporter has no implementations below this; asked for 17 it tries, fails noisily and keeps 18."""
NOISY = ("torch.onnx", "torch.export", "onnxscript")


class OnnxExporter(Exporter):
    """The reference exporter: ``torch.onnx.export(dynamo=True)``, one self-contained file, dynamic batch.

    Takes seconds, most of them independent of the network's size. Not safe to call from several threads of
    one process at a time, because it silences the warnings of the libraries it calls.
    """

    name = "onnx"
    suffix = ".onnx"
    media_type = "application/octet-stream"

    def write(
        self,
        net: nn.Module,
        example: Inputs,
        path: Path,
        interface: Interface,
        metadata: Mapping[str, str],
        opset: int,
    ) -> Exported:
        """See :meth:`Exporter.export`; ``opset`` 17 becomes 18, and the answer says so."""
        if opset not in OPSETS:
            raise ExportError(f"opset must lie in {OPSETS[0]}..{OPSETS[-1]}, but got {opset}")
        model = _translate(net, example, interface, max(opset, LOWEST_OPSET))
        _clean(model)
        for key, text in sorted(metadata.items()):
            model.metadata_props.add(key=key, value=text)
        content = model.SerializeToString(deterministic=True)
        write_bytes(path, content)
        return Exported(
            path=path,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            format=self.name,
            exporter="torch.onnx.export(dynamo=True)",
            exporter_version=torch.__version__,
            opset=next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
            opset_requested=opset,
            precision="fp32",
        )

    def load(self, path: Path) -> Run:
        """A function over ONNX Runtime: one thread, CPU."""
        loaded = session(path)

        def run(inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
            feed = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
            outputs: list[NDArray[np.float32]] = loaded.run(None, feed)
            return outputs[0]

        return run


def export_for_measuring(
    net: nn.Module, example: Inputs, path: Path, interface: Interface, *, opset: int = 18
) -> None:
    """Write ``net`` with the old exporter: ten times faster, and the batch is fixed to that of ``example``.

    The runtime runs the same operators in the same order as for a file of :class:`OnnxExporter` (a ``Flatten``
    may be a ``Reshape``, which moves no bytes either), so its latency stands for both. Never hand such a file
    out: it carries no metadata and no proof.

    Raises:
        ExportError: the network or the example is refused, or the exporter fails.
    """
    check_net(net, example)
    part = path.with_name(path.name + ".part")
    try:
        with _quiet():
            torch.onnx.export(
                net,
                example,
                part,
                dynamo=False,
                opset_version=opset,
                input_names=[each.name for each in interface.inputs],
                output_names=[interface.output.name],
            )
        os.replace(part, path)
    except Exception as error:
        raise ExportError(f"{type(net).__name__} could not be exported: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _translate(net: nn.Module, example: Inputs, interface: Interface, opset: int) -> Any:
    """``net`` as an ONNX ``ModelProto``."""
    # with an example batch of 1 the exporter would take the batch for a constant
    batch = tuple(each if len(each) > 1 else torch.cat([each, each]) for each in example)
    names = {name for axes in interface.dynamic for name in axes.values()}
    dims = {name: torch.export.Dim(name) for name in names}
    try:
        with _quiet():
            program = torch.onnx.export(
                net,
                batch,
                dynamo=True,
                external_data=False,
                verbose=False,
                opset_version=opset,
                input_names=[each.name for each in interface.inputs],
                output_names=[interface.output.name],
                dynamic_shapes=tuple(
                    {axis: dims[name] for axis, name in axes.items()} for axes in interface.dynamic
                ),
            )
    except Exception as error:  # whatever the tracer meets in somebody's forward
        raise ExportError(f"{type(net).__name__} could not be exported: {error}") from error
    if program is None:
        raise ExportError(f"{type(net).__name__} could not be exported: the exporter returned nothing")
    return program.model_proto


def _clean(model: Any) -> None:
    """Drop what the exporter notes about its own work: stack traces with file names of this machine."""
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporters say about themselves; warnings about the network still pass."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith(NOISY)]
    loggers += [logging.getLogger(name) for name in NOISY]
    levels = [(logger, logger.level) for logger in loggers]
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", category)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in levels:
                logger.setLevel(level)
