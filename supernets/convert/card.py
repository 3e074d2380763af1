"""The report card of a converted network that is not trained: its subnets are slices of the original."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from supernets.checkpoints import load_supernet, write_bytes, write_manifest
from supernets.data import DataSet
from supernets.device import choose
from supernets.evaluate import check_data
from supernets.manifest import Manifest
from supernets.official.nets import expecting
from supernets.report_card.card import report_card
from supernets.training.finish import report_text


def add_card(
    directory: Path,
    data: DataSet,
    *,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Put the report card of one-shot slicing into a supernet directory: statistics are recalibrated, weights are not.

    Raises:
        DataError: data other than those that the directory was made for.
    """
    supernet = load_supernet(directory)
    check_data(supernet, data)
    seen = expecting(data, supernet.manifest)
    net = supernet.net.to(choose(device))
    report = {**report_card(net, supernet.task, seen, progress=progress), **supernet.manifest.report}
    if data.report is not None:
        report["data"] = data.report.model_dump(mode="json")
    manifest = supernet.manifest.model_copy(update={"report": report})
    write_bytes(directory / "report.md", report_text(manifest).encode())
    write_manifest(directory, manifest)
    return manifest
