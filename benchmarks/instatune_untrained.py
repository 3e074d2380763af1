"""What is left of a pretrained encoder that is cut and not trained: ``python -m benchmarks.instatune_untrained``.

Texts of the validation split are given the class whose mean vector, of training texts, is nearest by cosine. Compared
are the layers that a depth keeps (the first, or spread) and the order of heads and neurons: as they come, by the size
of the weights that read them, or by what they add on training texts, as a conversion sorts them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.instatune import uniform
from supernets.checkpoints import write_bytes
from supernets.data import DataSet
from supernets.elastic.reorder import reorder
from supernets.families.transformers.bert_net import BertNet, mean_of_tokens
from supernets.pretrained.directory import read_pretrained, sort, tokenized
from supernets.pretrained.folder import PretrainedFolder
from supernets.spaces.space import Arch
from supernets.tasks.text_classification import TextClassification

SIZES = ((6, 12, 1536), (6, 8, 1024), (6, 6, 768), (4, 12, 1536), (4, 8, 1024), (3, 12, 1536), (3, 6, 768))
ORDERS = ("none", "weights", "data")
TASK = TextClassification()
BATCH = 100


def network(folder: PretrainedFolder, data: DataSet, keep: str, order: str, sequence: int) -> BertNet:
    """The elastic network with these layers in this order."""
    net = read_pretrained(folder, data.classes, keep=keep, sequence=sequence).net
    assert isinstance(net, BertNet)
    if order == "weights":
        space = net.family.space()
        largest = space.restrict({axis.name: [axis.choices[-1]] for axis in space.axes})
        reorder(net, net.channel_groups(), largest)
    if order == "data":
        sort(net, TASK, data)
    return net


def vectors(net: BertNet, data: DataSet, stored: Tensor, arch: Arch) -> Tensor:
    """Mean vectors ``(n, width)`` of texts, of length 1."""
    found = []
    with torch.no_grad():
        for part in torch.split(stored, BATCH):
            ids, mask = TASK.prepare(part, data.preprocessing(), net.family.dimensions(arch))
            found.append(torch.nn.functional.normalize(mean_of_tokens(net.features(ids, mask, arch), mask)))
    return torch.cat(found)


def accuracy(net: BertNet, data: DataSet, arch: Arch, train: int, held: int) -> float:
    """Fraction of ``held`` validation texts that have the class of the nearest mean of ``train`` training texts."""
    rng = np.random.default_rng(0)
    known, asked = (
        torch.from_numpy(rng.permutation(len(data.held(split)))[:n])
        for split, n in (("train", train), ("validation", held))
    )
    split = data.held("train")
    of_class = torch.nn.functional.one_hot(split.labels[known], len(data.classes)).float()
    means = torch.nn.functional.normalize(of_class.T @ vectors(net, data, split.stored[known], arch))
    split = data.held("validation")
    nearest = (vectors(net, data, split.stored[asked], arch) @ means.T).argmax(1)
    return float((nearest == split.labels[asked]).double().mean())


def main() -> None:
    """Evaluate every combination and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the pretrained encoder")
    parser.add_argument("--data", required=True, help="labelled texts, as text:PATH")
    parser.add_argument("--sequence", type=int, default=24)
    parser.add_argument("--train", type=int, default=1500)
    parser.add_argument("--held", type=int, default=600)
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = PretrainedFolder(given.folder)
    data = tokenized(given.data, folder)
    print("| layers | order | " + " | ".join(f"{d}, {h}, {f:,}" for d, h, f in SIZES) + " |")
    print("|---" * (len(SIZES) + 2) + "|")
    result = []
    for keep in ("first", "spread"):
        for order in ORDERS:
            net = network(folder, data, keep, order, given.sequence)
            archs = [net.family.space().arch(uniform(net.family, *size)) for size in SIZES]
            row = [accuracy(net, data, arch, given.train, given.held) for arch in archs]
            result.append({"keep": keep, "order": order, "sizes": SIZES, "accuracy": row})
            print(
                f"| {keep} | {order} | " + " | ".join(f"{100 * value:.1f}" for value in row) + " |",
                flush=True,
            )
    write_bytes(given.json, json.dumps(result, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
