"""One training by many processes.

``torchrun --nproc-per-node=2 -m supernets.training.launch RECIPE --family FILE --data NAME --out FOLDER``

Starting it again resumes, on another number of processes too. ``netwright train`` does the same with one process, a
progress bar and a report card; running it on a training that finished here makes a supernet of it. Both resolve their
options in :mod:`supernets.training.plan`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from supernets import TASKS
from supernets.device import DEVICES, choose
from supernets.errors import SupernetError
from supernets.training.loop import Progress, RunOptions, train
from supernets.training.plan import TrainingFiles
from supernets.training.steps.processes import joined


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what the command line names; the first process prints a line for each log entry."""
    parser = argparse.ArgumentParser(
        prog="supernets.training.launch", description="Train a supernet with torchrun."
    )
    parser.add_argument("recipe", help="a .toml file or a built-in name")
    parser.add_argument("--family", type=Path, help="a TOML file such as zoo/digits/family.toml")
    parser.add_argument("--data", help="digits, fashion_mnist, folder:PATH, …")
    parser.add_argument("--task", help=f"one of {', '.join(TASKS)}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the training's state")
    parser.add_argument(
        "--from", dest="source", type=Path, help="a supernet's folder, or one that training left"
    )
    parser.add_argument("--momentum", action="store_true", help="with --from: take over momentum too")
    parser.add_argument("--teacher", type=Path, help="a supernet's folder, or an exported .onnx file")
    parser.add_argument("--seed", type=int, help="0, or with --from that of the last stage + 1")
    parser.add_argument("--steps", type=int, help="in place of the recipe's")
    parser.add_argument("--until-step", type=int)
    parser.add_argument("--checkpoint-every", type=int, default=500)
    parser.add_argument("--evaluate-every", type=int, default=1000)
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    given = parser.parse_args(arguments)
    device = choose(given.device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    files = TrainingFiles(
        recipe=given.recipe,
        family=given.family,
        data=given.data,
        task=given.task,
        seed=given.seed,
        steps=given.steps,
        source=given.source,
        momentum=given.momentum,
        teacher=given.teacher,
    )
    plan = files.plan(device)
    with joined(_backend(device)) as processes:
        options = RunOptions(
            until_step=given.until_step,
            checkpoint_every=given.checkpoint_every,
            evaluate_every=given.evaluate_every,
            progress=_print,
            device=device,
            processes=processes,
        )
        train(plan, given.out, options)
    return 0


def _backend(device: torch.device) -> str:
    """How the processes exchange data: NCCL where each has a GPU of its own, else gloo."""
    own_gpu = (
        device.type == "cuda" and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= torch.cuda.device_count()
    )
    return "nccl" if own_gpu else "gloo"


def _print(progress: Progress) -> None:
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
