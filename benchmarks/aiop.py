"""Quality in a space from 20 evaluations and those of other spaces (AIO-P), against MACs and no transfer.

    NETWRIGHT_DATA=… python -m benchmarks.aiop [--own digits cifar10] [--draws 5] [--cache DIR] --json OUT

Spaces: NAS-Bench-201 (accuracy on CIFAR-10), GPT archs (perplexity), and supernets of the zoo, of which ``--own-rows``
random subnets are evaluated on 1,000 validation images. Each is the target once and the others are sources: the base
is trained on the largest and an adapter on each of the others. Of the target 20 random rows are known, drawn
``--draws`` times, and the others are predicted. Errors are relative to the median value, in percent.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.figures import read_figures
from benchmarks.tables import TableFamily, encode, read_table
from predictors.quality.gaussian_process import GaussianProcess
from predictors.quality.graph_net import Base, answers, seeded, train
from predictors.quality.graph_transfer import (
    MOST_GRAPHS,
    TUNING_EPOCHS,
    GraphModel,
    GraphTransfer,
    LabelScale,
    Source,
)
from predictors.quality.graphs import Graphs, Usual
from predictors.scope import Scope
from supernets.checkpoints import load_supernet
from supernets.data import load_data
from supernets.evaluate import evaluate_arch
from supernets.families.family import Family
from supernets.metrics import metric_named
from supernets.spaces.space import Population

Values = NDArray[np.float64]
Rows = NDArray[np.int64]
ZOO = Path(__file__).parents[1] / "zoo"
KNOWN, TESTED, PART = 20, 1_000, 1_000
TABLES = (
    ("nas-bench-201", "nb201_open.parquet", ("ops",), "acc_cifar10_test_200ep", "accuracy", 0.01),
    (
        "gpt",
        "hwgpt_s_open.parquet",
        ("embed_dim", "n_layer", "n_head", "mlp_ratio", "bias"),
        "perplexity",
        "perplexity",
        1.0,
    ),
)


@dataclass(frozen=True)
class Evaluated:
    """Archs of a space with a quality ``(n,)``."""

    name: str
    family: Family
    archs: Population
    y: Values
    metric: str
    graphs: Graphs

    @classmethod
    def of(cls, name: str, family: Family, archs: Population, y: Values, metric: str) -> Evaluated:
        """With the graphs of all archs."""
        graphs = Graphs.of_archs(family, archs).within(Usual.of_space(family))
        return cls(name, family, archs, y, metric, graphs)

    @property
    def sign(self) -> float:
        """1 where smaller values are better."""
        return metric_named(self.metric).sign

    @property
    def scope(self) -> Scope:
        """What a predictor of it belongs to."""
        return Scope(
            supernet=self.name, space_sha256=self.family.space().sha256, metric=self.metric, data="-"
        )

    def source(self) -> Source:
        """All of it, or as many rows as a source may have."""
        rows = np.arange(min(len(self.y), MOST_GRAPHS))
        return Source(self.graphs.take(rows), self.y[rows], self.sign)


def from_table(
    name: str, file: str, columns: Sequence[str], value: str, metric: str, unit: float
) -> Evaluated:
    """Random rows of a table."""
    table = read_table(file)
    table = table.iloc[np.random.default_rng(0).permutation(len(table))[: KNOWN + TESTED]].reset_index(
        drop=True
    )
    family = TableFamily.from_table(table, columns)
    archs = encode(family.space(), table, columns)
    return Evaluated.of(name, family, archs, unit * table[value].to_numpy(dtype=float), metric)


def from_zoo(name: str, rows: int, cache: Path | None) -> Evaluated:
    """Random subnets of a supernet of the zoo, evaluated on a part of its validation split."""
    supernet = load_supernet(ZOO / name)
    data = load_data(supernet.manifest.data.name)
    archs = np.unique(supernet.space.sample(np.random.default_rng(0), 2 * rows), axis=0)
    archs = archs[np.random.default_rng(1).permutation(len(archs))[:rows]]
    values = []
    for arch in supernet.space.decode(archs):
        file = None if cache is None else cache / f"{name}-{arch.id}.json"
        if file is not None and file.exists():
            values.append(float(read_figures(file)["value"]))
            continue
        examples = min(PART, len(data.validation))
        values.append(evaluate_arch(supernet, data, arch, "validation", examples=examples).value)
        if file is not None:
            file.write_text(json.dumps({"value": values[-1]}))
    return Evaluated.of(name, supernet.family, archs, np.array(values), supernet.manifest.quality)


# --- predictions of all rows of a target, from the known ones ---------------------------------------------


def by_mean(target: Evaluated, known: Rows, _seed: int) -> Values:
    """The mean of the known rows."""
    return np.full(len(target.y), target.y[known].mean())


def by_macs(target: Evaluated, known: Rows, _seed: int) -> Values:
    """A line through the known rows, on the logarithm of MACs."""
    size = np.log(target.graphs.gmacs)
    slope, offset = np.polyfit(size[known], target.y[known], 1)
    return np.asarray(offset + slope * size)


def by_process(target: Evaluated, known: Rows, seed: int) -> Values:
    """A Gaussian process of the known rows."""
    process = GaussianProcess(target.family, target.scope, seed)
    process.fit(target.archs[known], target.y[known])
    return process.predict(target.archs)[0]


def scale_of(target: Evaluated, known: Rows) -> LabelScale:
    """The scale of the known rows."""
    return LabelScale.of(target.y[known], target.graphs.gmacs[known], target.sign)


def by_own_net(target: Evaluated, known: Rows, seed: int) -> Values:
    """A network on graphs that is trained on the known rows only."""
    scale, net = scale_of(target, known), seeded(Base, seed)
    graphs = target.graphs.take(known)
    train(net, graphs, scale(target.y[known], graphs.gmacs), TUNING_EPOCHS, seed)
    return scale.inverse(answers([net], target.graphs), target.graphs.gmacs)


def by_prior(model: GraphModel, target: Evaluated, known: Rows, _seed: int) -> Values:
    """The other spaces, with the scale of the known rows."""
    return scale_of(target, known).inverse(model(target.graphs), target.graphs.gmacs)


def by_tuned_prior(model: GraphModel, target: Evaluated, known: Rows, seed: int) -> Values:
    """The same after training on the known rows."""
    scale, graphs = scale_of(target, known), target.graphs.take(known)
    tuned = model.fine_tuned(graphs, scale(target.y[known], graphs.gmacs), seed)
    return scale.inverse(tuned(target.graphs), target.graphs.gmacs)


def by_predictor(model: GraphModel, target: Evaluated, known: Rows, seed: int) -> Values:
    """The registered predictor: the other spaces as a prior with a weight."""
    predictor = GraphTransfer(target.family, target.scope, seed, graph_model=model)
    predictor.fit(target.archs[known], target.y[known])
    return predictor.predict(target.archs)[0]


@dataclass(frozen=True)
class Row:
    """Mean figures of one predictor on one target; the error is in percent of the median value."""

    target: str
    predictor: str
    error: float
    spearman: float
    spearman_range: tuple[float, float]


def compared(target: Evaluated, model: GraphModel, draws: int) -> list[Row]:
    """All predictors on one target."""
    predictors: dict[str, Callable[[Evaluated, Rows, int], Values]] = {
        "mean": by_mean,
        "macs": by_macs,
        "gaussian_process": by_process,
        "graph net alone": by_own_net,
        "prior": partial(by_prior, model),
        "prior, fine-tuned": partial(by_tuned_prior, model),
        "graph_transfer": partial(by_predictor, model),
    }
    found = []
    for name, predict in predictors.items():
        errors, ranks = [], []
        for draw in range(draws):
            order = np.random.default_rng(100 + draw).permutation(len(target.y))
            known, held = order[:KNOWN], order[KNOWN:]
            predicted = predict(target, known, draw)[held]
            errors.append(100 * np.abs(predicted - target.y[held]).mean() / np.median(target.y))
            ranks.append(0.0 if np.ptp(predicted) == 0 else float(spearmanr(predicted, target.y[held])[0]))
        found.append(
            Row(target.name, name, float(np.mean(errors)), float(np.mean(ranks)), (min(ranks), max(ranks)))
        )
    return found


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--own", nargs="*", default=["digits", "cifar10"], help="supernets of the zoo")
    parser.add_argument("--own-rows", type=int, default=150)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the networks")
    parser.add_argument("--cache", type=Path, help="keeps evaluations")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.cache is not None:
        arguments.cache.mkdir(parents=True, exist_ok=True)
    spaces = [from_table(*each) for each in TABLES]
    spaces += [from_zoo(name, arguments.own_rows, arguments.cache) for name in arguments.own]
    rows: list[Row] = []
    for target in spaces:
        began = time.process_time()
        model = GraphModel.trained([each.source() for each in spaces if each is not target], arguments.seed)
        print(f"{target.name}: others trained in {time.process_time() - began:.0f} s", flush=True)
        for row in compared(target, model, arguments.draws):
            rows.append(row)
            print(f"  {row.predictor:18s} error {row.error:6.2f} %   Spearman {row.spearman:.3f}", flush=True)
    meta = {"own": arguments.own, "rows": {each.name: len(each.y) for each in spaces}, "known": KNOWN}
    arguments.json.write_text(
        json.dumps({"rows": [asdict(row) for row in rows], "meta": meta}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
