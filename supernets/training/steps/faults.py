"""Diagnosis of a failed training step."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from supernets.elastic.active import ElasticModel, Inputs, use
from supernets.elastic.norm import normalise_by_batch
from supernets.errors import TrainingError
from supernets.spaces.space import Arch
from supernets.training.steps.training import Training

REMEDY = "lower optimizer.lr or set optimizer.clip_norm"


def not_finite(training: Training) -> str | None:
    """The first weight or momentum that is not finite, as a message; None where all are."""
    for shard in training.shards:
        for what, tensors in (
            ("weight", dict(shard.net.named_parameters())),
            ("momentum of", shard.momenta()),
        ):
            for name, tensor in tensors.items():
                if not bool(torch.isfinite(tensor).all()):
                    return f"{what} {name!r} is not finite after step {training.step}; {REMEDY}"
    return None


def first_bad(net: ElasticModel, arch: Arch, inputs: Inputs) -> str:
    """The first weight, or else the first layer's input, that is not finite."""
    for name, parameter in net.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            return f"first weight that is not finite: {name!r}"
    seen: list[str] = []

    def watch(name: str, bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
        if not seen and not bool(torch.isfinite(x).all()):
            seen.append(name)
        return normalise_by_batch(name, bn, x)

    with torch.no_grad(), use(net, arch, norm=watch):
        net(*inputs)
    if seen:
        return f"all weights are finite, the input of layer {seen[0]!r} is not"
    return "all weights and layers are finite, the loss itself is not"


@contextlib.contextmanager
def explained(batch_size: int) -> Iterator[None]:
    """Turn running out of memory into a ``TrainingError`` with the missing amount and a remedy."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error)
        # CUDA: "CUDA out of memory. Tried to allocate …"; the CPU: "can't allocate memory: you tried to allocate …
        # bytes" or "not enough memory: …", as the system has it.
        known = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in text
        if not known and "not enough memory" not in text:
            raise
        asked = re.search(r"ried to allocate ([\d.]+) ?(\w+)", text)
        missing = _size(*asked.groups()) if asked else "unknown size"
        free = re.search(r"([\d.]+ \w+) is free", text)
        raise TrainingError(
            f"out of memory: one more allocation of {missing} did not fit"
            f"{f' into {free.group(1)} free' if free else ''} at batch_size {batch_size}; "
            f"try batch_size {max(2, batch_size // 2)} or a smaller largest subnet"
        ) from error


def _size(number: str, unit: str) -> str:
    """Bytes in MB (10^6 bytes); other units as they are."""
    return f"{float(number) / 1e6:,.0f} MB" if unit == "bytes" else f"{number} {unit}"
