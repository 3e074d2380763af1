"""The elastic ViT and its plain subnets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.active import Inputs
from supernets.elastic.layers.layer_norm import cut_norm, narrow_norm
from supernets.elastic.layers.token_linear import narrow_linear
from supernets.elastic.norm import BNStats, Norm
from supernets.elastic.plain import plain_linear
from supernets.families.transformers.bert_net import FirstToken
from supernets.families.transformers.net import (
    INITIAL_STD,
    Positions,
    Sizes,
    TransformerNet,
    initialise_tokens,
)
from supernets.families.transformers.space import TransformerPlan
from supernets.families.transformers.vit_space import VitFamily
from supernets.spaces.space import Arch


class VitNet(TransformerNet):
    """See :mod:`supernets.families.transformers.vit_space`."""

    family: VitFamily

    def __init__(self, family: VitFamily) -> None:
        super().__init__(family, causal=False)
        s = family.settings
        width = s.widths[-1]
        self.patches = nn.Conv2d(s.image_channels, width, s.patch, s.patch)
        self.class_token = nn.Parameter(torch.zeros(1, width))
        self.positions = nn.Embedding((s.resolutions[-1] // s.patch) ** 2 + 1, width)
        self.last_norm = nn.LayerNorm(width, s.norm_eps)
        self.classifier = nn.Linear(width, s.num_classes)
        initialise_tokens(self)
        nn.init.normal_(self.class_token, 0, INITIAL_STD)

    def places(self, plan: TransformerPlan) -> Tensor:
        """Positions ``(tokens, width)`` of ``plan``, interpolated where the image is not the largest."""
        table = self.positions.weight[:, : plan.width]
        if plan.tokens == len(table):
            return table
        return torch.cat([table[:1], interpolated(table[1:], plan.tokens - 1)])

    def features(self, inputs: Inputs, arch: Arch) -> Tensor:
        """The last stream ``(n, tokens, width)``, normed, of images ``(n, c, h, w)``."""
        (images,) = inputs
        plan = self.family.plan(arch)
        width, patch = plan.width, self.family.settings.patch
        assert self.patches.bias is not None
        x = F.conv2d(images, self.patches.weight[:width], self.patches.bias[:width], patch)
        x = torch.cat([self.class_token[:, :width].expand(len(x), 1, width), x.flatten(2).transpose(1, 2)], 1)
        return narrow_norm(self.run_blocks(x + self.places(plan), plan), self.last_norm)

    def run(self, inputs: Inputs, arch: Arch, norm: Norm, dropout: float) -> Tensor:  # noqa: ARG002
        """Outputs ``(n, outputs)`` of ``arch``."""
        first = F.dropout(self.features(inputs, arch)[:, 0], dropout, training=dropout > 0)
        return narrow_linear(first, self.classifier, self.classifier.out_features)

    def outer_sizes(self, plan: TransformerPlan) -> Sizes:
        """Channels of the patches, columns of the tables and the classifier."""
        s, width = self.family.settings, plan.width
        return {
            "patches.weight": (width, s.image_channels, s.patch, s.patch),
            "patches.bias": (width,),
            "class_token": (1, width),
            "positions.weight": (self.positions.num_embeddings, width),
            "last_norm.weight": (width,),
            "last_norm.bias": (width,),
            "classifier.weight": (s.num_classes, width),
        }

    def materialise(self, arch: Arch, stats: BNStats | None) -> nn.Module:  # noqa: ARG002 (there are none)
        """A plain network with copies of the weights of ``arch``."""
        return PlainVit(self, self.family.plan(arch))


class PlainVit(nn.Module):
    """A subnet with nothing elastic; any batch of images of its size."""

    def __init__(self, net: VitNet, plan: TransformerPlan) -> None:
        super().__init__()
        s, width = net.family.settings, plan.width
        self.patches = nn.Conv2d(s.image_channels, width, s.patch, s.patch)
        with torch.no_grad():
            assert self.patches.bias is not None and net.patches.bias is not None
            self.patches.weight.copy_(net.patches.weight[:width])
            self.patches.bias.copy_(net.patches.bias[:width])
        self.class_token = ClassToken(net.class_token[:, :width])
        self.positions = Positions(net.places(plan))
        self.layers = nn.ModuleList(net.cut_blocks(plan))
        self.last_norm = cut_norm(net.last_norm, width)
        self.pool = FirstToken()
        self.classifier = plain_linear(net.classifier, width)

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(n, outputs)`` of images ``(n, c, h, w)``."""
        x = self.positions(self.class_token(self.patches(image)))
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.classifier(self.pool(self.last_norm(x)))
        return logits


class ClassToken(nn.Module):
    """Patches in rows as tokens, behind a learned one."""

    def __init__(self, token: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(token.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, width, rows, columns)`` to ``(n, rows * columns + 1, width)``."""
        n, width = x.shape[:2]
        return torch.cat([self.weight.expand(n, 1, width), x.flatten(2).transpose(1, 2)], 1)


def interpolated(table: Tensor, patches: int) -> Tensor:
    """Positions ``(patches, width)`` of a smaller or larger square image from ``(n, width)``, bicubic as in ViT."""
    old, new = (round(n**0.5) for n in (len(table), patches))
    square = table.T.reshape(1, table.shape[1], old, old)
    grown = F.interpolate(square, size=(new, new), mode="bicubic", align_corners=False)
    return grown.reshape(table.shape[1], patches).T
