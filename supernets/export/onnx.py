"""ONNX: written from the layers where there are rules for all of them, by torch's exporter otherwise."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from supernets.elastic.active import Inputs
from supernets.errors import ExportError
from supernets.export.exporter import Exported, Exporter, Run, check_net
from supernets.export.graph import UntranslatedError, direct_model
from supernets.export.metadata import read_metadata
from supernets.export.model_file import opset_of, write_model
from supernets.export.runtime import session
from supernets.tasks.task import BATCH, Interface

if TYPE_CHECKING:
    from onnx import ModelProto

OPSETS = range(17, 22)
LOWEST_TORCH_OPSET = 18
"""torch's exporter has no implementations below this."""
NOISY = ("torch.onnx", "torch.export", "onnxscript")


class OnnxExporter(Exporter):
    """One self-contained ONNX file. See :mod:`supernets.export.graph` for the layers that are written directly.

    ``direct=False`` always uses torch's exporter (``torch.onnx.export(dynamo=True)``), the reference: it takes
    seconds, and it is not safe to call from several threads at a time, because it silences the warnings of the
    libraries it calls.
    """

    name = "onnx"
    suffix = ".onnx"
    media_type = "application/octet-stream"

    def __init__(self, *, direct: bool = True) -> None:
        self._direct = direct

    def write(
        self,
        net: nn.Module,
        example: Inputs,
        path: Path,
        interface: Interface,
        metadata: Mapping[str, str],
        opset: int,
        ir_version: int | None = None,
    ) -> Exported:
        """See :meth:`Exporter.export`; the file has the lowest IR version of its opset, or ``ir_version``."""
        if opset not in OPSETS:
            raise ExportError(f"opset must lie in {OPSETS[0]}..{OPSETS[-1]}, but got {opset}")
        model, exporter, version = self._model(net, example, interface, opset)
        written = opset_of(model)
        if written != opset:
            raise ExportError(f"the file must have opset {opset}, but {exporter} wrote {written}")
        sha256, size = write_model(model, path, metadata, ir_version)
        return Exported(
            path=path,
            sha256=sha256,
            size_bytes=size,
            format=self.name,
            exporter=exporter,
            exporter_version=version,
            opset=written,
            opset_requested=opset,
            precision="fp32",
        )

    def _model(
        self, net: nn.Module, example: Inputs, interface: Interface, opset: int
    ) -> tuple[ModelProto, str, str]:
        """The model, the tool that made it, and the version of that."""
        import onnx

        reason = "torch's exporter was asked for"
        if self._direct:
            try:
                return direct_model(net, interface, opset), "netwright (onnx)", onnx.__version__
            except UntranslatedError as error:
                reason = str(error)
        if opset < LOWEST_TORCH_OPSET:
            raise ExportError(
                f"opset must be at least {LOWEST_TORCH_OPSET} for a network that torch's exporter translates, got "
                f"{opset} ({reason})"
            )
        return (
            _translate(net, example, interface, opset),
            "torch.onnx.export(dynamo=True)",
            torch.__version__,
        )

    def load(self, path: Path) -> Run:
        """A function over ONNX Runtime: one thread, CPU."""
        loaded = session(path)

        def run(inputs: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
            feed = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
            outputs: list[NDArray[np.float32]] = loaded.run(None, feed)
            return outputs[0]

        return run

    def read(self, path: Path) -> dict[str, object]:
        """See :meth:`Exporter.read`."""
        return read_metadata(path)


def export_for_measuring(
    net: nn.Module, example: Inputs, path: Path, interface: Interface, *, opset: int = 18
) -> None:
    """Write ``net`` for the sizes of ``example``, to be measured and not handed out: no metadata, no proof.

    It is what :class:`OnnxExporter` writes but for the fixed sizes, so its latency stands for both. What has no
    rules is written by torch's old exporter, ten times faster than its new one: the runtime runs the same
    operators in the same order (a ``Flatten`` may be a ``Reshape``, which moves no bytes either).

    Raises:
        ExportError: the network or the example is refused, or the exporter fails.
    """
    check_net(net, example)
    fixed = interface.fixed_to(example)
    try:
        write_model(direct_model(net, fixed, opset), path, {}, None)
    except UntranslatedError:
        try:
            _export_by_tracing(net, example, path, interface, opset)
        except ExportError:  # an operator that the old exporter does not have
            write_model(_translate(net, example, fixed, max(opset, LOWEST_TORCH_OPSET)), path, {}, None)


def _export_by_tracing(net: nn.Module, example: Inputs, path: Path, interface: Interface, opset: int) -> None:
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


def _translate(net: nn.Module, example: Inputs, interface: Interface, opset: int) -> ModelProto:
    """``net`` as an ONNX ``ModelProto``."""
    # with an example batch of 1 the exporter would take the batch for a constant
    dynamic = any(interface.dynamic)
    batch = tuple(torch.cat([each, each]) if dynamic and len(each) < 2 else each for each in example)
    names = {name for axes in interface.dynamic for name in axes.values()}
    dims = {name: torch.export.Dim(name) if name == BATCH else torch.export.Dim.AUTO for name in names}
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
    except Exception as error:  # any error that a user's forward raises while it is traced
        raise ExportError(f"{type(net).__name__} could not be exported: {error}") from error
    if program is None:
        raise ExportError(f"{type(net).__name__} could not be exported: the exporter returned nothing")
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence messages of the exporters about themselves; warnings about the network still pass."""
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
