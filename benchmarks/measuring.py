"""How well latency is measured and predicted here: ``python -m benchmarks.measuring [--json OUT]``.

Subnets of a zoo supernet are exported as ONNX and measured in several passes by the one protocol. The first
table compares statistics by how much two passes differ; the second scores the latency predictor, fitted to
``--train`` spread subnets of the first pass, on the random rest. About 1 s a subnet on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from predictors.acquire import spread_sample
from predictors.latency.bayesian_linear import BayesianLinear
from predictors.latency.features import LayerFeatures
from predictors.protocol import Timing
from predictors.report import score
from predictors.scope import Scope
from predictors.targets.cpu import CpuTarget
from supernets.checkpoints import Supernet, load_supernet
from supernets.spaces.space import Population

Values = NDArray[np.float64]
STATISTICS = ("latency_ms (ratio)", "raw min", "raw p50", "raw p90")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print both tables, write JSON."""
    options = _parser().parse_args(arguments)
    supernet = load_supernet(options.supernet)
    population = _archs(supernet, options.archs, options.train, options.seed)
    target = CpuTarget()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="netwright-measuring-") as folder:
        files = _export(supernet, population, Path(folder), console)
        passes, seconds = [], []
        for number in range(options.passes):
            start = time.perf_counter()
            with console.status(f"pass {number + 1} of {options.passes}: {len(files)} subnets"):
                passes.append(target.measure(files))
            seconds.append(time.perf_counter() - start)
    rows = [_repeatability(name, passes) for name in STATISTICS]
    rows += _predictions(supernet, population, passes, options.train)
    meta = {
        "supernet": supernet.manifest.name,
        "archs": len(population),
        "passes": options.passes,
        "seconds_per_net": float(np.mean(seconds)) / len(population),
        "verdicts": [dict(Counter(timing.verdict for timing in timings)) for timings in passes],
        "load_average": os.getloadavg(),
        "target": target.describe(),
        "calibrations_ms": {name: value.latency_ms for name, value in target.calibrations.items()},
    }
    _print(rows, meta)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "meta": meta}, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.measuring", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--supernet", type=Path, default=Path("zoo/digits"))
    parser.add_argument("--archs", type=int, default=60, help="subnets in all")
    parser.add_argument("--train", type=int, default=25, help="of them for fitting the predictor")
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write rows and meta here")
    return parser


def _archs(supernet: Supernet, n: int, train: int, seed: int) -> Population:
    """Spread subnets for fitting first, then different random ones."""
    rng = np.random.default_rng(seed)
    features = LayerFeatures(supernet.family)
    spread = spread_sample(supernet.family, train, rng, features=features.standardised)
    rows = np.concatenate([spread, supernet.space.sample(rng, 10 * n)])
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)][:n]


def _export(supernet: Supernet, population: Population, folder: Path, console: Console) -> dict[str, Path]:
    import torch

    from supernets.export.onnx import export_for_measuring
    from supernets.extract import extract

    files = {}
    with console.status(f"exporting {len(population)} subnets"):
        for arch in supernet.space.decode(population):
            files[arch.id] = folder / f"{arch.id}.onnx"
            example = torch.zeros(1, *supernet.family.input_shape(arch))
            export_for_measuring(extract(supernet.net, arch, None), example, files[arch.id])
    return files


def _values(name: str, timings: Sequence[Timing]) -> Values:
    if name == STATISTICS[0]:
        return np.array([np.nan if t.latency_ms is None else t.latency_ms for t in timings])
    return np.array([timing.raw_ms[name.removeprefix("raw ")] for timing in timings])


def _repeatability(name: str, passes: Sequence[Sequence[Timing]]) -> dict[str, Any]:
    """How much one statistic differs between any two passes, relative."""
    values = [_values(name, timings) for timings in passes]
    pairs = [np.abs(left / right - 1) for left, right in combinations(values, 2)]
    differences = np.concatenate(pairs) if pairs else np.full(1, np.nan)
    return {
        "method": name,
        "repeat_median": float(np.nanmedian(differences)),
        "repeat_p95": float(np.nanquantile(differences, 0.95)),
        "repeat_max": float(np.nanmax(differences)),
        "lost": int(sum(np.isnan(v).sum() for v in values)),
    }


def _predictions(
    supernet: Supernet, population: Population, passes: Sequence[Sequence[Timing]], train: int
) -> list[dict[str, Any]]:
    """Held-out scores of the predictor fitted to the first pass, against every pass; and of MACs alone."""
    scope = Scope(
        supernet=supernet.manifest.weights_sha256,
        space_sha256=supernet.space.sha256,
        metric="latency_ms",
        target="here",
    )
    first = _values(STATISTICS[0], passes[0])
    known = np.isfinite(first) & (np.arange(len(first)) < train)
    model = BayesianLinear(supernet.family, scope)
    model.fit(population[known], first[known])
    macs = supernet.family.costs(population)["macs"]
    slope = np.polyfit(macs[known], first[known], 1)
    rows = []
    for number, timings in enumerate(passes):
        truth = _values(STATISTICS[0], timings)
        held = np.isfinite(truth) & (np.arange(len(truth)) >= train)
        report = score(model, population[held], truth[held]).as_json()
        rows.append({"method": f"ours, pass {number + 1}", "samples": int(known.sum()), **report})
        errors = np.abs(np.polyval(slope, macs[held]) / truth[held] - 1)
        ranks = np.corrcoef(macs[held].argsort().argsort(), truth[held].argsort().argsort())[0, 1]
        figures = {"n": int(held.sum()), "median_ape": float(np.median(errors)), "mape": float(errors.mean())}
        rows.append(
            {
                "method": f"MACs, pass {number + 1}",
                "samples": int(known.sum()),
                "spearman": float(ranks),
                **figures,
            }
        )
    return rows


def _print(rows: Sequence[dict[str, Any]], meta: dict[str, Any]) -> None:
    spread = Table("statistic", "median", "p95", "max", title="difference between two passes")
    fit = Table("predictor", "fitted", "held out", "median error", "Spearman", "coverage 90 %", "width 90 %")
    for row in rows:
        if "repeat_median" in row:
            spread.add_row(row["method"], *(f"{row[f'repeat_{k}']:.1%}" for k in ("median", "p95", "max")))
            continue
        extra = [f"{row[k]:.1%}" if k in row else "" for k in ("coverage90", "width90")]
        fit.add_row(
            row["method"],
            str(row["samples"]),
            str(row["n"]),
            f"{row['median_ape']:.1%}",
            f"{row['spearman']:.3f}",
            *extra,
        )
    console = Console()
    console.print(spread)
    console.print(fit)
    console.print(
        f"{meta['archs']} subnets of {meta['supernet']}, {meta['seconds_per_net']:.2f} s each; "
        f"verdicts {meta['verdicts']}"
    )


if __name__ == "__main__":
    main()
