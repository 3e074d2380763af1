"""GPT-2 (Radford et al., 2019): a causal decoder, for language modelling or classification. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from supernets.families.transformers.space import Activation, TextFamily, TextTransformerConfig
from supernets.spaces.layers import LayerSpec
from supernets.spaces.space import Arch
from supernets.spaces.transformer import linear_layer, norm_layer


@dataclass(frozen=True, kw_only=True)
class GptConfig(TextTransformerConfig):
    """Without ``num_classes`` the outputs are the next token's logits, from the table of the token embedding.

    With it they are classes of a text, read from its last token.
    """

    activation: Activation = "gelu_tanh"
    norm_eps: float = 1e-5
    num_classes: int | None = None


@dataclass(frozen=True)
class GptFamily(TextFamily):
    """See the module. Token and position embeddings, blocks with a norm before each half, a last norm."""

    settings: GptConfig = field(default_factory=GptConfig)
    name = "gpt"
    settings_type = GptConfig
    norm_first = True

    def dimensions(self, arch: Arch) -> dict[str, int]:  # noqa: ARG002 (equal for all)
        """Tokens known, tokens of a text, and the number of outputs of a token or of a text."""
        s = self.settings
        sizes = {"vocabulary": s.vocabulary, "positions": s.positions, "sequence": s.sequence}
        if s.num_classes is None:
            return {**sizes, "token_outputs": s.vocabulary}
        return {**sizes, "outputs": s.num_classes}

    def exit_layers(self, width: int, tokens: int) -> tuple[LayerSpec, ...]:
        """The last norm, and the logits of tokens or classes."""
        s = self.settings
        norm = norm_layer("last_norm", width, tokens)
        if s.num_classes is None:
            return norm, linear_layer("logits", width, s.vocabulary, tokens, shared=True)
        last = LayerSpec("pool", "pool", width, width, tokens, 1)
        return norm, last, linear_layer("classifier", width, s.num_classes, 1)
