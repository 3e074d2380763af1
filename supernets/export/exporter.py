"""A network as a file: what every format must promise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from supernets.elastic.active import Inputs
from supernets.errors import ExportError
from supernets.export.metadata import check_metadata
from supernets.tasks.task import Interface

Run = Callable[[Mapping[str, NDArray[np.generic]]], NDArray[np.float32]]
"""Inputs by name to outputs, ``n`` examples along the first axis of each, for any ``n >= 1``."""


WRONG_DTYPES = (torch.float16, torch.bfloat16, torch.float64)


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, and by what.

    Attributes:
        path: where it is.
        sha256: of its bytes.
        size_bytes: of the file.
        format: the exporter's name in ``EXPORTERS``.
        exporter: the tool that translated the network.
        exporter_version: of that tool.
        opset: what the file really uses; may be higher than ``opset_requested``.
        opset_requested: what was asked for.
        precision: of weights and activations.
    """

    path: Path
    sha256: str
    size_bytes: int
    format: str
    exporter: str
    exporter_version: str
    opset: int
    opset_requested: int
    precision: str

    def as_json(self) -> dict[str, object]:
        """Everything but the path, which means nothing elsewhere."""
        record = asdict(self)
        del record["path"]
        return record


class Exporter(ABC):
    """Writes networks in one format and runs what it wrote.

    Promises: the network is left as it was; the file appears whole or not at all, replaces an older one,
    needs no other file to run, and no torch unless ``needs_torch``, and takes batches of any size unless the
    interface fixes it; it names no path of the machine
    that made it, and equal networks with equal metadata give equal bytes in one environment; it holds the
    requested metadata and nothing that can change later. Nothing here proves that the file computes the same:
    :func:`supernets.export.parity.prove_parity` does, and no export is handed out without it.
    """

    name: str
    suffix: str
    media_type: str
    needs_torch: ClassVar[bool] = False
    """Whether running a file needs torch."""

    @abstractmethod
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
        """Called by :meth:`export` after its arguments were checked."""

    @abstractmethod
    def load(self, path: Path) -> Run:
        """A function that runs the file on one thread; raises ``ExportError`` if it cannot be loaded."""

    @abstractmethod
    def read(self, path: Path) -> dict[str, object]:
        """The metadata that the file at ``path`` holds: field to value, empty where there are none."""

    def export(
        self,
        net: nn.Module,
        example: Inputs,
        path: Path,
        interface: Interface,
        *,
        metadata: Mapping[str, str] | None = None,
        opset: int = 18,
        ir_version: int | None = None,
    ) -> Exported:
        """Write ``net`` to ``path``.

        Args:
            net: in evaluation mode, float32, on the CPU.
            example: ``n >= 1`` examples; fixes every axis that the interface does not name.
            path: its folder must exist.
            interface: the task's, for the dimensions of this network.
            metadata: from :func:`supernets.export.metadata.file_metadata`.
            opset: version of the format's operators, where it has one.
            ir_version: version of the file format, where it has one; the lowest that the opset allows if absent.

        Raises:
            ExportError: the network, the example or the metadata is refused, or the tool fails.
        """
        check_net(net, example)
        check_example(example, interface)
        chosen = dict(metadata or {})
        check_metadata(chosen)
        return self.write(net, example, path, interface, chosen, opset, ir_version)


def check_net(net: nn.Module, example: Inputs) -> None:
    """Refuse a network in training mode or of another precision, and an example of no or unequal lengths."""
    if any(module.training for module in net.modules()):
        raise ExportError("a network must be in evaluation mode to be exported; call eval() first")
    tensors = [*net.parameters(), *net.buffers()]
    foreign = {str(t.dtype) for t in tensors if t.is_floating_point()} - {"torch.float32"}
    devices = {t.device.type for t in tensors} - {"cpu"}
    if foreign or devices:
        got = ", ".join(sorted(foreign | devices))
        raise ExportError(f"a network must be float32 on the CPU to be exported, but it has {got}")
    lengths = {len(each) for each in example}
    if len(lengths) != 1 or 0 in lengths or any(each.dtype in WRONG_DTYPES for each in example):
        got = ", ".join(f"{each.dtype} {tuple(each.shape)}" for each in example)
        raise ExportError(f"every input must be float32 or int64 with n >= 1 examples, got {got or 'none'}")


def check_example(example: Inputs, interface: Interface) -> None:
    """Refuse an example whose inputs are not those of the interface."""
    fitting = len(example) == len(interface.inputs) and all(
        str(got.dtype) == f"torch.{named.dtype}"
        and got.ndim == len(named.shape)
        and all(
            isinstance(size, str) or size == have for size, have in zip(named.shape, got.shape, strict=True)
        )
        for got, named in zip(example, interface.inputs, strict=True)
    )
    if not fitting:
        rule = ", ".join(f"{each.name} {each.dtype} {each.shape}" for each in interface.inputs)
        got = ", ".join(f"{each.dtype} {tuple(each.shape)}" for each in example)
        raise ExportError(f"the example must have the inputs {rule}, got {got}")
