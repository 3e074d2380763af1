"""Channels sorted by importance, so that the leading slice of a narrower subnet holds the most important.

Once-for-all (Cai et al., 2020): importance of a middle channel is the sum of the absolute weights by which
the following pointwise convolution reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from supernets.spaces.space import Choice, Space


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that move together.

    ``importance`` is the tensor and dimension by which the channel is read; ``members`` all tensors and
    dimensions that hold it; ``sizes`` how many channels are in use for each combination of choices of
    ``axes`` (only axes the space has). Where ``block`` adjacent channels move as one (a head of attention), sizes count
    these.
    """

    name: str
    importance: tuple[str, int]
    members: tuple[tuple[str, int], ...]
    axes: tuple[str, ...]
    sizes: Mapping[tuple[Choice, ...], int]
    block: int = 1

    def boundaries(self, region: Space) -> tuple[int, ...]:
        """Widths in use in ``region``, ascending: no channel may cross one of them."""
        columns = [region.column(axis) for axis in self.axes]
        allowed = [{region.axes[c].choices[i] for i in region.allowed[c]} for c in columns]
        used = {
            size
            for choices, size in self.sizes.items()
            if all(choice in known for choice, known in zip(choices, allowed, strict=True))
        }
        return tuple(sorted(used))


def order(
    group: ChannelGroup, state: Mapping[str, Tensor], region: Space, seen: Mapping[str, Tensor] | None = None
) -> Tensor:
    """The new order ``(channels,)``: by falling importance between the widths ``region`` has trained.

    ``seen`` has the mean square of each channel on data, ``(channels,)`` by the name of the tensor that reads it.
    Importance is then what the channel adds on average, ``seen`` times its squared weights.
    """
    name, dim = group.importance
    weight = state[name].detach()
    weight = weight.abs() if seen is None else weight.square()
    sums = weight.sum(dim=[d for d in range(weight.ndim) if d != dim])
    importance = (sums if seen is None else sums * seen[name]).view(-1, group.block).sum(1)
    edges = [0, *group.boundaries(region)]
    if edges[-1] < len(importance):
        edges.append(len(importance))
    parts = [
        first + torch.argsort(importance[first:last], descending=True, stable=True)
        for first, last in zip(edges, edges[1:], strict=False)
    ]
    found = torch.cat(parts)
    within = torch.arange(group.block, device=found.device)
    return (found[:, None] * group.block + within).flatten()


def reorder(
    net: nn.Module,
    groups: Iterable[ChannelGroup],
    region: Space,
    followers: Iterable[Mapping[str, Tensor]] = (),
    seen: Mapping[str, Tensor] | None = None,
) -> None:
    """Sort the channels of every group in place, in the network and in ``followers``; ``seen`` as in :func:`order`.

    ``followers`` are tensors by the same names and of the same shapes that must move along, such as an
    optimizer's momentum or averaged weights; absent names are passed over. The full-width output stays.
    """
    state = dict(net.named_parameters()) | dict(net.named_buffers())
    moving = [state, *followers]
    with torch.no_grad():
        for group in groups:
            permutation = order(group, state, region, seen)
            for name, dim in group.members:
                for tensors in moving:
                    if name in tensors:
                        tensors[name].copy_(
                            tensors[name].index_select(dim, permutation.to(tensors[name].device))
                        )
