"""Elastic fine-tuning of a pretrained transformer: ``python -m benchmarks.instatune --json OUT``.

``--folder`` is a pretrained network as Hugging Face writes it, ``--data`` labelled texts. Every elastic arm gets as
many token passes: the same texts in the same batches, and as many forward-backwards of subnets (a forward alone, of a
teacher, is a third) as the three nets alone cost together, each being trained for ``--steps``; ``largest_first``, whose
passes are longer, gets fewer (:data:`SHARES`). The nets alone are the pretrained network cut to a size of the front.
One arm and seed is one unit: its result is a file in OUT, its training resumes where it stopped, and a unit that is
done is not done again. ``--only-table`` prints the table of OUT.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.figures import read_figures
from benchmarks.training import fitting
from supernets.checkpoints import load_supernet, write_bytes
from supernets.data import DataSet, load_data
from supernets.elastic.active import ElasticModel, use
from supernets.families.family import Family
from supernets.pretrained.directory import convert_folder
from supernets.recipes.recipe import Recipe, with_steps
from supernets.spaces.space import Arch
from supernets.tasks.task import Task
from supernets.training.further import read_source
from supernets.training.loop import RunOptions, train
from supernets.training.plan import TrainingPlan

Values = dict[str, Any]
SIZES = {
    "full": (6, 12, 1536),
    "wide": (4, 12, 1536),
    "middle": (4, 8, 1024),
    "narrow": (3, 8, 1024),
    "smallest": (3, 6, 768),
}
"""Depth, heads and neurons of every layer, from large to small: what is evaluated of an elastic network."""
ALONE = ("full", "middle", "smallest")
"""Those that are also trained alone."""
FROZEN = ["words."]
"""The table of words, half of all weights, of which few are in the training texts."""
BATCH = 100
SHARES = {"largest_first": 1188 / 1404}
"""Passes of an arm as a share of those of the nets alone: more steps of the largest cost more processor time."""


def elastic_arms() -> dict[str, Values]:
    """Recipes by the name of their arm, at any number of steps."""
    base = {**Recipe.read("instatune").as_json(), "frozen": FROZEN}
    both = Recipe.read("instatune_teacher").as_json()

    def parts(name: str) -> Values:
        recipe = Recipe.read(name).as_json()
        return {"sampler": recipe["sampler"], "loss": recipe["loss"]}

    stages = {"controllers": both["controllers"]}
    return {
        "elastic_finetune": {**Recipe.read("elastic_finetune").as_json(), "frozen": FROZEN},
        "largest_first": {**Recipe.read("largest_first").as_json(), "frozen": FROZEN},
        "instatune": base,
        "instatune_teacher": {**base, **stages, "sampler": {**both["sampler"], "gamma": 1}},
        "instatune_both": {**base, **stages, "sampler": both["sampler"]},
        "sandwich": {**base, **parts("sandwich")},
        "random": {**base, **parts("random")},
    }


@dataclass(frozen=True)
class Start:
    """The pretrained network as a supernet directory, and what all units share."""

    directory: Path
    family: Family
    data: DataSet
    task: Task

    @classmethod
    def of(cls, directory: Path) -> Start:
        """From a converted folder."""
        supernet = load_supernet(directory)
        data = load_data(supernet.manifest.data.name, beside=directory)
        return cls(directory, supernet.family, data, supernet.task)

    def net(self) -> ElasticModel:
        """With the weights of the directory."""
        return load_supernet(self.directory).net

    def arch(self, size: str) -> Arch:
        """The arch of a name of :data:`SIZES`."""
        return self.family.space().arch(uniform(self.family, *SIZES[size]))


def uniform(family: Family, depth: int, heads: int, ffn: int) -> dict[str, int]:
    """Choices with the same heads and neurons in every layer that ``depth`` keeps."""
    by_kind = {"depth": depth, "heads": heads, "expand": ffn}
    return {
        axis.name: by_kind[axis.kind]
        for axis in family.space().axes
        if axis.parent is None or depth in axis.active_when
    }


def alone(base: Values, start: Start, size: str, steps: int) -> Recipe:
    """The base recipe in a space of one subnet: trained from labels, a pass a step."""
    fixed = {axis: [choice] for axis, choice in start.arch(size).as_dict().items()}
    loss = {"kind": "labels_and_teacher"}
    values = {**base, "name": "alone", "loss": loss, "controllers": [], "space": {"restrict": fixed}}
    return Recipe.parse(with_steps(values, steps))


def accuracy(net: ElasticModel, start: Start, arch: Arch, split: str, texts: int | None = None) -> float:
    """Fraction of the texts of ``split``, or of ``texts`` of them in equal distances, that ``arch`` classifies."""
    held, right = start.data.held(split), []
    number = len(held) if texts is None else min(texts, len(held))
    asked = torch.arange(number) * len(held) // number
    dimensions = start.family.dimensions(arch)
    net.eval()
    with torch.no_grad(), use(net, arch):
        for part in torch.split(asked, BATCH):
            inputs = start.task.prepare(held.stored[part], start.data.preprocessing(), dimensions)
            right.append(start.task.scores(net(*inputs), held.labels[part]))
    return float(torch.cat(right).mean())


def unit(
    label: str, recipe: Recipe, start: Start, seed: int, sizes: tuple[str, ...], given: argparse.Namespace
) -> None:
    """Train and evaluate one arm and seed, or go on with it; nothing where its result already is."""
    path: Path = given.json / f"{label}-{seed}.json"
    if path.is_file():
        if read_figures(path)["recipe"]["sha256"] != recipe.sha256:
            raise SystemExit(f"{path.name} holds the result of another recipe: choose another folder")
        return
    print(f"{label} seed {seed}: {recipe.steps} steps", flush=True)
    began, wall = time.process_time(), time.monotonic()
    cost_file = given.json / "work" / f"{label}-{seed}" / "cpu_seconds"
    plan = TrainingPlan(recipe, start.family, start.data, start.task, seed, read_source(start.directory))
    cost_file.parent.mkdir(parents=True, exist_ok=True)
    earlier = float(cost_file.read_text()) if cost_file.is_file() else 0.0

    def keep_cost(_: object) -> None:
        cost_file.write_text(str(earlier + time.process_time() - began))

    options = RunOptions(checkpoint_every=50, evaluate_every=10**9, progress=keep_cost)
    training = train(plan, cost_file.parent, options)
    spent = earlier + time.process_time() - began
    result = {
        "arm": label,
        "seed": seed,
        "recipe": {**recipe.as_json(), "sha256": recipe.sha256},
        "steps": training.step,
        "billed": round(training.billed, 2),
        "cpu_seconds": round(spent, 1),
        "wall_seconds": round(time.monotonic() - wall, 1),
        "split": given.split,
        "accuracy": {size: accuracy(training.result, start, start.arch(size), given.split) for size in sizes},
        "data": start.data.describe(),
        "torch": torch.__version__,
    }
    write_bytes(path, json.dumps(result, indent=1).encode() + b"\n")
    print(f"  {result['accuracy']}, {spent:.0f} CPU s", flush=True)


# --- table -----------------------------------------------------------------------------------------


def table(folder: Path) -> Values:
    """What the result files say: for each arm mean and spread over seeds, and paired gaps to the nets alone."""
    found: dict[str, dict[int, Values]] = {}
    for path in sorted(folder.glob("*-*.json")):
        result = read_figures(path)
        found.setdefault(result["arm"], {})[result["seed"]] = result
    arms = {}
    for arm, seeds in found.items():
        sizes = list(next(iter(seeds.values()))["accuracy"])
        arms[arm] = {
            "seeds": sorted(seeds),
            "billed": float(np.mean([each["billed"] for each in seeds.values()])),
            "cpu_seconds": float(np.mean([each["cpu_seconds"] for each in seeds.values()])),
            "accuracy": {
                size: _spread([each["accuracy"][size] for each in seeds.values()]) for size in sizes
            },
            "minus_alone": {
                size: _spread(gaps)
                for size in ALONE
                if (gaps := _gaps(found, size, seeds)) and arm[:5] != "alone"
            },
            "falls": max((_fall(each["accuracy"]) for each in seeds.values()), default=0.0),
        }
    return {"arms": arms}


def _gaps(found: Mapping[str, Mapping[int, Values]], size: str, seeds: Mapping[int, Values]) -> list[float]:
    single = found.get(f"alone_{size}", {})
    return [
        seeds[seed]["accuracy"][size] - single[seed]["accuracy"][size]
        for seed in sorted(set(seeds) & set(single))
        if size in seeds[seed]["accuracy"]
    ]


def _fall(values: Mapping[str, float]) -> float:
    """By how much a smaller net is better than any larger one, at most; 0 where the front is monotone."""
    ordered = [values[size] for size in SIZES if size in values]
    return max([0.0, *(small - large for large, small in itertools.combinations(ordered, 2))])


def _spread(values: list[float]) -> Values:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "spread": spread, "n": len(values)}


def markdown(summary: Values) -> str:
    """The summary for people: accuracy in percent and paired gaps in points, mean ± standard deviation over seeds."""
    lines = [
        f"| arm | seeds | passes | CPU s | {' | '.join(SIZES)} | − alone: {' / '.join(ALONE)} | not monotone by |",
        "|---|---|---|---|" + "---|" * (len(SIZES) + 2),
    ]
    for arm, entry in summary["arms"].items():
        cells = [_cell(entry["accuracy"].get(size)) for size in SIZES]
        gaps = " / ".join(_cell(entry["minus_alone"].get(size), signed=True) for size in ALONE)
        fall = "" if arm.startswith("alone") else f"{100 * entry['falls']:.2f}"
        lines.append(
            f"| {arm} | {len(entry['seeds'])} | {entry['billed']:.0f} | {entry['cpu_seconds']:.0f} "
            f"| {' | '.join(cells)} | {gaps if entry['minus_alone'] else ''} | {fall} |"
        )
    return "\n".join(lines)


def _cell(value: Values | None, *, signed: bool = False) -> str:
    if value is None:
        return ""
    text = f"{100 * value['mean']:{'+' if signed else ''}.2f}".replace("-", "−")
    return text if value["spread"] is None else f"{text} ± {100 * value['spread']:.2f}"


# --- the units -------------------------------------------------------------------------------------


def run(given: argparse.Namespace) -> None:
    """Do the units that are not done, seed by seed, so that pairs come early."""
    torch.set_num_threads(given.threads)
    starts = {sort: _start(given, sort=sort) for sort in (True, False)}
    recipes = elastic_arms() | {
        recipe.name: {**recipe.as_json(), "frozen": FROZEN} for recipe in map(Recipe.read, given.recipe)
    }
    recipes = {name: {**values, **json.loads(given.change)} for name, values in recipes.items()}
    base = recipes["instatune"]
    passes = len(ALONE) * given.steps
    units: dict[str, Callable[[int], None]] = {}
    for size in ALONE:
        single = alone(base, starts[True], size, given.steps)
        units[f"alone_{size}"] = _unit(f"alone_{size}", single, starts[True], (size,), given)
    for name, values in recipes.items():
        paid = passes * SHARES.get(name, 1.0)
        recipe = fitting({**values, "name": name}, starts[True].family, paid, given.batch_size)
        units[name] = _unit(name, recipe, starts[True], tuple(SIZES), given)
    units["first_k"] = _unit(
        "first_k", fitting({**base, "name": "first_k"}, starts[False].family, passes, given.batch_size),
        starts[False], tuple(SIZES), given,
    )  # fmt: skip
    for seed, name in itertools.product(range(given.first_seed, given.seeds), given.arms or units):
        units[name](seed)


def _unit(
    label: str, recipe: Recipe, start: Start, sizes: tuple[str, ...], given: argparse.Namespace
) -> Callable[[int], None]:
    return lambda seed: unit(label, recipe, start, seed, sizes, given)


def _start(given: argparse.Namespace, *, sort: bool) -> Start:
    directory = given.json / "work" / ("sorted" if sort else "unsorted")
    if not (directory / "manifest.json").is_file():
        convert_folder(
            given.folder, given.data, directory, name="pretrained", task="text_classification",
            sequence=given.sequence, importance=sort,
        )  # fmt: skip
    return Start.of(directory)


def main() -> None:
    """Do the units that are not done, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="the pretrained network")
    parser.add_argument("--data", help="labelled texts, as text:PATH")
    parser.add_argument("--arms", nargs="+", default=None)
    parser.add_argument("--recipe", nargs="+", default=[], help="files of recipes: arms with their names")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--steps", type=int, default=468, help="of a net alone; elastic arms get as many passes in all"
    )
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--sequence", type=int, default=32)
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="that is evaluated")
    parser.add_argument("--change", default="{}", help="JSON with values of the recipes to replace")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, required=True, help="folder of the result files")
    parser.add_argument("--only-table", action="store_true")
    given = parser.parse_args()
    given.json.mkdir(parents=True, exist_ok=True)
    if not given.only_table:
        run(given)
    print(markdown(table(given.json)))


if __name__ == "__main__":
    main()
