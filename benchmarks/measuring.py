"""How well latency is measured and predicted here: ``python -m benchmarks.measuring [--json OUT]``.

Two parts. *Spread*: nets of 0.05-20 ms are recorded for ``--minutes`` with the other core quiet and again with it
busy; every candidate statistic is computed from the same recording, and compared by how much two measurements of a
net differ. *Predictions*: subnets of a zoo supernet are exported as ONNX and measured in several passes by the one
protocol; the latency predictor is fitted to ``--train`` spread subnets of the first pass and scored on the random
rest. "Quiet" is as quiet as the machine is left: how busy the other cores were stands beside the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.recording import Recording, neighbour, record
from benchmarks.spread import spread_rows
from predictors.acquire import spread_sample
from predictors.latency.bayesian_linear import BayesianLinear
from predictors.latency.features import LayerFeatures
from predictors.measuring.protocol import Timing
from predictors.measuring.references import SIZES, reference_net
from predictors.measuring.runtime import OnnxBlock, Session, machine_lock, pinned
from predictors.report import score
from predictors.scope import Scope
from predictors.targets.cpu import CpuTarget
from supernets.checkpoints import Supernet, load_supernet
from supernets.elastic.active import ElasticModel
from supernets.families.mobilenet_v3 import MobileNetV3, MobileNetV3Config
from supernets.spaces.space import Population

Values = NDArray[np.float64]
STATISTICS = ("latency_ms (ratio)", "raw min", "raw p50", "raw p90")
HALVES = ("quiet", "busy")
LOCK_S = 900.0
# Larger nets of the zoo's family: once-for-all's layout at these widths, archs spread over log MACs.
LADDER_WIDTHS, LADDER = (0.25, 1.0), 4
LADDER_POOL = 400


def main(arguments: Sequence[str] | None = None) -> None:
    """Record, measure, print the tables, write JSON."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    rows: list[dict[str, Any]] = []
    meta: dict[str, Any] = {"target": CpuTarget().describe()}
    if options.halves:
        recordings = _recordings(options, console)
        rows += spread_rows(recordings)
        meta["recordings"] = {half: _about(recording) for half, recording in recordings.items()}
    if options.archs:
        found, about = _predictions_part(options, console)
        rows += found
        meta |= about
    _print(rows, meta)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "meta": meta}, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.measuring", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--supernet", type=Path, default=Path("zoo/fashion_mnist"))
    parser.add_argument("--archs", type=int, default=125, help="subnets to predict in all; 0 for none")
    parser.add_argument("--train", type=int, default=25, help="of them for fitting the predictor")
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--halves", nargs="*", choices=HALVES, default=list(HALVES), help="halves to record")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each half")
    parser.add_argument(
        "--recordings", type=Path, help="folder to keep recordings in; a half that is there is not made again"
    )
    parser.add_argument("--json", type=Path, help="write rows and meta here")
    return parser


# --- spread ------------------------------------------------------------------------------------------------


def _recordings(options: argparse.Namespace, console: Console) -> dict[str, Recording]:
    """The recordings that are kept already, and the halves that are still missing."""
    with tempfile.TemporaryDirectory(prefix="netwright-measuring-") as name:
        folder = options.recordings or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        files: dict[str, Path] = {}
        for half in options.halves:
            kept = folder / f"{half}.npz"
            if not kept.exists():
                files = files or _ladder_files(options.supernet, Path(name), console)
                _record(files, half, options.minutes, console).save(kept)
        found = {half: folder / f"{half}.npz" for half in HALVES}
        return {half: Recording.load(path) for half, path in found.items() if path.exists()}


def _record(files: dict[str, Path], half: str, minutes: float, console: Console) -> Recording:
    session = Session()
    with machine_lock(LOCK_S), pinned(1) as cores, console.status(f"recording the {half} half") as status:
        references = {name: OnnxBlock(reference_net(name), session).wall_and_work for name in SIZES}
        nets = {name: OnnxBlock(path, session).wall_and_work for name, path in files.items()}
        with neighbour(cores) if half == "busy" else nullcontext():
            return record(
                nets,
                references,
                minutes,
                lambda seconds: status.update(f"{half} half: {seconds:.0f} of {60 * minutes:.0f} s"),
            )


def _ladder_files(supernet: Path, folder: Path, console: Console) -> dict[str, Path]:
    """ONNX files of the zoo supernet's ends and of ever larger nets of its family, with seeded weights."""
    import torch

    zoo = load_supernet(supernet)
    files = _export(zoo.net, zoo.space.encode([zoo.space.min(), zoo.space.max()]), folder, console)
    for width in LADDER_WIDTHS:
        torch.manual_seed(0)
        family = MobileNetV3(settings=MobileNetV3Config(base_width=width))
        space = family.space()
        pool = space.sample(np.random.default_rng(0), LADDER_POOL)
        pool = np.concatenate([space.encode([space.min()]), pool, space.encode([space.max()])])
        size = np.log(family.costs(pool)["macs"])
        steps = np.linspace(size.min(), size.max(), LADDER)
        wanted = np.unique([int(np.argmin(np.abs(size - step))) for step in steps])
        found = _export(family.build(), pool[wanted], folder / f"{width:g}", console)
        files |= {f"{width:g}/{name}": path for name, path in found.items()}
    return files


def _about(recording: Recording) -> dict[str, Any]:
    """What was recorded: nets with their median latency (ms), rounds, time, how busy the other cores were."""
    middle = np.median(recording.blocks[:, :, 1, 0, 0], axis=0)
    return {
        "nets_ms": {name: float(v) for name, v in zip(recording.names, middle, strict=True)},
        "rounds": len(recording.blocks),
        "seconds": recording.seconds,
        "other_cores_busy": recording.busy,
        "own_share_of_core": recording.own,
    }


# --- predictions -------------------------------------------------------------------------------------------


def _predictions_part(
    options: argparse.Namespace, console: Console
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of the predictor, and of the repeatability of what it was fitted to and scored on."""
    supernet = load_supernet(options.supernet)
    population = _archs(supernet, options.archs, options.train, options.seed)
    target = CpuTarget()
    with tempfile.TemporaryDirectory(prefix="netwright-measuring-") as folder:
        files = _export(supernet.net, population, Path(folder), console)
        passes, seconds = [], []
        for number in range(options.passes):
            start = time.perf_counter()
            with console.status(f"pass {number + 1} of {options.passes}: {len(files)} subnets"):
                passes.append(target.run(files).timings)
            seconds.append(time.perf_counter() - start)
    rows = [_repeatability(name, passes) for name in STATISTICS]
    rows += _predictions(supernet, population, passes, options.train)
    return rows, {
        "supernet": supernet.manifest.name,
        "archs": len(population),
        "passes": options.passes,
        "seconds_per_net": float(np.mean(seconds)) / len(population),
        "verdicts": [dict(Counter(timing.verdict for timing in timings)) for timings in passes],
        "load_average": os.getloadavg(),
        "calibrations_ms": {name: value.latency_ms for name, value in target.calibrations.items()},
    }


def _archs(supernet: Supernet, n: int, train: int, seed: int) -> Population:
    """Spread subnets for fitting first, then different random ones."""
    rng = np.random.default_rng(seed)
    features = LayerFeatures(supernet.family)
    spread = spread_sample(supernet.family, train, rng, features=features.standardised)
    rows = np.concatenate([spread, supernet.space.sample(rng, 10 * n)])
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)][:n]


def _export(net: ElasticModel, population: Population, folder: Path, console: Console) -> dict[str, Path]:
    from supernets.export.onnx import export_for_measuring
    from supernets.extract import extract
    from supernets.tasks.image_classification import ImageClassification

    task = ImageClassification()
    folder.mkdir(exist_ok=True)
    files = {}
    with console.status(f"exporting {len(population)} subnets"):
        for arch in net.family.space().decode(population):
            files[arch.id] = folder / f"{arch.id}.onnx"
            dimensions = net.family.dimensions(arch)
            example, interface = task.example(dimensions), task.interface(dimensions)
            export_for_measuring(extract(net, arch, None), example, files[arch.id], interface)
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
    columns = ("statistic", "half", "median", "p95", "max", "moved by a neighbour")
    spread = Table(*columns, title="difference between two measurements")
    fit = Table("predictor", "fitted", "held out", "median error", "Spearman", "coverage 90 %", "width 90 %")
    for row in rows:
        if "repeat_median" in row:
            figures = [f"{row[f'repeat_{k}']:.1%}" for k in ("median", "p95", "max")]
            moved = f"{row['moved_median']:.1%}" if "moved_median" in row else ""
            spread.add_row(row["method"], row.get("half", "two passes"), *figures, moved)
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
    for half, about in meta.get("recordings", {}).items():
        console.print(
            f"{half}: {about['seconds']:.0f} s, other cores {about['other_cores_busy']:.0%} busy, "
            f"own core {about['own_share_of_core']:.0%} ours"
        )
    if "archs" in meta:
        console.print(fit)
        console.print(
            f"{meta['archs']} subnets of {meta['supernet']}, {meta['seconds_per_net']:.2f} s each; "
            f"verdicts {meta['verdicts']}"
        )


if __name__ == "__main__":
    main()
