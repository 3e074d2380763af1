"""One converted network against others trained one by one: ``python -m benchmarks.any_network_training --json DIR``.

The base is a small ResNet (``--net mobilenet``: a small MobileNetV2), trained on CIFAR-10 (in the folder named by
``NETWRIGHT_DATA``) for ``--steps``. Smaller networks have five shares of its MACs. Every arm may spend ``--passes``
forward-backwards in all, whatever their size (a forward of the teacher is a third), with the same batches, optimizer,
schedule and teacher, the base:

* ``elastic`` and ``elastic_sandwich`` train one supernet, and all five are its slices;
* ``sliced`` trains each of the same slices by itself, with a fifth of the passes;
* ``magnitude`` and ``taylor`` are two importances of Torch-Pruning (``pip install --no-deps torch-pruning``, no
  dependency of Netwright); each network is trained by itself, as above;
* ``scratch`` are narrower networks trained from nothing on labels, which also get a fifth of the base's steps each;
* ``dhspg``, ``hesso`` and ``hesso_cric`` remove half of the units of the base, each within a fifth of the passes.

Channels of slices are ranked, and widths chosen, on training images before anything is trained. One arm and seed is a
unit: its result is a file in DIR, its training resumes where it stopped, and a unit that is done is not done again.
``--only-table`` prints the table of DIR.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.any_network_nets import NETS, WIDTH, macs
from benchmarks.figures import read_figures
from supernets.checkpoints import load_supernet, write_bytes
from supernets.convert import convert
from supernets.convert.directory import ranked_on, write_supernet
from supernets.convert.slicing import closed_form, slices
from supernets.data import DataSet, load_data
from supernets.evaluate import calibrate, evaluate_net
from supernets.extract import extract
from supernets.families.converted.traced_space import TracedFamily
from supernets.recipes.recipe import Recipe
from supernets.spaces.space import Arch
from supernets.tasks.image_classification import ImageClassification
from supernets.training.further import read_source
from supernets.training.loop import RunOptions, train
from supernets.training.plan import TrainingPlan
from supernets.training.steps.teacher import read_teacher

Values = dict[str, Any]
SHARES = (0.75, 0.6, 0.45, 0.3, 0.2)
"""Shares of the MACs of the base, from large to small; a network of an arm has at most that share."""
WIDTHS = tuple(k / 16 for k in range(4, 17))
RANKED = 256
"""Training images that rank channels, for slices and for Torch-Pruning's ``taylor`` alike."""
TEACHER = 1 / 3
PRUNERS = ("dhspg", "hesso", "hesso_cric")
IMPORTANCES = {"magnitude": "GroupMagnitudeImportance", "taylor": "GroupTaylorImportance"}
ALONE = ("sliced", *IMPORTANCES, "scratch")
"""Arms that train one network for each share."""
SEARCHES = 14


@dataclass(frozen=True)
class Setup:
    """What all units of a seed share; ``work`` holds what is resumed."""

    data: DataSet
    seed: int
    given: argparse.Namespace

    @property
    def work(self) -> Path:
        """Folder of what is resumed."""
        return Path(self.given.json) / "work" / str(self.seed)

    def build(self, width: float = WIDTH) -> nn.Module:
        """The network of this benchmark with fresh weights, narrower with a smaller ``width``."""
        return NETS[self.given.net](self.given.blocks, width)

    @property
    def settings(self) -> Values:
        """What a result depends on besides arm and seed."""
        found = {key: getattr(self.given, key) for key in ("steps", "passes", "batch_size", "blocks")}
        return found if self.given.net == "resnet" else {**found, "net": self.given.net}

    def examples(self) -> tuple[Tensor, Tensor]:
        """Prepared training images and their labels, the ones that rank channels."""
        split = self.data.held("train")
        size = {"channels": 3, "height": 32, "width": 32}
        task = ImageClassification()
        return task.prepare(split.stored[:RANKED], self.data.preprocessing(), size)[0], split.labels[:RANKED]


# --- training ---------------------------------------------------------------------------------------


def recipe_of(
    name: str, given: argparse.Namespace, steps: int, *, whole: bool = False, **parts: Any
) -> Recipe:
    """The recipe of all arms: labels and the base's soft labels, one subnet a step; ``parts`` replace some."""
    values = {
        **Recipe.read("random").as_json(),
        "name": name,
        "zero_init_residual": False,
        "teacher": "external",
        "batch_size": given.batch_size,
        "sampler": {"kind": "uniform", "subnets": 1, "teacher": True},
        "loss": {"kind": "labels_and_teacher", "label_smoothing": 0.0},
        **parts,
    }
    if whole:
        values["controllers"] = [{"kind": "stages", "stages": [{"start": 0.0, "open": {"width": 1}}]}]
    values["schedule"] = {**values["schedule"], "warmup_steps": steps // 20}
    return Recipe.parse({**values, "steps": steps})


@dataclass(frozen=True)
class Trained:
    """A network after its training: quality on the test split, cost, and the seconds of processor time."""

    net: Any
    seconds: float
    billed: float


def trained(
    setup: Setup, name: str, net: nn.Module | Path, recipe: Recipe, *, alone: bool = False
) -> Trained:
    """Train a network, or the supernet in a directory, or go on with it; ``alone`` without the base as teacher."""
    folder = setup.work / name
    source = net if isinstance(net, Path) else write(setup, net, folder / "start")
    teacher = None if alone else read_teacher(setup.work / "base")
    supernet = load_supernet(source)
    plan = TrainingPlan(
        recipe, supernet.family, setup.data, ImageClassification(), setup.seed, read_source(source), teacher=teacher
    )  # fmt: skip
    clock = folder / "cpu_seconds"
    folder.mkdir(parents=True, exist_ok=True)
    earlier, began = float(clock.read_text()) if clock.is_file() else 0.0, time.process_time()

    def keep_clock(_: object) -> None:
        clock.write_text(str(earlier + time.process_time() - began))

    training = train(
        plan, folder, RunOptions(checkpoint_every=200, evaluate_every=10**9, progress=keep_clock)
    )
    return Trained(training.result, earlier + time.process_time() - began, training.billed)


def write(setup: Setup, net: nn.Module, folder: Path, importance: str = "magnitude") -> Path:
    """The network as a supernet directory; nothing where that exists."""
    if not (folder / "manifest.json").is_file():
        found = convert(net, setup.examples()[0][:2], widths=WIDTHS, multiple=1)
        write_supernet(ranked_on(found, importance, setup.data), setup.data, folder, name=folder.parent.name)
    return folder


def base(setup: Setup) -> tuple[nn.Module, float]:
    """The trained base and its seconds of processor time; its supernet, with channels ranked, is ``work/base``."""
    file = setup.work / "base.pt"
    if not file.is_file():
        with torch.random.fork_rng():
            torch.manual_seed(setup.seed)
            start = setup.build()
        done = trained(setup, "alone", start, labels_only(setup.given, setup.given.steps), alone=True)
        torch.save({"state": whole(setup, done.net).state_dict(), "seconds": done.seconds}, file)
    kept = torch.load(file, weights_only=True)
    net = setup.build()
    net.load_state_dict(kept["state"])
    write(setup, net.eval(), setup.work / "base", "fisher")
    return net, kept["seconds"]


def labels_only(given: argparse.Namespace, steps: int) -> Recipe:
    """From nothing, on labels."""
    parts = {"teacher": "own", "sampler": {"kind": "uniform", "subnets": 1}}
    return recipe_of("labels", given, steps, whole=True, optimizer=FROM_NOTHING, **parts)


FROM_NOTHING = {"lr": 0.1, "weight_decay": 1e-4, "clip_norm": 5.0}
FURTHER = {"lr": 0.03, "weight_decay": 1e-4, "clip_norm": 5.0}


def whole(setup: Setup, net: Any) -> nn.Module:
    """The largest subnet as a plain module, with statistics of training images."""
    arch = net.family.space().max()
    return extract(net, arch, calibrate(net, ImageClassification(), setup.data, arch))


def figures(setup: Setup, net: Any, arch: Arch, share: float | None = None) -> Values:
    """Test accuracy with recalibrated BatchNorms, MACs and parameters of a subnet."""
    found = evaluate_net(net, ImageClassification(), setup.data, arch, "test")
    costs = net.family.costs(net.family.space().encode([arch]))
    return {
        "share": share,
        "accuracy": found.value,
        "macs": float(costs["macs"][0]),
        "params": float(costs["params"][0]),
    }


# --- arms -------------------------------------------------------------------------------------------

Arm = Callable[[Setup, nn.Module], tuple[list[Values], list[Trained]]]


def sliced_archs(setup: Setup) -> tuple[TracedFamily, list[Arch]]:
    """The slices of the base for :data:`SHARES`, chosen by its ``fisher`` scores."""
    found = convert(base(setup)[0], setup.examples()[0][:2], widths=WIDTHS, multiple=1)
    found = ranked_on(found, "fisher", setup.data)
    return found.family, slices(found.family, found.scores, closed_form(found.family, "macs"), SHARES)


def elastic(setup: Setup, parts: Values, per_step: float) -> Trained:
    """The supernet after its training, ``per_step`` subnets a step."""
    steps = int(setup.given.passes / (per_step + TEACHER))
    recipe = recipe_of("elastic", setup.given, steps, optimizer=FURTHER, **parts)
    name = "elastic" if per_step == 1 else "elastic_sandwich"
    return trained(setup, name, setup.work / "base", recipe)


def _elastic(parts: Values, per_step: float) -> Arm:
    def arm(setup: Setup, net: nn.Module) -> tuple[list[Values], list[Trained]]:  # noqa: ARG001
        done = elastic(setup, parts, per_step)
        _, archs = sliced_archs(setup)
        rows = [figures(setup, done.net, arch, share) for share, arch in zip(SHARES, archs, strict=True)]
        return [*rows, figures(setup, done.net, done.net.family.space().max(), 1.0)], [done]

    return arm


def _one_by_one(
    setup: Setup, name: str, nets: Sequence[nn.Module], recipe: Recipe, *, alone: bool = False
) -> tuple[list[Values], list[Trained]]:
    rows, runs = [], []
    for share, net in zip(SHARES, nets, strict=True):
        done = trained(setup, f"{name}-{share}", net, recipe, alone=alone)
        rows.append(figures(setup, done.net, done.net.family.space().max(), share))
        runs.append(done)
    return rows, runs


def _further(given: argparse.Namespace, name: str = "further", **parts: Any) -> Recipe:
    """A fifth of the passes, for one network."""
    steps = int(given.passes / len(SHARES) / (1 + TEACHER))
    return recipe_of(name, given, steps, whole=True, optimizer=FURTHER, **parts)


def nets_of(arm: str, setup: Setup, net: nn.Module) -> list[nn.Module]:
    """The networks of an arm that trains one for each of :data:`SHARES`, before their training."""
    if arm == "sliced":
        supernet = load_supernet(setup.work / "base")
        return [
            extract(supernet.net, arch, calibrate(supernet.net, ImageClassification(), setup.data, arch))
            for arch in sliced_archs(setup)[1]
        ]
    limit = macs(net)
    if arm == "scratch":
        return _narrower(setup, limit)
    return [pruned(net, arm, share * limit, setup.examples()) for share in SHARES]


def _narrower(setup: Setup, limit: float) -> list[nn.Module]:
    found = []
    with torch.random.fork_rng():
        torch.manual_seed(setup.seed)
        for share in SHARES:
            fitting = (w for w in range(1, WIDTH + 1) if macs(setup.build(w)) <= share * limit)
            found.append(setup.build(max(fitting)))
    return found


def _alone(name: str) -> Arm:
    def arm(setup: Setup, net: nn.Module) -> tuple[list[Values], list[Trained]]:
        nets = nets_of(name, setup, net)
        if name != "scratch":
            return _one_by_one(setup, name, nets, _further(setup.given))
        steps = int((setup.given.passes + setup.given.steps) / len(SHARES))
        return _one_by_one(setup, name, nets, labels_only(setup.given, steps), alone=True)

    return arm


def pruned(net: nn.Module, importance: str, limit: float, examples: tuple[Tensor, Tensor]) -> nn.Module:
    """What Torch-Pruning makes of the network, with one ratio for all layers, at most ``limit`` MACs."""
    tool = importlib.import_module("torch_pruning")
    low, high, best = 0.0, 0.95, None
    for _ in range(SEARCHES):
        middle = (low + high) / 2
        candidate = copy.deepcopy(net).eval()
        score = getattr(tool.importance, IMPORTANCES[importance])()
        pruner = tool.pruner.BasePruner(
            candidate, examples[0][:1], importance=score, pruning_ratio=middle, ignored_layers=[candidate[-1]]
        )
        if importance == "taylor":
            F.cross_entropy(candidate(examples[0]), examples[1]).backward()
        pruner.step()
        candidate.zero_grad()
        if macs(candidate) <= limit:
            best, high = candidate, middle
        else:
            low = middle
    if best is None:
        raise SystemExit(f"Torch-Pruning made no network with at most {limit:.0f} MACs")
    return best


def _pruning(kind: str) -> Arm:
    def arm(setup: Setup, net: nn.Module) -> tuple[list[Values], list[Trained]]:  # noqa: ARG001
        recipe = _further(setup.given, kind, pruner={"kind": kind, "sparsity": 0.5})
        done = trained(setup, kind, setup.work / "base", recipe)
        largest = figures(setup, done.net, done.net.family.space().max())
        return [largest | left(done.net)], [done]

    return arm


def left(net: Any) -> Values:
    """MACs and parameters without the units whose weights are zero."""
    units = net.units()
    sums = units.sums({name: each.detach().double() ** 2 for name, each in net.named_parameters()})
    kept = [int(part.count_nonzero()) for part in sums.split(list(units.sizes))]
    return {
        "units": float(sum(kept) / sum(units.sizes)),
        "macs": float(units.cost("macs", kept)),
        "params": float(units.cost("params", kept)),
    }


SANDWICH = {"sampler": {"kind": "sandwich", "random": 2, "teacher": True}}
ARMS: dict[str, Arm] = {
    "elastic": _elastic({}, 1),
    **{name: _alone(name) for name in ALONE},
    "elastic_sandwich": _elastic(SANDWICH, 4),
    **{name: _pruning(name) for name in PRUNERS},
}


def unit(name: str, setup: Setup) -> None:
    """Do one arm of a seed, or go on with it; nothing where its result already is."""
    path = Path(setup.given.json) / f"{name}-{setup.seed}.json"
    if path.is_file():
        if read_figures(path)["settings"] != setup.settings:
            raise SystemExit(f"{path.name} holds the result of other settings: choose another folder")
        return
    net, seconds = base(setup)
    if name == "base":
        supernet = load_supernet(setup.work / "base")
        rows, runs = [figures(setup, supernet.net, supernet.space.max(), 1.0)], []
    else:
        rows, runs = ARMS[name](setup, net)
        seconds = sum(run.seconds for run in runs)
    result = {
        "arm": name,
        "seed": setup.seed,
        "settings": setup.settings,
        "nets": rows,
        "cpu_seconds": round(seconds, 1),
        "billed": round(sum(run.billed for run in runs), 1),
        "data": setup.data.describe(),
        "torch": torch.__version__,
    }
    write_bytes(path, json.dumps(result, indent=1).encode() + b"\n")
    print(
        f"{name} seed {setup.seed}: {[round(row['accuracy'], 4) for row in rows]}, {seconds:.0f} CPU s",
        flush=True,
    )


# --- table ------------------------------------------------------------------------------------------


def _results(folder: Path) -> Iterator[Values]:
    for path in sorted(folder.glob("*-*.json")):
        yield read_figures(path)


def table(folder: Path) -> str:
    """Mean accuracy of each arm over its seeds, at each share and over all, with the range over seeds, as Markdown."""
    by_arm: dict[str, list[Values]] = {}
    for result in _results(folder):
        by_arm.setdefault(result["arm"], []).append(result)
    heads = " | ".join(f"{share:g} of the MACs" for share in SHARES)
    lines = [f"| arm | seeds | {heads} | mean | CPU s |", "|---|---|" + "---|" * (len(SHARES) + 2)]
    for arm in ("base", *ARMS):
        found = by_arm.get(arm, [])
        if not found:
            continue
        rows = np.array([[row["accuracy"] for row in each["nets"]] for each in found])
        values = rows.mean(0)
        seconds = np.mean([each["cpu_seconds"] for each in found])
        if len(values) >= len(SHARES):
            cells = [f"{value:.4f}" for value in values[: len(SHARES)]]
            means = rows[:, : len(SHARES)].mean(1)
            mean = f"{means.mean():.4f}"
            if len(found) > 1:
                mean += f" ({means.min():.4f} to {means.max():.4f})".replace(" 0.", " .").replace("(0.", "(.")
        else:
            share = found[0]["nets"][0]["macs"] / by_arm["base"][0]["nets"][0]["macs"]
            cells, mean = [f"{values[0]:.4f} at {share:.2f}", *[""] * (len(SHARES) - 1)], ""
        lines.append(f"| {arm} | {len(found)} | {' | '.join(cells)} | {mean} | {seconds:.0f} |")
    return "\n".join(lines).replace("| 0.", "| .")


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that the settings of a result come from, and where results are."""
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--json", type=Path, required=True, help="folder of the results")
    found.add_argument("--seeds", type=int, default=1)
    found.add_argument("--first-seed", type=int, default=0)
    found.add_argument("--steps", type=int, default=3000, help="of the base")
    found.add_argument("--passes", type=int, default=3000, help="forward-backwards of every arm in all")
    found.add_argument("--batch-size", type=int, default=32)
    found.add_argument("--blocks", type=int, default=2, help="in each of the three stages; 3 is ResNet-20")
    found.add_argument("--net", default="resnet", choices=NETS)
    found.add_argument("--data", default="cifar10")
    found.add_argument("--only-table", action="store_true")
    return found


def main() -> None:
    """Do the units that are not done, then print the table."""
    options = parser(__doc__)
    options.add_argument("--arms", nargs="+", default=["base", *ARMS], choices=["base", *ARMS])
    given = options.parse_args()
    given.json.mkdir(parents=True, exist_ok=True)
    if not given.only_table:
        torch.set_num_threads(1)
        data = load_data(given.data)
        for seed, name in itertools.product(range(given.first_seed, given.seeds), given.arms):
            unit(name, Setup(data, seed, given))
    print(table(given.json))


if __name__ == "__main__":
    main()
