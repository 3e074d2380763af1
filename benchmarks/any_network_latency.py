"""Limits in measured latency instead of MACs: ``python -m benchmarks.any_network_latency --json DIR``.

DIR holds results of ``benchmarks.any_network_training`` with its folder ``work``: the trained networks. Those of every
arm that trains networks one by one are exported and measured on one core of this CPU, by the protocol of Netwright. The
five latencies of one arm (``--limits``) are the limits. For each of them a subnet of the trained supernet is searched:

* a latency predictor (``bayesian_linear``) is fitted to ``--measured`` subnets that span the space, and a quality
  predictor (``gaussian_process``) to validation accuracies of these and of random ones, ``--evaluated`` in all;
* ``--rounds`` times the search proposes ``--finalists`` subnets for each limit, which are evaluated on validation
  examples, and the quality predictor is fitted again; the slices chosen by MACs are finalists too;
* all networks and finalists are measured interleaved in one run. Of the finalists whose measured latency is within the
  limit, measured in the same run, the one with the best expected accuracy is chosen. Its test accuracy is reported.

One seed is one unit, a file in ``DIR/latency``; what is done is not done again. ``--only-table`` prints the tables.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.any_network_training import ALONE, SHARES, sliced_archs
from benchmarks.any_network_training import Setup as Trainings
from benchmarks.figures import read_figures
from predictors import PREDICTORS
from predictors.acquire import spread_sample
from predictors.measuring.protocol import Protocol
from predictors.predictor import Predictor
from predictors.scope import Scope
from predictors.targets.cpu import CpuTarget
from search.constraints import Constraint, Key
from search.problem import Problem, Surrogate
from search.propose import propose
from supernets.checkpoints import write_bytes
from supernets.data import DataSet, load_data
from supernets.elastic.active import ElasticModel
from supernets.evaluate import evaluate_net
from supernets.export.onnx import export_for_measuring
from supernets.extract import extract
from supernets.families.converted.traced_space import TracedFamily
from supernets.metrics import ACCURACY, LATENCY
from supernets.spaces.space import Arch, Population
from supernets.tasks.image_classification import ImageClassification
from supernets.training.further import read_source
from supernets.training.steps.state import taken

Values = dict[str, Any]
TASK = ImageClassification()
SETTINGS = ("supernet", "limits", "measured", "evaluated", "rounds", "finalists")


def trained_net(folder: Path) -> ElasticModel:
    """The network that a finished training left in its folder."""
    source = read_source(folder)
    net = source.family.build()
    net.load_weights(taken(source.tensors, "average.") or taken(source.tensors, "net."))
    return net.eval()


@dataclass(frozen=True)
class Seed:
    """The trained networks of one seed."""

    folder: Path
    seed: int
    data: DataSet
    given: argparse.Namespace

    @property
    def work(self) -> Path:
        """States of the trainings."""
        return self.folder / "work" / str(self.seed)

    def result(self, arm: str) -> Values | None:
        """What the training of an arm found, None where it was not done."""
        path = self.folder / f"{arm}-{self.seed}.json"
        return read_figures(path) if path.is_file() else None

    @cached_property
    def supernet(self) -> ElasticModel:
        """The trained supernet."""
        return trained_net(self.work / self.given.supernet)

    @cached_property
    def family(self) -> TracedFamily:
        """That of the supernet."""
        family = self.supernet.family
        assert isinstance(family, TracedFamily)
        return family

    @cached_property
    def slices(self) -> list[Arch]:
        """The subnets with the shares of the MACs, chosen before the supernet was trained."""
        result = self.result(self.given.supernet)
        assert result is not None
        given = argparse.Namespace(json=self.folder, **{"net": "resnet", **result["settings"]})
        return sliced_archs(Trainings(self.data, self.seed, given))[1]

    def quality(self, arch: Arch, split: str) -> float:
        """Accuracy of a subnet with recalibrated BatchNorms."""
        return evaluate_net(self.supernet, TASK, self.data, arch, split).value


# --- measuring --------------------------------------------------------------------------------------


def export(net: ElasticModel, arch: Arch, path: Path) -> Path:
    """The subnet as an ONNX file for one image."""
    dimensions = net.family.dimensions(arch)
    export_for_measuring(
        extract(net, arch, None), TASK.example(dimensions, 1), path, TASK.interface(dimensions)
    )
    return path


def measured(
    nets: Mapping[str, tuple[ElasticModel, Arch]], target: CpuTarget, protocol: Protocol | None = None
) -> dict[str, Values]:
    """Latency, standard error and median of all inferences (ms) of each network, in one interleaved run."""
    with tempfile.TemporaryDirectory() as folder:
        files = {
            key: export(net, arch, Path(folder) / f"{index}.onnx")
            for index, (key, (net, arch)) in enumerate(nets.items())
        }
        timings = target.run(files, protocol).timings
    return {
        each.key: {
            "latency_ms": each.latency_ms,
            "standard_error_ms": each.standard_error_ms,
            "median_ms": each.raw_ms.get("p50"),
            "verdict": each.verdict,
        }
        for each in timings
    }


def arms_of(seed: Seed) -> dict[str, tuple[ElasticModel, Arch]]:
    """Every trained network, by arm and share of the MACs."""
    found = {}
    for arm in ALONE:
        for share in SHARES if seed.result(arm) else ():
            net = trained_net(seed.work / f"{arm}-{share}")
            found[f"{arm} {share}"] = (net, net.family.space().max())
    for share, arch in zip(SHARES, seed.slices, strict=True):
        found[f"{seed.given.supernet} {share}"] = (seed.supernet, arch)
    if seed.result("base"):
        found["base 1.0"] = (seed.supernet, seed.family.space().max())
    return found


# --- search -----------------------------------------------------------------------------------------


@dataclass
class Known:
    """What is known of subnets of the supernet: latencies of some, validation accuracies of all, in their order."""

    rows: Population
    latency: NDArray[np.float64]
    accuracy: list[float]

    def as_json(self) -> Values:
        """What :meth:`read` reads back."""
        return {
            "rows": self.rows.tolist(),
            "latency": self.latency.tolist(),
            "accuracy": self.accuracy,
        }

    @classmethod
    def read(cls, value: Values) -> Known:
        """From JSON."""
        return cls(np.array(value["rows"], dtype=np.int64), np.array(value["latency"]), value["accuracy"])

    def add(self, seed: Seed, rows: Population) -> None:
        """Evaluate further subnets."""
        self.rows = np.concatenate([self.rows, rows]) if len(self.rows) else rows
        self.accuracy += [seed.quality(arch, "validation") for arch in seed.family.space().decode(rows)]


def first_known(seed: Seed, limiting: Mapping[str, Any], target: CpuTarget) -> tuple[Known, list[float]]:
    """Measured and evaluated subnets that span the space, and the latencies (ms) of the limiting networks."""
    space, rng = seed.family.space(), np.random.default_rng(seed.seed)
    rows = spread_sample(seed.family, seed.given.measured, rng)
    nets = {f"subnet {k}": (seed.supernet, arch) for k, arch in enumerate(space.decode(rows))}
    times = measured({**nets, **limiting}, target)
    limits = [_ms(times[key]) for key in limiting]
    if not np.isfinite(limits).all():
        raise SystemExit(
            f"every limit must be measured, got {limits} ms; try again when the machine is less busy"
        )
    known = Known(np.zeros((0, space.d), dtype=np.int64), np.array([_ms(times[key]) for key in nets]), [])
    drawn = space.sample(rng, max(0, seed.given.evaluated - len(rows)))
    known.add(seed, _distinct(np.concatenate([rows, drawn])))
    return known, limits


def _distinct(rows: Population) -> Population:
    """Without repetitions, in the same order."""
    return rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])]


def _ms(timing: Values) -> float:
    return float("nan") if timing["latency_ms"] is None else float(timing["latency_ms"])


def predictor(seed: Seed, kind: str, metric: str, rows: Population, values: NDArray[np.float64]) -> Predictor:
    """A predictor of the supernet's subnets, fitted to the rows that have a value."""
    family = seed.family
    scope = Scope(supernet="0" * 64, space_sha256=family.space().sha256, metric=metric)
    model: Predictor = PREDICTORS.load(kind)(family, scope)
    finite = np.isfinite(values)
    model.fit(rows[finite], values[finite])
    return model


def quality_predictor(seed: Seed, known: Known) -> Predictor:
    """Of the validation accuracy, from all evaluated subnets."""
    return predictor(seed, "gaussian_process", ACCURACY, known.rows, np.array(known.accuracy))


def search(seed: Seed, known: Known, limits: Sequence[float]) -> Predictor:
    """Evaluate subnets proposed for each limit (ms), and the slices; returns the latency predictor."""
    family, given = seed.family, seed.given
    rows = known.rows[: len(known.latency)]
    latency = predictor(seed, "bayesian_linear", LATENCY, rows, known.latency)
    known.add(seed, family.space().encode(seed.slices))
    for each in range(given.rounds):
        quality = quality_predictor(seed, known)
        models: dict[Key, Surrogate] = {(ACCURACY, None): quality, (LATENCY, None): latency}
        for limit in limits:
            within = [Constraint(LATENCY, None, max=limit)]
            problem = Problem(family.space(), [(ACCURACY, None)], surrogates=models, constraints=within)
            known.add(seed, propose(problem, known.rows, given.finalists, seed.seed + each))
    return latency


# --- a unit -----------------------------------------------------------------------------------------


def unit(seed: Seed, target: CpuTarget) -> None:
    """Measure and search one seed; nothing where its result already is."""
    folder = seed.folder / "latency"
    path, first = folder / f"{seed.seed}.json", folder / "work" / f"{seed.seed}.json"
    settings = {name: getattr(seed.given, name) for name in SETTINGS}
    if path.is_file():
        if read_figures(path)["settings"] != settings:
            raise SystemExit(f"{path} holds the result of other settings: choose them again or move it")
        return
    first.parent.mkdir(parents=True, exist_ok=True)
    began, nets = time.process_time(), arms_of(seed)
    limiting = {f"{settings['limits']} {share}": nets[f"{settings['limits']} {share}"] for share in SHARES}
    kept = read_figures(first) if first.is_file() else None
    if kept is None or kept["settings"] != settings:
        known, limits = first_known(seed, limiting, target)
        kept = {
            "settings": settings,
            "limits": limits,
            "seconds": time.process_time() - began,
            **known.as_json(),
        }
        write_bytes(first, json.dumps(kept).encode() + b"\n")
        began = time.process_time()
    known, limits = Known.read(kept), kept["limits"]
    first_finalist = len(known.rows)
    latency = search(seed, known, limits)
    archs = seed.family.space().decode(known.rows)
    found = {f"subnet {k}": (seed.supernet, archs[k]) for k in range(first_finalist, len(archs))}
    times = measured({**nets, **found}, target)
    result = {
        "seed": seed.seed,
        "settings": settings,
        "arms": {arm: _arm(seed, arm, times) for arm in dict.fromkeys(key.split()[0] for key in nets)},
        "limits": [
            _chosen(seed, known, times, latency, times[key]) | {"searched_ms": limit}
            for key, limit in zip(limiting, limits, strict=True)
        ],
        "fitted": int(np.isfinite(known.latency).sum()),
        "evaluated": len(known.rows),
        "cpu_seconds": round(kept["seconds"] + time.process_time() - began, 1),
        "target": target.describe(),
        "torch": torch.__version__,
    }
    write_bytes(path, json.dumps(result, indent=1, default=str).encode() + b"\n")
    print(f"seed {seed.seed}: done, {result['cpu_seconds']:.0f} CPU s", flush=True)


def _arm(seed: Seed, arm: str, times: Mapping[str, Values]) -> list[Values]:
    result = seed.result(arm)
    assert result is not None
    if arm == seed.given.supernet:
        rows = [
            {"share": s, "accuracy": seed.quality(arch, "test")}
            for s, arch in zip(SHARES, seed.slices, strict=True)
        ]
        return [{**row, **times[f"{arm} {row['share']}"]} for row in rows]
    shares = SHARES if arm != "base" else (1.0,)
    return [
        {"share": share, "accuracy": row["accuracy"], "macs": row["macs"], **times[f"{arm} {share}"]}
        for share, row in zip(shares, result["nets"], strict=False)
    ]


def _chosen(
    seed: Seed, known: Known, times: Mapping[str, Values], latency: Predictor, limit: Values
) -> Values:
    """The subnet for a limit: of those measured within it, the best expected; with its test accuracy."""
    expected = quality_predictor(seed, known).predict(known.rows)[0]
    row = best_within(times, expected.tolist(), _ms(limit))
    if row is None:
        return {"limit_ms": limit["latency_ms"], "chosen": None}
    arch = seed.family.space().decode(known.rows[row : row + 1])[0]
    return {
        "limit_ms": limit["latency_ms"],
        "chosen": arch.as_dict(),
        "predicted_ms": float(latency.predict(known.rows[row : row + 1])[0][0]),
        "validation": known.accuracy[row],
        "expected": float(expected[row]),
        "accuracy": seed.quality(arch, "test"),
        **times[f"subnet {row}"],
    }


def best_within(times: Mapping[str, Values], accuracy: Sequence[float], limit: float) -> int | None:
    """The subnet with the best accuracy whose measured latency (ms) is at most ``limit``; None where none is."""
    fitting = [row for row in range(len(accuracy)) if _ms(times.get(f"subnet {row}", _NONE)) <= limit]
    return max(fitting, key=lambda row: accuracy[row], default=None)


_NONE: Values = {"latency_ms": None}


# --- tables -----------------------------------------------------------------------------------------


def _results(folder: Path) -> Iterator[Values]:
    for path in sorted((folder / "latency").glob("*.json")):
        yield read_figures(path)


def tables(folder: Path) -> str:
    """Latency and accuracy of every arm and size, then of the supernet within each limit; means over seeds."""
    results = list(_results(folder))
    if not results:
        return "no results"
    heads = " | ".join(f"{share:g} of the MACs" for share in SHARES)
    lines = [f"| arm | seeds | {heads} |", "|---|---|" + "---|" * len(SHARES)]
    for arm in dict.fromkeys(name for result in results for name in result["arms"]):
        rows = [result["arms"][arm] for result in results if arm in result["arms"]]
        cells = [_cell(column) for column in zip(*rows, strict=True)]
        lines.append(f"| {arm} | {len(rows)} | {' | '.join(cells + [''] * (len(SHARES) - len(cells)))} |")
    return "\n".join([*lines, "", *_within(results)]).replace("| 0.", "| .").replace(" 0.", " .")


def _within(results: Sequence[Values]) -> list[str]:
    arm = results[0]["settings"]["limits"]
    lines = [
        f"| limit: latency of `{arm}` at | seeds | limit | its accuracy | supernet | accuracy | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for k, share in enumerate(SHARES):
        pairs = [(result["arms"][arm][k], result["limits"][k]) for result in results]
        pairs = [(peer, own) for peer, own in pairs if own["chosen"] is not None]
        if not pairs:
            lines.append(f"| {share:g} of the MACs | 0 | | | no finalist was within the limit | | |")
            continue
        peer, own = (_mean([each["accuracy"] for each in column]) for column in zip(*pairs, strict=True))
        times = [_ms_cell(column) for column in zip(*pairs, strict=True)]
        lines.append(
            f"| {share:g} of the MACs | {len(pairs)} | {times[0]} | {peer:.4f} | {times[1]} | {own:.4f} "
            f"| {100 * (own - peer):+.1f} points |"
        )
    return lines


def _cell(rows: Sequence[Values]) -> str:
    return f"{_ms_cell(rows)}, {_mean([row['accuracy'] for row in rows]):.4f}"


def _ms_cell(rows: Sequence[Values]) -> str:
    """Mean latency over seeds and its standard error from the measurements."""
    known = [row for row in rows if row["latency_ms"] is not None]
    if not known:
        return "refused"
    error = np.sqrt(np.square([row["standard_error_ms"] for row in known]).sum()) / len(known)
    return f"{_mean([row['latency_ms'] for row in known]):.3f} ± {error:.3f} ms"


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def main() -> None:
    """Do the seeds that are not done, then print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True, help="folder of the results with work")
    parser.add_argument("--supernet", default="elastic", help="arm that trained the supernet")
    parser.add_argument(
        "--limits", default="magnitude", choices=ALONE, help="arm whose latencies are the limits"
    )
    parser.add_argument("--measured", type=int, default=30, help="subnets the latency predictor is fitted to")
    parser.add_argument(
        "--evaluated", type=int, default=60, help="subnets the first quality predictor is fitted to"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--finalists", type=int, default=4, help="for each limit and round")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--only-table", action="store_true")
    given = parser.parse_args()
    if not given.only_table:
        torch.set_num_threads(1)
        data, target = load_data(given.data), CpuTarget()
        seeds = sorted(
            int(path.stem.rpartition("-")[2]) for path in given.json.glob(f"{given.supernet}-*.json")
        )
        for number in seeds:
            unit(Seed(given.json, number, data, given), target)
    print(tables(given.json))


if __name__ == "__main__":
    main()
