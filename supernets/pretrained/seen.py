"""What the heads and neurons of a network say on data: by it they are sorted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from supernets.data import DataSet
from supernets.elastic.active import ElasticModel
from supernets.extract import extract
from supernets.prepared import first_part
from supernets.tasks.task import Task

EXAMPLES, BATCH = 256, 32


def mean_squares(net: ElasticModel, task: Task, data: DataSet) -> Mapping[str, Tensor]:
    """Mean square ``(channels,)`` of what each layer that reads heads or neurons gets, by the name of its weight.

    Of the first training examples, as the largest subnet computes them; padding does not count.
    """
    largest = net.family.space().max()
    plain = extract(net, largest, None).eval()
    layers = {name.removeprefix("features."): layer for name, layer in plain.named_modules()}
    names = [group.importance[0] for group in net.channel_groups()]
    sums: dict[str, Tensor] = {}
    counted = torch.zeros(())
    mask: Tensor | None = None

    def add(name: str, _layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs
        squares = x.square() if mask is None else x.square() * mask[..., None]
        sums[name] = sums.get(name, 0) + squares.flatten(0, 1).sum(0)

    handles = [
        layers[name.removesuffix(".weight")].register_forward_pre_hook(partial(add, name)) for name in names
    ]
    stored = first_part(data.held("train"), EXAMPLES)[0]
    with torch.no_grad():
        for part in torch.split(stored, BATCH):
            inputs = task.prepare(part, data.preprocessing(), net.family.dimensions(largest))
            mask = inputs[1].float() if len(inputs) > 1 else None
            plain(*inputs)
            counted = counted + (len(part) if mask is None else mask.sum())
    for handle in handles:
        handle.remove()
    return {name: total / counted for name, total in sums.items()}
