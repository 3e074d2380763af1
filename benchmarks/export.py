"""How long an export takes, with torch's exporter and written directly, and whether both files run equally fast.

    python -m benchmarks.export [--supernet zoo/digits | --official KIND] [--subnets 4] [--rounds 60]

Times are processor seconds of one thread. ``direct_s`` is the whole export: writing, checking and the comparison with
the network on as many images as an export job uses. ``--official`` takes a released supernet with random weights,
which cost the same. Latencies of both files are timed in adjacent blocks and their ratio is reported, for on a shared
machine the times themselves move by tens of percent. ``same_file_ratio`` is what two sessions of one file give.
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
from supernets.elastic.active import ElasticModel
from supernets.export.exporter import Run
from supernets.export.onnx import OnnxExporter
from supernets.export.parity import prove_parity
from supernets.export.subnet import parity_count
from supernets.extract import extract
from supernets.families.family import Family
from supernets.official.nets import OFFICIAL
from supernets.tasks.image_classification import ImageClassification
from supernets.tasks.task import Interface, Task

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


def processor_seconds(action: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    action()
    return time.process_time() - start


def row(net: nn.Module, images: Tensor, interface: Interface, folder: Path, rounds: int) -> dict[str, float]:
    """Seconds of each exporter, how far their files are from the network, and the ratio of their latencies."""
    exporter, reference, fast = OnnxExporter(), folder / "reference.onnx", folder / "fast.onnx"
    example, parities = (images[:1],), []

    def direct() -> None:
        exporter.export(net, example, fast, interface)
        parities.append(prove_parity(net, fast, (images,), interface).max_error)

    def by_torch() -> None:
        OnnxExporter(direct=False).export(net, example, reference, interface)
        parities.append(prove_parity(net, reference, (images,), interface).max_error)

    timed = {"direct_s": processor_seconds(direct), "torch_s": processor_seconds(by_torch)}
    timed |= {"direct_error": parities[0], "torch_error": parities[1]}
    feed = {interface.inputs[0].name: images[:1].numpy()}
    ratio, error = speed_ratio(exporter.load(reference), exporter.load(fast), feed, rounds)
    null, _ = speed_ratio(exporter.load(reference), exporter.load(reference), feed, rounds)
    return timed | {"latency_ratio": ratio, "ratio_standard_error": error, "same_file_ratio": null}


def opened(folder: Path, official: str | None) -> tuple[Family, ElasticModel, Task]:
    """Family, network and task of a supernet's folder, or of a released one with random weights."""
    if official is None:
        supernet = load_supernet(folder)
        return supernet.family, supernet.net, supernet.task
    family = OFFICIAL[official].make_family()
    torch.manual_seed(0)
    return family, family.build().eval(), ImageClassification()


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--supernet", type=Path, default=Path("zoo/digits"))
    parser.add_argument("--official", choices=list(OFFICIAL))
    parser.add_argument("--subnets", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    family, net, task = opened(arguments.supernet, arguments.official)
    space, generator = family.space(), torch.Generator().manual_seed(0)
    middle = space.decode(space.sample(np.random.default_rng(0), max(0, arguments.subnets - 2)))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for arch in [space.min(), *middle, space.max()]:
            dimensions = family.dimensions(arch)
            interface = task.interface(dimensions)
            (example,) = task.example(dimensions, parity_count(dimensions))
            images = torch.randn(example.shape, generator=generator)
            found = row(extract(net, arch, None), images, interface, Path(folder), arguments.rounds)
            rows.append(
                {"arch": arch.as_dict()} | {key: float(f"{value:.4g}") for key, value in found.items()}
            )
    print(json.dumps({"supernet": arguments.official or str(arguments.supernet), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
