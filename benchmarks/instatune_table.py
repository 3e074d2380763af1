"""Subnets of a trained elastic encoder as a table for ``benchmarks.search_quality``.

    python -m benchmarks.instatune_table --supernet FOLDER --texts 500 --out TABLE.parquet

Layers in groups of neighbours share their number of heads and neurons, so that all subnets of this part of the space
can be evaluated: a digit for the depth, and for each half of the layers one for the heads and one for the neurons.
Those of MiniLM are 243.
``accuracy`` is in percent on texts of the validation split, in equal distances; ``million_macs`` is the closed form.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch

from benchmarks.instatune import Start, accuracy
from supernets.families.family import Family
from supernets.spaces.space import Arch

GROUPS = {"heads": 2, "expand": 2}
"""Of the layers, for each kind of axis that layers have."""


def digits_of(family: Family) -> dict[str, tuple[int, ...]]:
    """Digits of the table by name, and their choices."""
    axes = family.space().axes
    choices = {axis.kind: axis.choices for axis in axes}
    names = {"depth": "depth"} | {
        f"{kind}{group}": kind for kind, groups in GROUPS.items() for group in range(groups)
    }
    return {name: tuple(int(choice) for choice in choices[kind]) for name, kind in names.items()}


def arch_of(family: Family, digits: Mapping[str, int]) -> Arch:
    """The subnet of these choices by digit."""
    space = family.space()
    layers = len([axis for axis in space.axes if axis.kind == "heads"])
    chosen = {"depth": digits["depth"]}
    for axis in space.axes:
        if axis.kind in GROUPS and (axis.parent is None or digits["depth"] in axis.active_when):
            layer = int(axis.name.split(".")[0].removeprefix("layer")) - 1
            chosen[axis.name] = digits[f"{axis.kind}{layer * GROUPS[axis.kind] // layers}"]
    return space.arch(chosen)


def table(start: Start, texts: int) -> pd.DataFrame:
    """Every subnet of the groups: a column ``ops`` of digits, accuracy in percent, and MACs in millions."""
    digits, rows = digits_of(start.family), []
    space = start.family.space()
    net = start.net()
    for picked in itertools.product(*(range(len(choices)) for choices in digits.values())):
        named = {name: digits[name][k] for name, k in zip(digits, picked, strict=True)}
        arch = arch_of(start.family, named)
        macs = float(start.family.costs(space.encode([arch]))["macs"][0])
        rows.append(
            {
                "ops": "".join(map(str, picked)),
                "accuracy": 100 * accuracy(net, start, arch, "validation", texts),
                "million_macs": macs / 1e6,
            }
        )
        if len(rows) % 50 == 0:
            print(f"{len(rows)} subnets", flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    """Evaluate every subnet of the groups and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--supernet", type=Path, required=True, help="a trained one, of a pretrained encoder")
    parser.add_argument("--texts", type=int, default=500, help="of the validation split")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    table(Start.of(given.supernet), given.texts).to_parquet(given.out)


if __name__ == "__main__":
    main()
