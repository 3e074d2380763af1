"""What elastic transformers share: their blocks, which entries an arch uses, heads and neurons that can be sorted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from supernets.elastic.active import ElasticModel
from supernets.elastic.layers.packed import Packed
from supernets.elastic.layers.transformer_block import (
    ElasticTransformerBlock,
    PlainTransformerBlock,
    transformer_groups,
)
from supernets.elastic.reorder import ChannelGroup
from supernets.families.transformers.space import TransformerFamily, TransformerPlan
from supernets.spaces.space import Arch, Choice

INITIAL_STD = 0.02
Sizes = Mapping[str, tuple[int, ...]]
"""Parameter name to the leading sizes that are in use."""


class TransformerNet(ElasticModel):
    """Blocks of the widest network. Every weight of a subnet is a leading slice; there is no BatchNorm."""

    family: TransformerFamily

    def __init__(self, family: TransformerFamily, *, causal: bool) -> None:
        super().__init__(family)
        s, plan = family.settings, family.plan(family.space().max())
        self.layers = nn.ModuleList(
            ElasticTransformerBlock(
                block, s.activation, s.norm_eps, norm_first=family.norm_first, causal=causal
            )
            for block in plan.blocks
        )

    def run_blocks(self, x: Tensor, plan: TransformerPlan, padding: Tensor | Packed | None = None) -> Tensor:
        """The stream ``(n, tokens, width)``, or ``(real, width)`` of packed texts, after the blocks of ``plan``."""
        for block in plan.blocks:
            x = self.layers[block.index](x, block, padding)
        return x

    def cut_blocks(self, plan: TransformerPlan) -> list[PlainTransformerBlock]:
        """Plain blocks with copies of the weights."""
        return [self.layers[block.index].cut(block) for block in plan.blocks]  # type: ignore[operator]

    def residual_norms(self) -> list[nn.BatchNorm2d]:
        """None: a LayerNorm at zero would not make a block an identity where it comes after the sum."""
        return []

    def channel_groups(self) -> list[ChannelGroup]:
        """The heads and the neurons of every block."""
        s, groups = self.family.settings, []
        known = {axis.name for axis in self.family.space().axes}
        for index in range(len(self.layers)):
            chosen: list[tuple[tuple[str, ...], dict[tuple[Choice, ...], int]]] = []
            for axis, choices in ((f"layer{index + 1}.heads", s.heads), (f"layer{index + 1}.ffn", s.ffns)):
                axes = (axis,) if axis in known else ()
                own = choices if axes else choices[-1:]
                chosen.append((axes, {(size,) if axes else (): size for size in own}))
            groups += transformer_groups(f"layers.{index}", s.head_size, *chosen)
        return groups

    @abstractmethod
    def outer_sizes(self, plan: TransformerPlan) -> Sizes:
        """Leading sizes in use of the parameters outside the blocks; those not listed are used whole."""

    def sizes(self, arch: Arch) -> dict[str, tuple[int, ...]]:
        """Leading sizes in use of every parameter; zeros where the block is left out."""
        plan = self.family.plan(arch)
        found = {name: tuple(p.shape) for name, p in self.named_parameters()} | dict(self.outer_sizes(plan))
        for index in range(len(self.layers)):
            block = next((each for each in plan.blocks if each.index == index), None)
            prefix = f"layers.{index}."
            for name in [each for each in found if each.startswith(prefix)]:
                if block is None:
                    found[name] = (0,) * len(found[name])
                    continue
                rows = {
                    "query": block.inner,
                    "key": block.inner,
                    "value": block.inner,
                    "output": block.width,
                    "up": block.ffn,
                    "down": block.width,
                }
                columns = {"output": block.inner, "down": block.ffn}
                layer = name.removeprefix(prefix).split(".")[-2]
                leading = rows.get(layer, block.width)
                found[name] = (
                    (leading, columns.get(layer, block.width))
                    if name.endswith("weight") and layer in rows
                    else (leading,)
                )
        return found

    def used(self, arch: Arch) -> dict[str, Tensor]:
        """See :meth:`ElasticModel.used`."""
        sizes, found = self.sizes(arch), {}
        for name, parameter in self.named_parameters():
            mask = torch.zeros(parameter.shape)
            mask[tuple(slice(size) for size in sizes[name])] = 1.0
            found[name] = mask
        return found


def initialise_tokens(net: nn.Module) -> None:
    """Small normal weights and tables, zero biases (Devlin et al., 2019; Radford et al., 2020)."""
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Embedding | nn.Conv2d):
            nn.init.normal_(module.weight, 0, INITIAL_STD)
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)


def cut_table(table: nn.Embedding, width: int) -> nn.Embedding:
    """A plain table with copies of the first columns."""
    plain = nn.Embedding(table.num_embeddings, width)
    with torch.no_grad():
        plain.weight.copy_(table.weight[:, :width])
    return plain


class Positions(nn.Module):
    """Adds a learned vector to each token by its place; texts may be shorter than the table."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(table.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, tokens, width)`` to the same shape."""
        return x + self.weight[: x.shape[1]]
