"""Processor time of recalibrating and evaluating subnets, through torch and through ONNX Runtime, interleaved.

``python -m benchmarks.evaluate --supernet zoo/cifar10``; the data lie in the folder named by ``NETWRIGHT_DATA``. The
arms take turns in one process on one thread; the figure is the minimum over the rounds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import supernets.evaluate as evaluation
from supernets.checkpoints import Supernet, load_supernet
from supernets.data import DataSet, load_data
from supernets.elastic.norm import BNStats
from supernets.evaluate import calibrate, example_scores
from supernets.spaces.space import Arch

ARMS = {"torch": float("inf"), "runtime": 0.0}


def processor_seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    """Processor time of one call on this thread, and what it returned."""
    began = time.thread_time()
    result = action()
    return time.thread_time() - began, result


def row(supernet: Supernet, data: DataSet, arch: Arch, rounds: int) -> dict[str, Any]:
    """Seconds of each arm for one arch, and on how many images they differ."""
    net, task = supernet.net, supernet.task
    timed: dict[str, list[float]] = {"recalibrate": [], **{name: [] for name in ARMS}}
    scores = {}
    for _ in range(rounds):
        seconds, stats = processor_seconds(lambda: calibrate(net, task, data, arch))
        timed["recalibrate"].append(seconds)
        for name, threshold in ARMS.items():
            evaluation.RUNTIME_FROM_MACS = threshold
            seconds, scores[name] = processor_seconds(lambda: _scores(supernet, data, arch, stats))  # noqa: B023
            timed[name].append(seconds)
    best = {name: min(values) for name, values in timed.items()}
    whole = {name: best["recalibrate"] + best[name] for name in ARMS}
    return {
        "arch": arch.id,
        "macs": float(supernet.family.costs(supernet.space.encode([arch]))["macs"][0]),
        "recalibrate_s": round(best["recalibrate"], 3),
        "torch_s": round(best["torch"], 3),
        "runtime_s": round(best["runtime"], 3),
        "evaluate_ratio": round(best["runtime"] / best["torch"], 3),
        "whole_ratio": round(whole["runtime"] / whole["torch"], 3),
        "images": len(scores["torch"]),
        "differing": int((scores["torch"] != scores["runtime"]).sum()),
    }


def _scores(supernet: Supernet, data: DataSet, arch: Arch, stats: BNStats) -> torch.Tensor:
    return example_scores(supernet.net, supernet.task, data, arch, stats, "validation")


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--supernet", type=Path, default=Path("zoo/digits"))
    parser.add_argument("--subnets", type=int, default=3, help="the smallest, the largest and random ones")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    supernet = load_supernet(arguments.supernet)
    data, space = load_data(supernet.manifest.data.name), supernet.space
    middle = space.decode(space.sample(np.random.default_rng(0), max(0, arguments.subnets - 2)))
    rows = [row(supernet, data, arch, arguments.rounds) for arch in (space.min(), *middle, space.max())]
    print(json.dumps({"supernet": supernet.manifest.name, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
