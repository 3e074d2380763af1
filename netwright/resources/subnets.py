"""Subnets, with everything that is known about them."""

from __future__ import annotations

from pathlib import Path

from netwright.connection import JSON, Connection
from netwright.resources.exports import Export, Exports
from netwright.resources.jobs import DEFAULT_TIMEOUT_S, OnProgress
from netwright.resources.resource import Resource


class Subnet(Resource):
    """An arch of a supernet: costs, measurements, exports."""

    def __init__(self, data: JSON, subnets: Subnets) -> None:
        super().__init__(data)
        self._subnets = subnets

    def download_onnx(
        self,
        path: str | Path,
        *,
        timeout: float = DEFAULT_TIMEOUT_S,
        progress: OnProgress | bool | None = None,
    ) -> Export:
        """Save the verified ONNX file at ``path``; see :meth:`Subnets.download_onnx`."""
        return self._subnets.download_onnx(self.id, path, timeout=timeout, progress=progress)


class Subnets:
    """``client.subnets``."""

    def __init__(self, connection: Connection, exports: Exports) -> None:
        self._connection, self._exports = connection, exports

    def get(self, id: str) -> Subnet:
        """The subnet with this id."""
        data: JSON = self._connection.get(f"/v1/subnets/{id}")
        return Subnet(data, self)

    def download_onnx(
        self,
        id: str,
        path: str | Path,
        *,
        timeout: float = DEFAULT_TIMEOUT_S,
        progress: OnProgress | bool | None = None,
    ) -> Export:
        """Export the subnet if that was not done yet, wait, and save the file at ``path``.

        Returns the export's record (``parity``, ``sha256``, ``metadata``); the file's hash was verified.
        """
        export = self._exports.create(id).wait(timeout, progress)
        export.download(path)
        return export
