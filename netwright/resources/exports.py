"""Exported files."""

from __future__ import annotations

from pathlib import Path

from netwright.connection import JSON, Connection
from netwright.errors import NetwrightError
from netwright.resources.jobs import DEFAULT_TIMEOUT_S, Jobs, OnProgress, Pending


class Export(Pending):
    """A subnet as a file, proven equal to the supernet's own answer (``parity``)."""

    def __init__(self, data: JSON, exports: Exports, jobs: Jobs) -> None:
        super().__init__(data)
        self._exports, self._jobs = exports, jobs

    def refresh(self) -> None:
        """Ask the server again."""
        self.data = self._exports.get(self.id).data

    def wait(self, timeout: float = DEFAULT_TIMEOUT_S, progress: OnProgress | bool | None = None) -> Export:
        """Wait until the file is written and proven."""
        if not self.data.get("sha256"):
            self.job.wait(timeout, progress)
            self.refresh()
        return self

    def download(self, path: str | Path) -> Path:
        """Save the file at ``path``; its SHA-256 is verified against the export's."""
        if not self.data.get("sha256"):
            raise NetwrightError(f"export {self.id} is {self.state}; wait for it before the download")
        destination = Path(path)
        self._exports.download(self.data["sha256"], destination)
        return destination


class Exports:
    """``client.exports``."""

    def __init__(self, connection: Connection, jobs: Jobs) -> None:
        self._connection, self._jobs = connection, jobs

    def create(
        self, subnet: str, *, format: str = "onnx", precision: str | None = None, opset: int | None = None
    ) -> Export:
        """Start an export, or return the one that exists; what is None is the server's default."""
        body = {"format": format, "precision": precision, "opset": opset}
        return self.get(self._connection.post(f"/v1/subnets/{subnet}/exports", body)["id"])

    def get(self, id: str) -> Export:
        """The export with this id."""
        return Export(self._connection.get(f"/v1/exports/{id}"), self, self._jobs)

    def download(self, sha256: str, destination: Path) -> None:
        """Save the artifact with this hash."""
        self._connection.download(f"/v1/artifacts/{sha256}", destination, sha256)
