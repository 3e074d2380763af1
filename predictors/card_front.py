"""Quality against a target's latency, of subnets that span a supernet: what its report card shows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from predictors.acquire import spread_sample
from predictors.errors import MeasureError
from predictors.measuring.protocol import PROTOCOL_VERSION, STATISTIC, Protocol, Timing
from predictors.targets.target import Target
from supernets.checkpoints import Supernet
from supernets.data import DataSet
from supernets.evaluate import evaluate_arch
from supernets.metrics import LATENCY, MACS
from supernets.report_card.card import spearman
from supernets.spaces.space import Arch
from supernets.tasks.task import at_sequence

SUBNETS = 30
FEWEST = 3

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the number done, and the total."""


def card_front(
    supernet: Supernet,
    data: DataSet,
    target: Target,
    *,
    subnets: int = SUBNETS,
    seed: int = 0,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Latency (ms, lower is better) and validation quality of ``subnets``, fastest first, as JSON.

    All are timed interleaved in one run. ``on_front`` marks those that no faster one equals in quality.

    Raises:
        DataError: other data than the supernet was trained on.
        MeasureError: fewer than three of them could be timed.
    """
    space = supernet.space
    rows = spread_sample(supernet.family, min(subnets, space.size()), np.random.default_rng(seed))
    archs = space.decode(rows)
    timings = _timed(supernet, archs, target, protocol, progress)
    macs = supernet.family.costs(rows)[MACS]
    points = []
    for done, (arch, timing, cost) in enumerate(zip(archs, timings, macs, strict=True), start=1):
        if timing.usable:
            found = evaluate_arch(supernet, data, arch, "validation")
            points.append(
                {
                    "arch": arch.as_dict(),
                    MACS: float(cost),
                    LATENCY: timing.latency_ms,
                    "standard_error_ms": timing.standard_error_ms,
                    "verdict": timing.verdict,
                    "value": found.value,
                    "standard_error": found.standard_error,
                }
            )
        if progress:
            progress("evaluating", done, len(archs))
    if len(points) < FEWEST:
        raise MeasureError(
            f"a front needs {FEWEST} subnets with a latency, got {len(points)} of {len(archs)}; "
            f"verdicts: {', '.join(sorted({timing.verdict for timing in timings}))}"
        )
    return _card(points, target, len(archs), supernet.task.metric.sign)


def _timed(
    supernet: Supernet,
    archs: list[Arch],
    target: Target,
    protocol: Protocol | None,
    progress: Progress | None,
) -> list[Timing]:
    """Timings of the archs, whose files live no longer than the run."""
    from supernets.export.onnx import export_for_measuring
    from supernets.extract import extract

    settings = target.settings
    with tempfile.TemporaryDirectory(prefix="netwright-card-") as folder:
        files = {}
        for index, arch in enumerate(archs):
            path = Path(folder) / f"{index}.onnx"
            dimensions = at_sequence(supernet.family.dimensions(arch), settings.sequence)
            example = supernet.task.example(dimensions, settings.batch)
            interface = supernet.task.interface(dimensions)
            export_for_measuring(extract(supernet.net, arch, None), example, path, interface)
            files[str(index)] = path
            if progress:
                progress("writing", index + 1, len(archs))
        return target.run(files, protocol, progress=progress).timings


def _card(points: list[dict[str, Any]], target: Target, asked: int, sign: float) -> dict[str, object]:
    """The card; ``sign`` times the quality is minimised."""
    points = sorted(points, key=lambda point: (point[LATENCY], sign * point["value"]))
    best = np.inf
    for point in points:
        point["on_front"] = bool(sign * point["value"] < best)
        best = min(best, sign * point["value"])
    latency, quality, macs = ([point[key] for point in points] for key in (LATENCY, "value", MACS))
    facts = target.describe()
    return {
        "device": _words(facts["device"], "cpu", "model", "name"),
        "runtime": _words(facts["runtime"], "name", "version"),
        "settings": facts["settings"],
        "fingerprint": target.fingerprint,
        "statistic": STATISTIC,
        "protocol_version": PROTOCOL_VERSION,
        "asked": asked,
        "split": "validation",
        "spearman_macs_latency": spearman(np.array(macs), np.array(latency)),
        "spearman_latency_quality": spearman(np.array(latency), np.array(quality)),
        "points": points,
    }


def _words(values: dict[str, object], *keys: str) -> str:
    """The values of ``keys``, in words."""
    return " ".join(str(values[key]) for key in keys if values.get(key))
