"""GPT-2: layers are stored transposed, and queries, keys and values in one."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from supernets.pretrained.architecture import Architecture, Change, Take, linear


class Gpt2Weights(Architecture):
    """Logits are read with the table of the token embedding."""

    family = "gpt"
    reads = "text"
    prefix = "transformer."
    ignored = (r"h\.\d+\.attn\.(bias|masked_bias)$", r"lm_head\.weight$")

    def settings(self, outputs: int | None) -> dict[str, object]:
        """See :meth:`Architecture.settings`."""
        self.require("tie_word_embeddings", (True,), True)
        self.require("scale_attn_weights", (True,), True)
        self.require("scale_attn_by_inverse_layer_idx", (False,), False)
        self.require("add_cross_attention", (False,), False)
        width = self.whole("n_embd", "hidden_size")
        ffn = self.config.get("n_inner") or 4 * width
        return {
            **self.blocks(
                width,
                self.whole("n_layer", "num_hidden_layers"),
                self.whole("n_head", "num_attention_heads"),
                ffn,
            ),
            "vocabulary": self.whole("vocab_size"),
            "positions": self.whole("n_positions", "n_ctx"),
            "activation": self.activation("activation_function"),
            "norm_eps": self.real("layer_norm_epsilon", 1e-5),
            "num_classes": outputs,
        }

    def classifier(self) -> dict[str, str]:
        """See :meth:`Architecture.classifier`: GPT-2's has no bias, so it is not taken over."""
        return {"classifier.weight": "score.weight"}

    def takes(self) -> Iterator[tuple[str, Take]]:
        """See :meth:`Architecture.takes`."""
        yield "words.weight", Take(("wte.weight",))
        yield "positions.weight", Take(("wpe.weight",))
        for index in range(self.whole("n_layer", "num_hidden_layers")):
            own, source = f"layers.{index}", f"h.{index}"
            for place, name in enumerate(("query", "key", "value")):
                yield f"{own}.attention.{name}.weight", Take((f"{source}.attn.c_attn.weight",), _third(place))
                yield f"{own}.attention.{name}.bias", Take((f"{source}.attn.c_attn.bias",), _third(place))
            yield from _turned(f"{own}.attention.output", f"{source}.attn.c_proj")
            yield from linear(f"{own}.attention_norm", f"{source}.ln_1")
            yield from _turned(f"{own}.feed_forward.up", f"{source}.mlp.c_fc")
            yield from _turned(f"{own}.feed_forward.down", f"{source}.mlp.c_proj")
            yield from linear(f"{own}.feed_forward_norm", f"{source}.ln_2")
        yield from linear("last_norm", "ln_f")


def _third(place: int) -> Change:
    """One of three equal parts along the outputs, which are the last dimension of the file's."""

    def part(stored: Tensor) -> Tensor:
        return stored.chunk(3, -1)[place].T if stored.ndim == 2 else stored.chunk(3, -1)[place]

    return part


def _turned(own: str, source: str) -> Iterator[tuple[str, Take]]:
    yield f"{own}.weight", Take((f"{source}.weight",), lambda stored: stored.T)
    yield f"{own}.bias", Take((f"{source}.bias",))
