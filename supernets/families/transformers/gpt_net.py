"""The elastic GPT-2 and its plain subnets.

Texts are padded at the end, so a causal network needs no padding mask: no token sees the padding after it. The mask
only marks a text's last token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.active import Inputs
from supernets.elastic.layers.layer_norm import cut_norm, narrow_norm
from supernets.elastic.layers.token_linear import Unembed, cut_linear, narrow_linear
from supernets.elastic.norm import BNStats, Norm
from supernets.families.transformers.gpt_space import GptFamily
from supernets.families.transformers.net import Positions, Sizes, TransformerNet, cut_table, initialise_tokens
from supernets.families.transformers.space import TransformerPlan
from supernets.spaces.space import Arch


class GptNet(TransformerNet):
    """See :mod:`supernets.families.transformers.gpt_space`."""

    family: GptFamily

    def __init__(self, family: GptFamily) -> None:
        super().__init__(family, causal=True)
        s = family.settings
        width = s.widths[-1]
        self.words = nn.Embedding(s.vocabulary, width)
        self.positions = nn.Embedding(s.positions, width)
        self.last_norm = nn.LayerNorm(width, s.norm_eps)
        if s.num_classes is not None:
            self.classifier = nn.Linear(width, s.num_classes)
        initialise_tokens(self)

    def features(self, inputs: Inputs, arch: Arch) -> Tensor:
        """The last stream ``(n, tokens, width)``, normed, of texts ``(n, tokens) int64``."""
        ids = inputs[0]
        plan = self.family.plan(arch)
        x = self.words(ids)[..., : plan.width] + self.positions.weight[: ids.shape[1], : plan.width]
        return narrow_norm(self.run_blocks(x, plan), self.last_norm)

    def run(self, inputs: Inputs, arch: Arch, norm: Norm, dropout: float) -> Tensor:  # noqa: ARG002
        """Outputs of ``arch``: ``(n, tokens, vocabulary)``, or ``(n, outputs)`` of texts with their mask."""
        x = self.features(inputs, arch)
        if self.family.settings.num_classes is None:
            x = F.dropout(x, dropout, training=dropout > 0)
            return F.linear(x, self.words.weight[:, : x.shape[-1]])
        last = F.dropout(last_token(x, inputs[1]), dropout, training=dropout > 0)
        return narrow_linear(last, self.classifier, self.classifier.out_features)

    def outer_sizes(self, plan: TransformerPlan) -> Sizes:
        """Columns of the tables and the classifier."""
        s, width = self.family.settings, plan.width
        found: dict[str, tuple[int, ...]] = {
            "words.weight": (s.vocabulary, width),
            "positions.weight": (s.positions, width),
            "last_norm.weight": (width,),
            "last_norm.bias": (width,),
        }
        if s.num_classes is not None:
            found["classifier.weight"] = (s.num_classes, width)
        return found

    def materialise(self, arch: Arch, stats: BNStats | None) -> nn.Module:  # noqa: ARG002 (there are none)
        """A plain network with copies of the weights of ``arch``."""
        plan = self.family.plan(arch)
        return (PlainGpt if self.family.settings.num_classes is None else PlainGptClassifier)(self, plan)


class _PlainBlocks(nn.Module):
    """What both plain networks share."""

    def __init__(self, net: GptNet, plan: TransformerPlan) -> None:
        super().__init__()
        self.words = cut_table(net.words, plan.width)
        self.positions = Positions(net.positions.weight[:, : plan.width])
        self.layers = nn.ModuleList(net.cut_blocks(plan))
        self.last_norm = cut_norm(net.last_norm, plan.width)

    def features(self, input_ids: Tensor) -> Tensor:
        """The last stream, normed."""
        x = self.positions(self.words(input_ids))
        for layer in self.layers:
            x = layer(x)
        normed: Tensor = self.last_norm(x)
        return normed


class PlainGpt(_PlainBlocks):
    """A language model; any batch, and any sequence up to the positions."""

    def __init__(self, net: GptNet, plan: TransformerPlan) -> None:
        super().__init__(net, plan)
        self.unembed = Unembed()

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits ``(n, tokens, vocabulary)`` of the next tokens of texts ``(n, tokens) int64``."""
        logits: Tensor = self.unembed(self.features(input_ids), self.words.weight)
        return logits


class PlainGptClassifier(_PlainBlocks):
    """A classifier of texts by their last token."""

    def __init__(self, net: GptNet, plan: TransformerPlan) -> None:
        super().__init__(net, plan)
        self.pool = LastToken()
        self.classifier = cut_linear(net.classifier, plan.width, net.classifier.out_features, nn.Linear)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits ``(n, outputs)`` of texts and their mask, both ``(n, tokens) int64``."""
        logits: Tensor = self.classifier(self.pool(self.features(input_ids), attention_mask))
        return logits


def last_token(x: Tensor, mask: Tensor) -> Tensor:
    """The last token ``(n, width)`` of ``(n, tokens, width)`` where ``mask (n, tokens)`` is 1."""
    last = (mask.sum(1) - 1)[:, None, None].expand(-1, 1, x.shape[2])
    return torch.gather(x, 1, last)[:, 0]


class LastToken(nn.Module):
    """:func:`last_token` as a layer."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map ``(n, tokens, width)`` to ``(n, width)``."""
        return last_token(x, mask)
