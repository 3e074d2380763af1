"""Training methods at equal cost: ``python -m benchmarks.training --arms sandwich random … --seeds 3 --json DIR``.

Every arm gets ``--passes`` subnet forward-backwards (a forward alone, of a teacher or a candidate, is a third;
what samplers and controllers ask is billed too), the same initial weights, data order and panel per seed. One arm
and seed is one unit: its result is a file in DIR, its training resumes where it stopped, and a unit that is done is
not done again. ``name@0.6`` is an arm at 60 % of the passes. The stand-alone nets (``--alone``) are trained for as many
optimizer steps as sandwich's. ``--only-table`` prints the table of what DIR holds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.figures import read_figures
from supernets.checkpoints import write_bytes
from supernets.data import DataSet, Split, load_data
from supernets.evaluate import evaluate_net
from supernets.families.family import Family
from supernets.families.mobilenet_v3 import MobileNetV3
from supernets.recipes.recipe import Recipe, built_in
from supernets.report_card.card import kendall_alone, panel
from supernets.spaces.space import Arch
from supernets.tasks.image_classification import ImageClassification
from supernets.training.estimate import Rehearsal
from supernets.training.loop import RunOptions, train
from supernets.training.plan import TrainingPlan
from supernets.training.steps.training import Training

TOY: dict[str, Any] = {
    "divisor": 4,
    "stem_width": 8,
    "first_width": 8,
    "stages": [
        {"width": 12, "stride": 1, "activation": "relu"},
        {"width": 20, "stride": 2, "activation": "h_swish", "squeeze_excite": True},
        {"width": 32, "stride": 2, "activation": "h_swish", "squeeze_excite": True},
    ],
    "head_width": 96,
    "feature_width": 128,
    "resolutions": [28],
    "depths": [1, 2, 3],
    "kernels": [3, 5],
    "expansions": [2, 3, 4],
}
"""Three stages x depth {1, 2, 3} x expand {2, 3, 4} x kernel {3, 5}: the toy space of the methods sheet."""
IMAGES = 10_000
STAND_ALONE = 10
BASE = "sandwich"
FIGURES = ("panel", "smallest", "largest", "third1", "third2", "third3", "kendall_alone", "minus_alone")


def toy_family(data: DataSet, resolution: int) -> MobileNetV3:
    """The toy space for this data."""
    fitted = {"num_classes": len(data.classes), "image_channels": data.channels, "resolutions": [resolution]}
    return MobileNetV3.from_config({**TOY, **fitted})


def cut(data: DataSet, images: int) -> DataSet:
    """The same data with the first ``images`` of its training split, which are class-balanced."""
    whole = data.held("train")
    train_split = Split("train", whole.images[:images].clone(), whole.labels[:images].clone())
    return replace(data, train=train_split)


def at_cost(name: str, family: Family, passes: float, batch_size: int) -> Recipe:
    """The built-in recipe with as many steps as ``passes`` pay for; see :func:`fitting`."""
    return fitting(Recipe.read(name).as_json(), family, passes, batch_size)


def fitting(values: dict[str, Any], family: Family, passes: float, batch_size: int) -> Recipe:
    """The recipe of ``values`` with as many steps as ``passes`` pay for, its warm-ups shortened in proportion."""
    original = values["steps"]

    def sized(steps: int) -> Recipe:
        share = steps / original
        schedule = dict(values["schedule"])
        schedule["warmup_steps"] = int(schedule["warmup_steps"] * share)
        schedule["stages"] = [
            {**stage, "warmup_steps": int(stage["warmup_steps"] * share)} for stage in schedule["stages"]
        ]
        return Recipe.parse({**values, "steps": steps, "batch_size": batch_size, "schedule": schedule})

    steps, most, cost = max(2, int(passes / 4)), 0, 0.0
    for _ in range(12):
        cost = Rehearsal(sized(steps), family).run().billed
        if cost <= passes:
            most = max(most, steps)
        if 0.995 * passes <= cost <= passes:
            break
        steps = max(2, min(int(steps * passes / cost), steps - 1 if cost > passes else 10**9))
    if not most:
        raise SystemExit(f"{values['name']} cannot be had for {passes:g} passes: {steps} steps cost {cost:g}")
    return sized(most)


def alone(arch: Arch, base: Recipe, family: MobileNetV3) -> Recipe:
    """The base recipe in a space of one subnet: trained from labels, a pass a step."""
    choices = arch.as_dict()
    fixed = {axis.name: [choices.get(axis.name, axis.choices[0])] for axis in family.space().axes}
    return Recipe.parse({**base.as_json(), "name": "alone", "space": {"restrict": fixed}})


def accuracies(training: Training, archs: list[Arch]) -> list[float]:
    """Test accuracy of each arch, recalibrated, by the network whose region holds it."""
    return [
        evaluate_net(training.result_of(arch), training.task, training.data, arch, "test").value
        for arch in archs
    ]


def unit(
    label: str, recipe: Recipe, family: MobileNetV3, data: DataSet, seed: int, archs: list[Arch], folder: Path
) -> None:
    """Train and evaluate one arm and seed, or go on with it; nothing where its result already is."""
    path = folder / f"{label}-{seed}.json"
    if path.is_file():
        known = read_figures(path)["recipe"]["sha256"]
        if known != recipe.sha256:
            raise SystemExit(
                f"{path.name} holds the result of another recipe ({known[:12]}): choose another folder"
            )
        return
    print(f"{label} seed {seed}: {recipe.steps} steps")
    began = time.monotonic()
    training = train(
        TrainingPlan(recipe, family, data, ImageClassification(), seed),
        folder / "work" / f"{label}-{seed}",
        RunOptions(checkpoint_every=200, evaluate_every=10**9),
    )
    found = accuracies(training, archs)
    space = training.space
    result = {
        "arm": label,
        "seed": seed,
        "recipe": {**recipe.as_json(), "sha256": recipe.sha256},
        "steps": training.step,
        "passes": training.passes,
        "forwards": training.forwards,
        "billed": round(training.billed, 2),
        "train_seconds": round(training.seconds, 1),
        "seconds_now": round(time.monotonic() - began, 1),
        "data": data.describe(),
        "family": family.config(),
        "archs": [arch.as_dict() for arch in archs],
        "in_space": [space.contains(arch) for arch in archs],
        "accuracy": found,
        "torch": torch.__version__,
    }
    write_bytes(path, json.dumps(result, indent=1).encode() + b"\n")


def figures(result: dict[str, Any], standalone: dict[int, float]) -> dict[str, float]:
    """Panel mean, ends, thirds of the MACs, rank agreement with stand-alone nets and distance to them, of one unit."""
    values = np.array(result["accuracy"])
    inner = values[1:-1]
    family = MobileNetV3.from_config(result["family"])
    space = family.space()
    macs = family.costs(space.encode([space.arch(a) for a in result["archs"]]))["macs"][1:-1]
    thirds = np.array_split(inner[np.argsort(macs, kind="stable")], 3)
    row = {"panel": float(values.mean()), "smallest": float(values[0]), "largest": float(values[-1])}
    row |= {f"third{k}": float(part.mean()) for k, part in enumerate(thirds, start=1)}
    found = kendall_alone(standalone, dict(enumerate(result["accuracy"])))
    tau = np.nan if found is None else found
    gaps = [values[place] - accuracy for place, accuracy in standalone.items()]
    row |= {"kendall_alone": tau, "minus_alone": float(np.mean(gaps)) if gaps else np.nan}
    return row | {"seconds": result["train_seconds"], "billed": result["billed"]}


def table(folder: Path) -> dict[str, Any]:
    """What the result files say, and every arm's paired differences from the base arm: mean and spread."""
    results = [read_figures(path) for path in sorted(folder.glob("*.json"))]
    standalone = {
        int(r["arm"].removeprefix("alone")): r["accuracy"][0] for r in results if r["arm"].startswith("alone")
    }
    rows: dict[str, dict[int, dict[str, float]]] = {}
    for result in results:
        if not result["arm"].startswith("alone"):
            rows.setdefault(result["arm"], {})[result["seed"]] = figures(result, standalone)
    summary: dict[str, Any] = {"stand_alone": standalone, "arms": {}}
    for arm, seeds in rows.items():
        keys = next(iter(seeds.values())).keys()
        entry: dict[str, Any] = {
            "seeds": sorted(seeds),
            "mean": {key: float(np.mean([row[key] for row in seeds.values()])) for key in keys},
        }
        paired = sorted(set(seeds) & set(rows.get(BASE, {})))
        if paired and arm != BASE:
            gaps = {key: [seeds[s][key] - rows[BASE][s][key] for s in paired] for key in FIGURES}
            entry["minus_base"] = {
                key: {
                    "mean": float(np.mean(gap)),
                    "spread": float(np.std(gap, ddof=1)) if len(gap) > 1 else None,
                }
                for key, gap in gaps.items()
            }
        summary["arms"][arm] = entry
    return summary


def markdown(summary: dict[str, Any]) -> str:
    """The summary for people: accuracies as fractions, differences as mean ± standard deviation over seeds."""
    lines = [
        "| arm | seeds | billed | smallest | largest | small / middle / large third | panel | panel − sandwich "
        "| − stand-alone | τ |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for arm, entry in sorted(summary["arms"].items(), key=lambda pair: -pair[1]["mean"]["panel"]):
        mean = entry["mean"]
        thirds = " / ".join(_fraction(mean[f"third{k}"]) for k in (1, 2, 3))
        lines.append(
            f"| {arm} | {len(entry['seeds'])} | {mean['billed']:.0f} | {_fraction(mean['smallest'])} "
            f"| {_fraction(mean['largest'])} | {thirds} | {_fraction(mean['panel'])} "
            f"| {_gap(entry.get('minus_base', {}).get('panel'))} | {_signed(mean['minus_alone'])} "
            f"| {_tau(mean['kendall_alone'])} |"
        )
    if summary["stand_alone"]:
        values = list(summary["stand_alone"].values())
        lines += [
            "",
            f"{len(values)} stand-alone nets of the panel: mean accuracy {_fraction(np.mean(values))}.",
        ]
    return "\n".join(lines)


def _fraction(value: float) -> str:
    return f"{value:.4f}".removeprefix("0")


def _signed(value: float) -> str:
    return "" if np.isnan(value) else f"{value:+.4f}".replace("0.", ".", 1).replace("-", "−")


def _tau(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}".replace("-", "−")


def _gap(gap: dict[str, float] | None) -> str:
    if gap is None:
        return ""
    return _signed(gap["mean"]) + ("" if gap["spread"] is None else f" ± {_fraction(gap['spread'])}")


def labelled() -> list[str]:
    """The built-in recipes that train for labels: what others give is no accuracy."""
    return [name for name in built_in() if not Recipe.read(name).make_loss().without_labels]


def main() -> None:
    """Do the units that are not done, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", nargs="+", default=labelled())
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--first-seed",
        type=int,
        default=0,
        help="do from here on only: other machines or cores do the others",
    )
    parser.add_argument("--passes", type=int, default=6000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--data", default="fashion_mnist")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--resolution", type=int, default=28)
    parser.add_argument("--panel", type=int, default=20)
    parser.add_argument(
        "--alone", type=int, default=0, help=f"stand-alone nets to train, up to {STAND_ALONE}"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, required=True, help="folder of the result files")
    parser.add_argument("--only-table", action="store_true")
    given = parser.parse_args()
    given.json.mkdir(parents=True, exist_ok=True)
    if not given.only_table:
        run(given)
    print(markdown(table(given.json)))


def run(given: argparse.Namespace) -> None:
    """Do the units that are not done, seed by seed, so that pairs come early."""
    torch.set_num_threads(given.threads)
    data = cut(load_data(given.data), given.images)
    family = toy_family(data, given.resolution)
    with torch.random.fork_rng():
        archs = panel(family.build(), size=given.panel)
    recipes = {}
    for arm in given.arms:
        name, _, share = arm.partition("@")
        recipes[arm] = at_cost(name, family, given.passes * float(share or 1), given.batch_size)
    for seed, arm in itertools.product(range(given.first_seed, given.seeds), given.arms):
        unit(arm, recipes[arm], family, data, seed, archs, given.json)
    base = at_cost(BASE, family, given.passes, given.batch_size) if given.alone else None
    places = np.linspace(0, len(archs) - 1, min(given.alone, STAND_ALONE, len(archs))).round().astype(int)
    for place in places.tolist() if base is not None else []:
        assert base is not None
        single = alone(archs[place], base, family)
        unit(f"alone{place}", single, family, data, 0, [archs[place]], given.json)


if __name__ == "__main__":
    main()
