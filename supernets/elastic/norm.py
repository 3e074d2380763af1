"""BatchNorm over a leading slice of the channels, with statistics that belong to an arch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from supernets.errors import ArchError, CheckpointError
from supernets.spaces.space import Arch

Norm = Callable[[str, nn.BatchNorm2d, Tensor], Tensor]


class ElasticNorm(nn.Module):
    """A BatchNorm of the widest subnet; ``norm`` decides where its statistics come from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)


@dataclass(frozen=True)
class BNStats:
    """Mean and biased variance ``(channels,)`` of every BatchNorm an arch passes through."""

    arch_id: str
    values: Mapping[str, tuple[Tensor, Tensor]]

    def check(self, arch: Arch) -> None:
        """Refuse to serve another arch than the one the statistics were computed for."""
        if arch.id != self.arch_id:
            raise ArchError(f"these BatchNorm statistics belong to arch {self.arch_id}, got arch {arch.id}")

    def to_bytes(self) -> bytes:
        """A safetensors file."""
        tensors = {}
        for name, (mean, variance) in sorted(self.values.items()):
            tensors[f"{name}.mean"], tensors[f"{name}.var"] = mean.contiguous(), variance.contiguous()
        return save_safetensors(tensors, metadata={"arch_id": self.arch_id})

    @classmethod
    def from_bytes(cls, data: bytes, arch_id: str) -> BNStats:
        """The statistics that :meth:`to_bytes` wrote for ``arch_id``."""
        tensors = load_safetensors(data)
        names = sorted({name.rsplit(".", 1)[0] for name in tensors})
        if {f"{n}.{kind}" for n in names for kind in ("mean", "var")} != set(tensors):
            raise CheckpointError("BatchNorm statistics must hold a mean and a variance for every layer")
        return cls(arch_id, {name: (tensors[f"{name}.mean"], tensors[f"{name}.var"]) for name in names})

    @cached_property
    def sha256(self) -> str:
        """Hash of :meth:`to_bytes`."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def recorded(self) -> str | None:
        """The hash as records hold it: None where the network has no BatchNorm, so that nothing was recalibrated."""
        return self.sha256 if self.values else None


def normalise_by_batch(_name: str, bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Statistics of the batch; the running ones are left alone."""
    channels = x.shape[1]
    return F.batch_norm(x, None, None, bn.weight[:channels], bn.bias[:channels], training=True, eps=bn.eps)


def normalise_by_running(_name: str, bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """The shared running statistics."""
    channels = x.shape[1]
    assert bn.running_mean is not None and bn.running_var is not None
    return F.batch_norm(
        x,
        bn.running_mean[:channels],
        bn.running_var[:channels],
        bn.weight[:channels],
        bn.bias[:channels],
        eps=bn.eps,
    )


def normalise_by_stats(stats: BNStats) -> Norm:
    """Statistics computed for one arch."""

    def norm(name: str, bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
        mean, variance = stats.values[name]
        channels = x.shape[1]
        return F.batch_norm(x, mean, variance, bn.weight[:channels], bn.bias[:channels], eps=bn.eps)

    return norm


class CollectStats:
    """Normalises by the batch and averages what it sees, weighted by batch size.

    The variance averaged is the biased one (methods sheet, BN recalibration). Mean and variance come out of the same
    fused pass that normalises, and are summed for all layers at once at the end, so that recalibrating costs about one
    forward pass.

    Args:
        overwrite: write what is normalised over the input, which nothing else may read then.
    """

    def __init__(self, *, overwrite: bool = False) -> None:
        self._seen: dict[str, list[_Seen]] = {}
        self._overwrite = overwrite

    def __call__(self, name: str, bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
        """Normalise ``x (n, c, h, w)`` by its own statistics and keep them."""
        channels = x.shape[1]
        # Grey images leave the first layers in another layout, in which the statistics take four times as long.
        x = x.contiguous(memory_format=torch.channels_last)
        mean, variance = x.new_zeros(2, channels)
        weight, bias = bn.weight[:channels], bn.bias[:channels]
        if self._overwrite and x.device.type == "cpu":
            unused = x.new_empty(channels), x.new_empty(channels)
            y, *_ = torch.native_batch_norm(
                x, weight, bias, mean, variance, True, 1.0, bn.eps, out=(x, *unused)
            )
        else:
            y = F.batch_norm(x, mean, variance, weight, bias, training=True, momentum=1.0, eps=bn.eps)
        self._seen.setdefault(name, []).append(_Seen(mean, variance, len(x), x.numel() // channels))
        return y

    def stats(self, arch: Arch) -> BNStats:
        """What was collected; every layer has seen the same batches. Empty where there is no BatchNorm."""
        if not self._seen:
            return BNStats(arch.id, {})
        mean_sum, variance_sum, count = torch.zeros(()), torch.zeros(()), 0
        for batch in zip(*self._seen.values(), strict=True):
            images = batch[0].images
            biased = torch.cat([each.variance for each in batch]).double() * torch.cat(
                [each.biasing() for each in batch]
            )
            mean_sum = mean_sum + torch.cat([each.mean for each in batch]).double() * images
            variance_sum, count = variance_sum + biased * images, count + images
        sizes = [len(batches[0].mean) for batches in self._seen.values()]
        means = torch.split((mean_sum / count).float(), sizes)
        variances = torch.split((variance_sum / count).float(), sizes)
        values = {
            name: (m.clone(), v.clone()) for name, m, v in zip(self._seen, means, variances, strict=True)
        }
        return BNStats(arch.id, values)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Mean and unbiased variance ``(channels,)`` of a batch in a layer, of ``elements`` values a channel."""

    mean: Tensor
    variance: Tensor
    images: int
    elements: int

    def biasing(self) -> Tensor:
        """The factor ``(channels,) float64`` from the unbiased to the biased variance."""
        return self.mean.new_full(self.mean.shape, (self.elements - 1) / self.elements, dtype=torch.float64)
