"""BERT (Devlin et al., 2019): an encoder of texts with a padding mask, for classification. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from supernets.errors import SpaceError
from supernets.families.transformers.space import TextFamily, TextTransformerConfig
from supernets.spaces.layers import LayerSpec
from supernets.spaces.space import Arch, Choice
from supernets.spaces.transformer import linear_layer, norm_layer

Pooling = Literal["first", "mean"]
Pooler = Literal["tanh", "relu", "none"]


@dataclass(frozen=True, kw_only=True)
class BertConfig(TextTransformerConfig):
    """``pooling``: the first token stands for the text, or the mean of all. ``pooler``: a layer before the classifier.

    BERT pools the first token through ``tanh``, DistilBERT through ``relu``; sentence encoders take the mean.
    """

    num_classes: int = 2
    pooling: Pooling = "first"
    pooler: Pooler = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (("pooling", get_args(Pooling)), ("pooler", get_args(Pooler))):
            if getattr(self, name) not in allowed:
                raise SpaceError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class BertFamily(TextFamily):
    """See the module. Word and position embeddings, blocks with the norm after each sum, pooling, classifier."""

    settings: BertConfig = field(default_factory=BertConfig)
    name = "bert"
    settings_type = BertConfig
    norm_first = False

    def dimensions(self, arch: Arch) -> dict[str, int]:  # noqa: ARG002 (equal for all)
        """Tokens known, tokens of a text, and the number of outputs of a text."""
        s = self.settings
        return {
            "vocabulary": s.vocabulary,
            "positions": s.positions,
            "sequence": s.sequence,
            "outputs": s.num_classes,
        }

    def entry_layers(self, width: int, tokens: int, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        """Word and position embeddings, their sum and its norm."""
        return (*super().entry_layers(width, tokens, choices), norm_layer("embedding_norm", width, tokens))

    def exit_layers(self, width: int, tokens: int) -> tuple[LayerSpec, ...]:
        """Pooling, the layer after it if there is one, classifier."""
        s = self.settings
        rows = [LayerSpec("pool", "pool", width, width, tokens, 1)]
        if s.pooler != "none":
            rows.append(linear_layer("pooler", width, width, 1, activation=s.pooler))
        return (*rows, linear_layer("classifier", width, s.num_classes, 1))
