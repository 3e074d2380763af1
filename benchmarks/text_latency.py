"""How well 30 measured transformers predict others on this CPU: ``python -m benchmarks.text_latency --json FILE``.

The family is an encoder of MiniLM's size. 30 subnets that span the space are measured as a fit needs them, interleaved
with as many random others that no predictor sees. Weights are random: they change no latency.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from predictors import PREDICTORS
from predictors.acquire import spread_sample
from predictors.choice import kinds_for
from predictors.latency.features import LayerFeatures
from predictors.scope import Scope
from predictors.targets.cpu import CpuSettings, CpuTarget
from supernets.checkpoints import write_bytes
from supernets.elastic.active import ElasticModel
from supernets.export.onnx import export_for_measuring
from supernets.extract import extract
from supernets.families.bert import Bert
from supernets.metrics import LATENCY, metric_named
from supernets.tasks.task import at_sequence
from supernets.tasks.text_classification import TextClassification

SIZES = {"num_classes": 150, "vocabulary": 1000, "pooling": "mean", "pooler": "none", "keep": "spread"}
"""A small table of words: it is read, not multiplied, and would be most of every file."""


def measured(net: ElasticModel, rows: np.ndarray, target: CpuTarget, sequence: int) -> list[dict[str, Any]]:
    """Timings of the subnets, in one interleaved run."""
    task, family = TextClassification(), net.family
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for index, arch in enumerate(family.space().decode(rows)):
            dimensions = at_sequence(family.dimensions(arch), sequence)
            files[str(index)] = Path(folder) / f"{index}.onnx"
            export_for_measuring(
                extract(net, arch, None),
                task.example(dimensions, target.settings.batch),
                files[str(index)],
                task.interface(dimensions),
            )
        timings = target.run(files, None, progress=lambda *words: print(*words, flush=True)).timings
    return [
        {"ms": each.latency_ms, "standard_error": each.standard_error_ms, "verdict": each.verdict}
        for each in timings
    ]


def errors(family: Bert, fit: np.ndarray, test: np.ndarray, times: list[dict[str, Any]]) -> dict[str, Any]:
    """Median relative error and rank correlation on the test part, of each kind of predictor."""
    values = np.array([np.nan if each["ms"] is None else each["ms"] for each in times])
    known = np.isfinite(values)
    first, others = np.arange(len(values)) < len(fit), np.arange(len(values)) >= len(fit)
    rows = np.concatenate([fit, test])
    scope = Scope(supernet="0" * 64, space_sha256=family.space().sha256, metric=LATENCY, target="here")
    found = {}
    for kind in kinds_for(metric_named(LATENCY)):
        model = PREDICTORS.load(kind)(family, scope)
        if model.uses_sources:
            continue
        model.fit(rows[first & known], values[first & known])
        mean, _ = model.predict(rows[others & known])
        truth = values[others & known]
        relative = np.abs(mean / truth - 1)
        ranks = np.corrcoef(np.argsort(np.argsort(mean)), np.argsort(np.argsort(truth)))[0, 1]
        found[kind] = {
            "median_error": float(np.median(relative)),
            "p90_error": float(np.quantile(relative, 0.9)),
            "spearman": float(ranks),
        }
    return {"fitted": int((first & known).sum()), "tested": int((others & known).sum()), "kinds": found}


def main() -> None:
    """Measure, fit, predict, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequence", type=int, default=32)
    parser.add_argument("--fit", type=int, default=30)
    parser.add_argument("--test", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    family = Bert.from_config({**SIZES, "sequence": given.sequence})
    rng = np.random.default_rng(given.seed)
    fit = spread_sample(family, given.fit, rng, features=LayerFeatures(family).standardised)
    pool = family.space().sample(rng, 4 * given.test)
    seen = {tuple(row) for row in fit}
    test = np.array([row for row in pool if tuple(row) not in seen][: given.test])
    target = CpuTarget(CpuSettings(sequence=given.sequence))
    times = measured(family.build().eval(), np.concatenate([fit, test]), target, given.sequence)
    write_bytes(given.json, json.dumps({"times": times}).encode() + b"\n")
    result = {
        "sequence": given.sequence,
        "seed": given.seed,
        "family": family.config(),
        "target": target.describe(),
        **errors(family, fit, test, times),
        "times": times,
    }
    write_bytes(given.json, json.dumps(result, indent=1, default=str).encode() + b"\n")
    for kind, row in result["kinds"].items():
        print(
            f"{kind}: median {row['median_error']:.1%}, p90 {row['p90_error']:.1%}, Spearman {row['spearman']:.3f}"
        )


if __name__ == "__main__":
    main()
