"""``torch.export`` files: the network as a graph that torch loads without the code it was made with."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.export import ExportedProgram

from supernets.checkpoints import write_bytes
from supernets.elastic.active import Inputs
from supernets.errors import ExportError
from supernets.export.exporter import Exported, Exporter, Run
from supernets.export.metadata import PREFIX
from supernets.tasks.task import BATCH, Interface

METADATA_FILE = "netwright.json"


class Pt2Exporter(Exporter):
    """One ``.pt2`` file. It has no opset and no IR version; what is asked for is ignored."""

    name = "pt2"
    suffix = ".pt2"
    media_type = "application/octet-stream"
    needs_torch = True

    def write(
        self,
        net: nn.Module,
        example: Inputs,
        path: Path,
        interface: Interface,
        metadata: Mapping[str, str],
        opset: int,
        ir_version: int | None = None,  # noqa: ARG002
    ) -> Exported:
        """See :meth:`Exporter.export`."""
        buffer = io.BytesIO()
        try:
            program = torch.export.export(net, _pair(example, interface), dynamic_shapes=_dynamic(interface))
            for node in program.graph.nodes:
                node.meta.pop("stack_trace", None)  # names files of this machine
            program.example_inputs = None  # would store the example in the file
            notes = json.dumps(dict(metadata), sort_keys=True)
            torch.export.save(program, buffer, extra_files={METADATA_FILE: notes})
        except Exception as error:  # whatever the tracer meets in a forward method
            raise ExportError(f"{type(net).__name__} could not be exported: {error}") from error
        content = buffer.getvalue()
        write_bytes(path, content)
        return Exported(
            path=path,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            format=self.name,
            exporter="torch.export",
            exporter_version=torch.__version__,
            opset=opset,
            opset_requested=opset,
            precision="fp32",
        )

    def load(self, path: Path) -> Run:
        """A function over the loaded graph."""
        net = _loaded(path)[0].module()

        def run(inputs: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
            with torch.inference_mode():
                outputs = net(*(torch.from_numpy(np.ascontiguousarray(each)) for each in inputs.values()))
            found: NDArray[np.float32] = outputs.numpy()
            return found

        return run

    def read(self, path: Path) -> dict[str, object]:
        """See :meth:`Exporter.read`."""
        notes = json.loads(_loaded(path)[1] or "{}")
        return {key.removeprefix(PREFIX): json.loads(text) for key, text in notes.items()}


def _loaded(path: Path) -> tuple[ExportedProgram, str]:
    """The program of a file and its metadata as JSON."""
    if not path.is_file():
        raise ExportError(f"there must be a file to load, but {path.name} is none")
    extra = {METADATA_FILE: ""}
    try:
        program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=extra)
        return program, extra[METADATA_FILE]
    except Exception as error:  # torch raises many types, among them bare RuntimeError
        raise ExportError(f"{path.name} must be a .pt2 file that can be loaded, but: {error}") from error


def _pair(example: Inputs, interface: Interface) -> Inputs:
    """Two examples where the batch is dynamic.

    With one, the tracer would take the batch for a constant; and the file notes how many there were.
    """
    if not any(interface.dynamic):
        return example
    return tuple(torch.cat([each, each])[:2].contiguous() for each in example)


def _dynamic(interface: Interface) -> tuple[dict[int, object], ...]:
    """Any batch; any other size that the network takes: a sequence has at most the positions."""
    names = {name for axes in interface.dynamic for name in axes.values()}
    dims = {name: torch.export.Dim(name) if name == BATCH else torch.export.Dim.AUTO for name in names}
    return tuple({axis: dims[name] for axis, name in axes.items()} for axes in interface.dynamic)
