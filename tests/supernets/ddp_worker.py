"""What each of two processes runs: a few steps of a recipe; the losses, plans and exchanges go to a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from supernets.data import load_data
from supernets.recipes.recipe import Recipe
from supernets.training.loop import train_step
from supernets.training.steps.processes import joined
from tests.small import small_family, start, train


def main(out: Path) -> None:
    torch.set_num_threads(1)
    data, family, report = load_data("digits"), small_family(), {}
    with joined() as processes:
        for name, values in json.loads((out / "recipes.json").read_text()).items():
            training = start(Recipe.parse(values), family, data, seed=0, processes=processes)
            exchanges: list[int] = []
            losses = [train_step(training)]
            module = training.shards[0].module

            def count(_state, bucket, seen=exchanges):  # DDP would check annotations: these are strings
                seen.append(1)
                work = dist.all_reduce(bucket.buffer(), async_op=True)
                return work.get_future().then(lambda done: done.value()[0] / 2)

            module.register_comm_hook(None, count)
            losses += [train_step(training) for _ in range(2)]
            total = sum(float(p.detach().double().abs().sum()) for p in training.net.parameters())
            report[name] = {"losses": losses, "exchanges": len(exchanges), "weights": total}
        resumed = Recipe.parse(json.loads((out / "recipes.json").read_text())["sandwich"])
        train(resumed, family, data, out / "run", evaluate_every=100, processes=processes, until_step=3)
        (out / f"rank{processes.rank}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
