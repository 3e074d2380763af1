"""The elastic BERT and its plain subnets."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from supernets.elastic.active import Inputs
from supernets.elastic.layers.attention import PaddingBias, padding_bias
from supernets.elastic.layers.layer_norm import cut_norm, narrow_norm
from supernets.elastic.layers.packed import Packed, padded_anywhere, without_common_padding
from supernets.elastic.layers.token_linear import cut_linear, narrow_linear
from supernets.elastic.norm import BNStats, Norm
from supernets.families.transformers.bert_space import BertFamily
from supernets.families.transformers.net import Positions, Sizes, TransformerNet, cut_table, initialise_tokens
from supernets.families.transformers.space import TransformerPlan
from supernets.spaces.space import Arch


class BertNet(TransformerNet):
    """See :mod:`supernets.families.transformers.bert_space`."""

    family: BertFamily

    def __init__(self, family: BertFamily) -> None:
        super().__init__(family, causal=False)
        s = family.settings
        width = s.widths[-1]
        self.words = nn.Embedding(s.vocabulary, width)
        self.positions = nn.Embedding(s.positions, width)
        self.embedding_norm = nn.LayerNorm(width, s.norm_eps)
        if s.pooler != "none":
            self.pooler = nn.Linear(width, width)
        self.classifier = nn.Linear(width, s.num_classes)
        initialise_tokens(self)

    def features(self, ids: Tensor, mask: Tensor, arch: Arch) -> Tensor:
        """The last stream ``(n, tokens, width)`` of texts with their mask, both ``(n, tokens) int64``.

        It is zero at padding, on which nothing but attention is computed.
        """
        plan, tokens = self.family.plan(arch), ids.shape[1]
        bias, places = padding_bias(mask), self.positions.weight[:tokens, : plan.width]
        if not padded_anywhere(mask):
            x = self.words(ids)[..., : plan.width] + places
            return self.run_blocks(narrow_norm(x, self.embedding_norm), plan, bias)
        packed = Packed.of(mask, bias)
        x = self.words(ids.flatten()[packed.places])[:, : plan.width] + places[packed.places % tokens]
        return packed.spread(self.run_blocks(narrow_norm(x, self.embedding_norm), plan, packed))

    def run(self, inputs: Inputs, arch: Arch, norm: Norm, dropout: float) -> Tensor:  # noqa: ARG002
        """Outputs ``(n, outputs)`` of ``arch``."""
        ids, mask = inputs
        if padded_anywhere(mask):
            ids, mask = without_common_padding(ids, mask)
        x = self.features(ids, mask, arch)
        pooled = mean_of_tokens(x, mask) if self.family.settings.pooling == "mean" else x[:, 0]
        if self.family.settings.pooler != "none":
            pooled = narrow_linear(pooled, self.pooler, pooled.shape[-1])
            pooled = pooled.tanh() if self.family.settings.pooler == "tanh" else F.relu(pooled)
        pooled = F.dropout(pooled, dropout, training=dropout > 0)
        return narrow_linear(pooled, self.classifier, self.classifier.out_features)

    def outer_sizes(self, plan: TransformerPlan) -> Sizes:
        """Columns of the tables and the classifier, both sides of the pooler."""
        s, width = self.family.settings, plan.width
        found: dict[str, tuple[int, ...]] = {
            "words.weight": (s.vocabulary, width),
            "positions.weight": (s.positions, width),
            "embedding_norm.weight": (width,),
            "embedding_norm.bias": (width,),
            "classifier.weight": (s.num_classes, width),
        }
        if s.pooler != "none":
            found |= {"pooler.weight": (width, width), "pooler.bias": (width,)}
        return found

    def materialise(self, arch: Arch, stats: BNStats | None) -> nn.Module:  # noqa: ARG002 (there are none)
        """A plain network with copies of the weights of ``arch``."""
        return PlainBert(self, self.family.plan(arch))


class PlainBert(nn.Module):
    """A subnet with nothing elastic; any batch, and any sequence up to the positions."""

    def __init__(self, net: BertNet, plan: TransformerPlan) -> None:
        super().__init__()
        s, width = net.family.settings, plan.width
        self.words = cut_table(net.words, width)
        self.positions = Positions(net.positions.weight[:, :width])
        self.embedding_norm = cut_norm(net.embedding_norm, width)
        self.padding = PaddingBias()
        self.layers = nn.ModuleList(net.cut_blocks(plan))
        self.pool: nn.Module = MeanOfTokens() if s.pooling == "mean" else FirstToken()
        self.pooler: nn.Module = nn.Identity()
        if s.pooler != "none":
            self.pooler = nn.Sequential(
                cut_linear(net.pooler, width, width, nn.Linear),
                nn.Tanh() if s.pooler == "tanh" else nn.ReLU(),
            )
        self.classifier = cut_linear(net.classifier, width, s.num_classes, nn.Linear)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits ``(n, outputs)`` of texts and their mask, both ``(n, tokens) int64``."""
        x = self.embedding_norm(self.positions(self.words(input_ids)))
        bias = self.padding(attention_mask)
        for layer in self.layers:
            x = layer(x, bias)
        logits: Tensor = self.classifier(self.pooler(self.pool(x, attention_mask)))
        return logits


def mean_of_tokens(x: Tensor, mask: Tensor) -> Tensor:
    """Mean ``(n, width)`` of the tokens ``(n, tokens, width)`` where ``mask (n, tokens)`` is 1."""
    weight = mask.float()[:, :, None]
    return (x * weight).sum(1) / weight.sum(1)


class MeanOfTokens(nn.Module):
    """:func:`mean_of_tokens` as a layer."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map ``(n, tokens, width)`` to ``(n, width)``."""
        return mean_of_tokens(x, mask)


class FirstToken(nn.Module):
    """The first token."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Map ``(n, tokens, width)`` to ``(n, width)``."""
        return x[:, 0]
