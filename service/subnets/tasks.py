"""Tasks of a child process: evaluate subnets, or export one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from service.runtime.task import Progress, out_of_time
from service.supernets.bench import open_bench

Payload = dict[str, Any]


def evaluate(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Quality of a population on a split; returns ``evaluations`` in its order.

    Fewer when the time ``until`` has come, which is noticed before each.
    """
    from supernets.evaluate import evaluate_arch

    bench = open_bench(payload["bench"])
    archs = bench.family.space().decode(bench.population(payload["population"]))
    found = []
    for index, arch in enumerate(archs):
        if out_of_time(payload.get("until")):
            break
        evaluation = evaluate_arch(bench.supernet, bench.data, arch, payload["split"])
        found.append(evaluation.as_json())
        progress(index + 1, len(archs), f"evaluated {index + 1} of {len(archs)} on {payload['split']}")
    return {"evaluations": found}


def export(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Write a subnet with the reference exporter, prove it on real images, and store the file."""
    from supernets import EXPORTERS
    from supernets.evaluate import calibrated
    from supernets.export.metadata import file_metadata
    from supernets.export.parity import prove_parity
    from supernets.extract import extract

    bench = open_bench(payload["bench"])
    arch = bench.family.space().arch(payload["arch"])
    task, dimensions = bench.supernet.task, bench.family.dimensions(arch)
    progress(0, 3, "recalibrating")
    stats = calibrated(bench.supernet, bench.data, arch)
    net = extract(bench.supernet.net, arch, stats)
    stored, preprocessing = bench.data.test.images[: payload["images"]], bench.data.preprocessing()
    examples, interface = task.prepare(stored, preprocessing, dimensions), task.interface(dimensions)
    metadata = file_metadata(
        supernet=bench.manifest.name,
        arch=arch.as_dict(),
        weights_sha256=bench.manifest.weights_sha256,
        stats_sha256=stats.sha256,
        preprocessing={**preprocessing, **dimensions},
        task=task.name,
        classes=bench.manifest.classes,
        quality=payload["quality"],
        licence=bench.manifest.licence,
    )
    with tempfile.TemporaryDirectory(prefix="netwright-export-") as folder:
        path = Path(folder) / "subnet.onnx"
        progress(1, 3, "exporting")
        exporter = EXPORTERS.load(payload["format"])()
        few = tuple(each[:2] for each in examples)
        exported = exporter.export(net, few, path, interface, metadata=metadata, opset=payload["opset"])
        progress(2, 3, "proving that the file equals the network")
        parity = prove_parity(net, path, examples, interface, exporter=payload["format"])
        sha256, size = bench.store.put_file(path)
    return {
        "sha256": sha256,
        "bytes": size,
        "exporter": exported.as_json(),
        "parity": parity.as_json(),
        "metadata": metadata,
    }
