"""POA with and without its same-view term: ``python -m benchmarks.poa --json OUT``.

A small ViT is trained without labels on CIFAR-10 (in the folder ``NETWRIGHT_DATA``). Of the smallest and the largest
subnet, cut from the averaged network without further training, the classes of test images are found by the 20 nearest
of 5,000 training images and by a linear probe on these. Arms with the same seed have the same initial weights, images
and list of sizes. ``untrained`` is the network as it starts. One arm and seed is one unit: its result is a file in
OUT, its training resumes where it stopped, and a unit that is done is not done again. ``--only-table`` prints the table
of OUT.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.figures import read_figures
from supernets.checkpoints import write_bytes
from supernets.data import DataSet, load_data
from supernets.evaluate import evaluate_net
from supernets.families.family import Family
from supernets.families.vit import Vit
from supernets.recipes.recipe import Recipe
from supernets.tasks.self_supervised_images import FEATURES, SelfSupervisedImages
from supernets.training.loop import RunOptions, train
from supernets.training.plan import TrainingPlan
from supernets.training.start import start

Values = dict[str, Any]
UNTRAINED, BOTH, CROSS = "untrained", "poa", "cross_view"
ARMS = (UNTRAINED, BOTH, CROSS)
ENDS = ("smallest", "largest")
TASK = SelfSupervisedImages()
METRICS = (TASK.quality, *TASK.further)


def family(data: DataSet) -> Family:
    """Nine sizes, of a width and a depth each; 17 tokens an image of 32 pixels."""
    return Vit.from_config(
        {
            "num_classes": FEATURES,
            "image_channels": data.channels,
            "patch": 8,
            "resolutions": [32],
            "widths": [32, 48, 64],
            "depths": [2, 3, 4],
            "heads": [2],
            "head_size": 32,
            "ffns": [128],
            "norm_eps": 1e-6,
        }
    )


def recipe_of(arm: str, steps: int, batch_size: int) -> Recipe:
    """Recipe ``poa`` for a short training: its average ends at a window of 500 steps, and prototypes are few."""
    base = Recipe.read("poa").as_json()
    loss = {**base["loss"], "prototypes": [64, 128, 256], "same_view": arm != CROSS}
    schedule = {**base["schedule"], "warmup_steps": steps // 10}
    values = {"name": arm, "steps": steps, "batch_size": batch_size, "loss": loss, "schedule": schedule}
    return Recipe.parse({**base, **values, "ema_final": 0.998})


def unit(arm: str, seed: int, data: DataSet, given: argparse.Namespace) -> None:
    """Train and evaluate one arm and seed, or go on with it; nothing where its result already is."""
    path: Path = given.json / f"{arm}-{seed}.json"
    recipe, made = recipe_of(arm, given.steps, given.batch_size), family(data)
    if path.is_file():
        if read_figures(path)["recipe"]["sha256"] != recipe.sha256:
            raise SystemExit(f"{path.name} holds the result of another recipe: choose another folder")
        return
    print(f"{arm} seed {seed}: {recipe.steps if arm != UNTRAINED else 0} steps", flush=True)
    began = time.process_time()
    plan = TrainingPlan(recipe, made, data, TASK, seed)
    work = given.json / "work" / f"{arm}-{seed}"
    work.mkdir(parents=True, exist_ok=True)
    cost_file = work / "cpu_seconds"
    earlier = float(cost_file.read_text()) if cost_file.is_file() else 0.0

    def keep_cost(_: object) -> None:
        cost_file.write_text(str(earlier + time.process_time() - began))

    options = RunOptions(checkpoint_every=100, evaluate_every=10**9, progress=keep_cost)
    training = start(plan) if arm == UNTRAINED else train(plan, work, options)
    spent = earlier + time.process_time() - began
    space, net = made.space(), training.result
    archs = dict(zip(ENDS, (space.min(), space.max()), strict=True))
    result = {
        "arm": arm,
        "seed": seed,
        "recipe": {**recipe.as_json(), "sha256": recipe.sha256},
        "steps": training.step,
        "billed": round(training.billed, 2),
        "cpu_seconds": round(spent, 1),
        "quality": {
            metric: {
                end: evaluate_net(net, TASK, data, arch, "test", metric=metric).as_json()
                for end, arch in archs.items()
            }
            for metric in METRICS
        },
        "data": data.describe(),
        "torch": torch.__version__,
    }
    write_bytes(path, json.dumps(result, indent=1).encode() + b"\n")
    found = {m: [round(row["value"], 4) for row in ends.values()] for m, ends in result["quality"].items()}
    print(f"  {found}, {spent:.0f} CPU s", flush=True)


# --- table -----------------------------------------------------------------------------------------


def table(folder: Path) -> Values:
    """For each arm, metric and end the mean and spread over seeds, and paired differences of the two trained arms."""
    found: dict[str, dict[int, Values]] = {}
    for path in sorted(folder.glob("*-*.json")):
        result = read_figures(path)
        found.setdefault(result["arm"], {})[result["seed"]] = result
    arms = {
        arm: {
            "seeds": sorted(found[arm]),
            "cpu_seconds": float(np.mean([each["cpu_seconds"] for each in found[arm].values()])),
            "quality": {
                metric: {
                    end: _spread([_value(each, metric, end) for each in found[arm].values()]) for end in ENDS
                }
                for metric in METRICS
            },
        }
        for arm in ARMS
        if arm in found
    }
    pairs = sorted(set(found.get(BOTH, {})) & set(found.get(CROSS, {})))
    gaps = {
        metric: {
            end: _spread(
                [
                    _value(found[BOTH][seed], metric, end) - _value(found[CROSS][seed], metric, end)
                    for seed in pairs
                ]
            )
            for end in ENDS
        }
        for metric in METRICS
        if pairs
    }
    return {"arms": arms, "gaps": gaps}


def _value(result: Mapping[str, Any], metric: str, end: str) -> float:
    return float(result["quality"][metric][end]["value"])


def _spread(values: list[float]) -> Values:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "spread": spread, "n": len(values)}


def markdown(summary: Values) -> str:
    """The summary for people: percent, and paired differences in points, mean ± standard deviation over seeds."""
    heads = " | ".join(f"{metric.removesuffix('_accuracy')} {end}" for metric in METRICS for end in ENDS)
    lines = [f"| arm | seeds | CPU s | {heads} |", "|---|---|---|" + "---|" * (len(METRICS) * len(ENDS))]
    for arm, entry in summary["arms"].items():
        cells = " | ".join(_cell(entry["quality"][metric][end]) for metric in METRICS for end in ENDS)
        lines.append(f"| {arm} | {len(entry['seeds'])} | {entry['cpu_seconds']:.0f} | {cells} |")
    if summary["gaps"]:
        found = [summary["gaps"][metric][end] for metric in METRICS for end in ENDS]
        cells = " | ".join(_cell(value, signed=True) for value in found)
        lines.append(f"| {BOTH} − {CROSS} | {found[0]['n']} | | {cells} |")
    return "\n".join(lines)


def _cell(value: Values, *, signed: bool = False) -> str:
    text = f"{100 * value['mean']:{'+' if signed else ''}.2f}".replace("-", "−")
    return text if value["spread"] is None else f"{text} ± {100 * value['spread']:.2f}"


def main() -> None:
    """Do the units that are not done, seed by seed, so that pairs come early; then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, required=True, help="folder of the result files")
    parser.add_argument("--only-table", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.json.mkdir(parents=True, exist_ok=True)
    if not given.only_table:
        data = load_data(given.data)
        for seed, arm in itertools.product(range(given.seeds), given.arms):
            unit(arm, seed, data, given)
    print(markdown(table(given.json)))


if __name__ == "__main__":
    main()
