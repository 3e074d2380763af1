"""One training by many processes.

``torchrun --nproc-per-node=2 -m supernets.training.launch RECIPE --family FILE --data NAME --out FOLDER``

Starting it again resumes; on another number of processes too. ``netwright train`` is the same for one process,
with a progress bar and a report card; a finished training here becomes a supernet when that command is run on it.
``--from`` trains an earlier one further, as there.
"""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import torch

from supernets import FAMILIES
from supernets.data import load_data
from supernets.device import DEVICES, choose
from supernets.errors import SupernetError
from supernets.recipes.recipe import Recipe
from supernets.training.further import read_source
from supernets.training.loop import Progress, train
from supernets.training.processes import joined
from supernets.training.teacher import read_teacher


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; the first process reports, a line a log entry."""
    parser = argparse.ArgumentParser(
        prog="supernets.training.launch", description="Train a supernet with torchrun."
    )
    parser.add_argument("recipe", help="a .toml file or a built-in name")
    parser.add_argument(
        "--family", type=Path, required=True, help="a TOML file such as zoo/digits/family.toml"
    )
    parser.add_argument("--data", required=True, help="digits, fashion_mnist, folder:PATH, …")
    parser.add_argument("--out", type=Path, required=True, help="folder of the training's state")
    parser.add_argument(
        "--from", dest="source", type=Path, help="a supernet's folder, or one that training left"
    )
    parser.add_argument("--momentum", action="store_true", help="with --from: take over momentum too")
    parser.add_argument("--teacher", type=Path, help="a supernet's folder, or an exported .onnx file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="in place of the recipe's")
    parser.add_argument("--until-step", type=int)
    parser.add_argument("--checkpoint-every", type=int, default=500)
    parser.add_argument("--evaluate-every", type=int, default=1000)
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    given = parser.parse_args(arguments)
    recipe = Recipe.read(given.recipe)
    if given.steps is not None:
        recipe = recipe.with_steps(given.steps)
    data = load_data(given.data)
    config = tomllib.loads(given.family.read_text())
    kind = config.pop("family", "mobilenet_v3")
    family = FAMILIES.load(kind).from_config(
        {**config, "num_classes": len(data.classes), "image_channels": data.channels}
    )
    device = choose(given.device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    with joined(_backend(device)) as processes:
        train(
            recipe,
            family,
            data,
            given.out,
            seed=given.seed,
            until_step=given.until_step,
            checkpoint_every=given.checkpoint_every,
            evaluate_every=given.evaluate_every,
            progress=_say,
            device=device,
            processes=processes,
            source=None if given.source is None else read_source(given.source),
            momentum=given.momentum,
            teacher=None if given.teacher is None else read_teacher(given.teacher, device),
        )
    return 0


def _backend(device: torch.device) -> str:
    """How the processes talk: NCCL where each has a GPU of its own, else gloo."""
    own_gpu = (
        device.type == "cuda" and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= torch.cuda.device_count()
    )
    return "nccl" if own_gpu else "gloo"


def _say(progress: Progress) -> None:
    words = " ".join(f"{role} {loss:.4f}" for role, loss in progress.losses.items())
    scores = " ".join(f"{end} {value:.4f}" for end, value in progress.quality.items())
    sys.stdout.write(
        f"step {progress.step}/{progress.steps} loss {words} {scores} "
        f"{progress.passes_per_second:.1f} passes/s, {progress.eta_s:.0f} s to go\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SupernetError as refused:
        sys.exit(f"error: {refused}")
