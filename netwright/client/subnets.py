"""Subnets, their fine-tunes and their exported files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Unpack

from netwright.client.http import models
from netwright.client.http.decode import read
from netwright.client.http.requests import ExportOptions, FineTuneOptions, FinetunesQuery
from netwright.client.jobs import DEFAULT_TIMEOUT_S, OnProgress, Pending
from netwright.client.resource import Collection, Listing, Resource, checked
from netwright.client.targets import Targets
from netwright.errors import NetwrightError
from netwright.hub import MODEL, Change, Latency, hub_files, write_folder
from netwright.metric_names import LATENCY


class Export(Pending, models.ExportView):
    """A subnet as a file, verified to give the supernet's own output (``parity``)."""

    path: ClassVar[str] = "/v1/exports"
    shown: ClassVar[tuple[str, ...]] = ("id", "subnet", "format", "precision", "state", "bytes")

    def download(self, path: str | Path) -> Path:
        """Save the file at ``path``; its SHA-256 is checked."""
        if self.sha256 is None:
            raise NetwrightError(f"export {self.id} is {self.state}; wait for it before the download")
        self._connection.download(f"/v1/artifacts/{self.sha256}", Path(path), self.sha256)
        return Path(path)

    def save_hub(self, folder: str | Path) -> Path:
        """Save the ONNX file as a folder in the layout of the Hugging Face hub; nothing is uploaded.

        ``model.onnx``, ``README.md`` (the model card), ``config.json`` and ``preprocessor_config.json``.
        """
        if self.format != "onnx":
            raise NetwrightError(f"a folder for the hub needs the format onnx, this export is {self.format}")
        folder = Path(folder)
        subnet = Subnets(self._connection).get(self.subnet)
        names = Targets(self._connection).names()
        latencies: dict[str, Latency] = {}
        for row in subnet.measurements:
            if row.metric == LATENCY and row.target and row.target not in latencies and not row.stale:
                name = names.get(row.target, row.target)
                latencies[row.target] = Latency(name, row.value, row.spread, row.n)
        self.download(folder / MODEL)
        changes = {each.precision: change for each in subnet.exports if (change := change_of(each))}
        write_folder(folder, hub_files(self.metadata, subnet.costs, list(latencies.values()), changes))
        return folder


def change_of(export: models.ExportView) -> Change | None:
    """What the precision of a file changes; None for a file in fp32."""
    change = (export.parity or {}).get("change")
    return None if change is None else read(Change, change)


class Exports(Collection[Export]):
    """``client.exports``."""

    kind, noun = Export, "export"

    def create(self, subnet: str, **options: Unpack[ExportOptions]) -> Export:
        """Start an export, or return the existing one; ``target`` is an id or a name."""
        body = checked(options, ExportOptions)
        if options.get("target"):
            body["target"] = Targets(self._connection).id_of(str(options["target"]))
        return self.get(self._connection.post(f"/v1/subnets/{subnet}/exports", body)["id"])


class Downloadable(Resource):
    """A subnet, or a point of a front, whose network can be downloaded."""

    def download_onnx(
        self,
        path: str | Path,
        *,
        timeout: float = DEFAULT_TIMEOUT_S,
        progress: OnProgress | bool | None = None,
        **options: Unpack[ExportOptions],
    ) -> Export:
        """Export the subnet unless that was done before, wait, and save the verified ONNX file at ``path``.

        Returns the export's record (``parity``, ``sha256``, ``metadata``).
        """
        export = Exports(self._connection).create(self.id, **options).wait(timeout, progress)
        export.download(path)
        return export


class Subnet(Downloadable, models.SubnetView):
    """An arch of a supernet: costs, measurements, exports."""

    path: ClassVar[str] = "/v1/subnets"
    shown: ClassVar[tuple[str, ...]] = ("id", "supernet", "costs", "arch")


class Subnets(Collection[Subnet]):
    """``client.subnets``."""

    kind, noun = Subnet, "subnet"


class FineTune(Pending, models.FineTuneView):
    """A subnet with weights of its own; ``change`` is its quality before and after."""

    path: ClassVar[str] = "/v1/finetunes"
    shown: ClassVar[tuple[str, ...]] = ("id", "subnet", "data", "state", "classifier")


class FineTunes(Collection[FineTune]):
    """``client.finetunes``."""

    kind, noun = FineTune, "fine-tune"

    def create(self, subnet: str, **options: Unpack[FineTuneOptions]) -> FineTune:
        """Start to train a subnet further, by default on the images of its supernet."""
        body = checked(options, FineTuneOptions)
        return self.get(self._connection.post(f"/v1/subnets/{subnet}/finetunes", body)["id"])

    def list(self, **filters: Unpack[FinetunesQuery]) -> Listing[FineTune]:
        """All fine-tunes that match, newest first."""
        return self._listed(checked(filters, FinetunesQuery))
