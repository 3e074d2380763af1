"""Processor time of recalibrating and evaluating subnets: plain torch against what a search runs, interleaved.

``python -m benchmarks.evaluate --supernet zoo/cifar10``; the data lie in the folder named by ``NETWRIGHT_DATA``. The
arms take turns in one process on one thread; a figure is the minimum over the rounds. ``plain`` prepares the images
of every subnet again and runs both passes through torch in batches of 256.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from supernets.checkpoints import Supernet, load_supernet
from supernets.data import DataSet, load_data
from supernets.elastic.active import Inputs, use
from supernets.elastic.norm import BNStats, CollectStats
from supernets.evaluate import (
    BATCH_SIZE,
    CALIBRATION_EXAMPLES,
    Evaluation,
    calibrate,
    evaluate_arch,
    evaluate_archs,
    example_scores,
)
from supernets.spaces.space import Arch

Result = TypeVar("Result")


def processor_seconds(action: Callable[[], Result]) -> tuple[float, Result]:
    """Processor time of one call on this thread, and what it returned."""
    began = time.thread_time()
    result = action()
    return time.thread_time() - began, result


def plain_statistics(supernet: Supernet, data: DataSet, arch: Arch) -> BNStats:
    """BatchNorm statistics of one forward pass in torch."""
    collect, images = CollectStats(), data.train.head(CALIBRATION_EXAMPLES)
    with torch.no_grad(), use(supernet.net.eval(), arch, norm=collect):
        inputs = _inputs(supernet, data, arch, images)
        parts = (each.tensor_split(max(1, len(images) // BATCH_SIZE)) for each in inputs)
        for batch in zip(*parts, strict=True):
            supernet.net(*batch)
    return collect.stats(arch)


def plain_scores(supernet: Supernet, data: DataSet, arch: Arch, stats: BNStats) -> Tensor:
    """Scores ``(n,)`` of the validation split by torch."""
    split, task, found = data.validation, supernet.task, []
    with torch.no_grad(), use(supernet.net.eval(), arch, stats):
        for images, labels in zip(
            torch.split(split.images, BATCH_SIZE), torch.split(split.labels, BATCH_SIZE), strict=True
        ):
            outputs = supernet.net(*_inputs(supernet, data, arch, images))
            found.append(task.scores(outputs, task.targets(labels, data)))
    return torch.cat(found)


def _inputs(supernet: Supernet, data: DataSet, arch: Arch, images: Tensor) -> Inputs:
    return supernet.task.prepare(images, data.preprocessing(), supernet.family.dimensions(arch))


def row(supernet: Supernet, data: DataSet, arch: Arch, rounds: int) -> dict[str, str | float | list[float]]:
    """Seconds of each arm for one arch, and on how many images they differ."""
    net = supernet.net
    timed: dict[str, list[float]] = {}

    def note(name: str, action: Callable[[], Result]) -> Result:
        seconds, result = processor_seconds(action)
        timed.setdefault(name, []).append(seconds)
        return result

    for _ in range(rounds):
        plain_stats = note("plain_recalibrate_s", lambda: plain_statistics(supernet, data, arch))
        stats = note("recalibrate_s", lambda: calibrate(net, supernet.task, data, arch))
        plain = note("plain_evaluate_s", lambda: plain_scores(supernet, data, arch, plain_stats))  # noqa: B023
        scores = note(
            "evaluate_s",
            lambda: example_scores(net, supernet.task, data, arch, stats, "validation"),  # noqa: B023
        )
    best = {name: min(values) for name, values in timed.items()}
    whole = best["recalibrate_s"] + best["evaluate_s"]
    pass_s = best["plain_evaluate_s"] * min(CALIBRATION_EXAMPLES, len(data.train)) / len(scores)
    return {
        "arch": arch.id,
        "macs": float(supernet.family.costs(supernet.space.encode([arch]))["macs"][0]),
        **{name: round(value, 3) for name, value in best.items()},
        "ratios": _ratios(timed),
        "recalibrate_in_passes": round(best["recalibrate_s"] / pass_s, 2),
        "evaluate_ratio": round(best["evaluate_s"] / best["plain_evaluate_s"], 3),
        "whole_ratio": round(whole / (best["plain_recalibrate_s"] + best["plain_evaluate_s"]), 3),
        "first_whole_s": round(timed["recalibrate_s"][0] + timed["evaluate_s"][0], 3),
        "images": len(scores),
        "differing": int((plain != scores).sum()),
    }


def _ratios(timed: Mapping[str, list[float]]) -> list[float]:
    """The ratio of the whole in each round but the first, in which images are prepared that are kept then."""
    rounds = [dict(zip(timed, seconds, strict=True)) for seconds in zip(*timed.values(), strict=True)]
    return [
        round(
            (each["recalibrate_s"] + each["evaluate_s"])
            / (each["plain_recalibrate_s"] + each["plain_evaluate_s"]),
            3,
        )
        for each in rounds[1:]
    ]


def overlapped(supernet: Supernet, data: DataSet, archs: list[Arch], rounds: int) -> dict[str, object]:
    """Wall-clock seconds of evaluating archs one after the other, and with the next one recalibrated meanwhile."""

    def seconds(action: Callable[[], list[Evaluation]]) -> float:
        began = time.perf_counter()
        values.append([each.value for each in action()])
        return time.perf_counter() - began

    values: list[list[float]] = []
    alone, together = [], []
    for _ in range(rounds):
        alone.append(seconds(lambda: [evaluate_arch(supernet, data, arch, "validation") for arch in archs]))
        together.append(seconds(lambda: list(evaluate_archs(supernet, data, archs, "validation"))))
    return {
        "threads": torch.get_num_threads(),
        "subnets": len(archs),
        "one_after_another_s": [round(each, 2) for each in alone],
        "overlapped_s": [round(each, 2) for each in together],
        "same_values": all(each == values[0] for each in values),
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--supernet", type=Path, default=Path("zoo/digits"))
    parser.add_argument("--subnets", type=int, default=3, help="the smallest, the largest and random ones")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--threads", type=int, default=1, help="from 2 on: wall-clock time of overlapping the random ones"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    supernet = load_supernet(arguments.supernet)
    data, space = load_data(supernet.manifest.data.name), supernet.space
    middle = space.decode(space.sample(np.random.default_rng(0), max(0, arguments.subnets - 2)))
    if arguments.threads > 1:
        few = [*middle, *middle]
        print(
            json.dumps(
                {"supernet": supernet.manifest.name, **overlapped(supernet, data, few, arguments.rounds)}
            )
        )
        return
    rows = [row(supernet, data, arch, arguments.rounds) for arch in (space.min(), *middle, space.max())]
    print(json.dumps({"supernet": supernet.manifest.name, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
