"""How long an export takes, and whether files that are only measured run as fast as those handed out.

    python -m benchmarks.export [--supernet zoo/digits] [--subnets 4] [--rounds 60]

Both files of a subnet are timed in adjacent blocks; the ratio is reported, for on a shared machine the
times themselves move by tens of percent from one minute to the next. ``same_file_ratio`` is what two sessions
of one and the same file give.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from supernets.checkpoints import load_supernet
from supernets.export.exporter import Run
from supernets.export.onnx import OnnxExporter, export_for_measuring
from supernets.export.parity import prove_parity
from supernets.extract import extract
from supernets.tasks.task import Interface

BLOCK_SECONDS = 0.015


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def speed_ratio(first: Run, second: Run, image: dict[str, np.ndarray], rounds: int) -> tuple[float, float]:
    """Median over ``rounds`` of (time of ``second`` / time of ``first``), and its standard error."""
    single = min(seconds(lambda: first(image)) for _ in range(20))
    repeats = max(1, int(BLOCK_SECONDS / single))

    def block(run: Run) -> float:
        return min(seconds(lambda: run(image)) for _ in range(repeats))

    ratios = []
    for index in range(rounds):
        if index % 2:
            ratios.append(block(second) / block(first))
        else:
            ratios.append(1 / (block(first) / block(second)))
    error = 1.25 * statistics.stdev(ratios) / len(ratios) ** 0.5
    return statistics.median(ratios), error


def row(net: nn.Module, images: Tensor, interface: Interface, folder: Path, rounds: int) -> dict[str, float]:
    """Seconds that each exporter and the proof take, and the ratio of the files' latencies."""
    exporter, reference, fast = OnnxExporter(), folder / "reference.onnx", folder / "fast.onnx"
    timed = {
        "reference_s": seconds(lambda: exporter.export(net, (images[:1],), reference, interface)),
        "measuring_s": seconds(lambda: export_for_measuring(net, (images[:1],), fast, interface)),
        "parity_s": seconds(lambda: prove_parity(net, reference, (images,), interface)),
    }
    feed = {interface.inputs[0].name: images[:1].numpy()}
    ratio, error = speed_ratio(exporter.load(reference), exporter.load(fast), feed, rounds)
    null, _ = speed_ratio(exporter.load(reference), exporter.load(reference), feed, rounds)
    return timed | {"latency_ratio": ratio, "ratio_standard_error": error, "same_file_ratio": null}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--supernet", type=Path, default=Path("zoo/digits"))
    parser.add_argument("--subnets", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    supernet = load_supernet(arguments.supernet)
    space, generator = supernet.family.space(), torch.Generator().manual_seed(0)
    middle = space.decode(space.sample(np.random.default_rng(0), max(0, arguments.subnets - 2)))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for arch in [space.min(), *middle, space.max()]:
            dimensions = supernet.family.dimensions(arch)
            interface = supernet.task.interface(dimensions)
            (example,) = supernet.task.example(dimensions, 8)
            images = torch.randn(example.shape, generator=generator)
            found = row(extract(supernet.net, arch, None), images, interface, Path(folder), arguments.rounds)
            rows.append({"arch": arch.as_dict()} | {key: round(value, 4) for key, value in found.items()})
    print(json.dumps({"supernet": supernet.manifest.name, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
