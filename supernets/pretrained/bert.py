"""BERT, MiniLM and other encoders of ``model_type`` bert."""

from __future__ import annotations

from collections.abc import Iterator

from supernets.pretrained.architecture import CLASSIFIER, Architecture, Take, linear

POOLING_FILE = "1_Pooling/config.json"
"""Of sentence encoders: how the tokens of a text become one vector."""


class BertWeights(Architecture):
    """The type embedding of the first segment is added to the positions: a text has one segment."""

    family = "bert"
    reads = "text"
    prefix = "bert."
    ignored = (r"embeddings\.position_ids$", r"cls\.", r"qa_outputs\.", r"pooler\.")

    @property
    def pools_mean(self) -> bool:
        """Whether the folder is that of a sentence encoder that takes the mean of the tokens."""
        return bool((self.folder.json_file(POOLING_FILE) or {}).get("pooling_mode_mean_tokens"))

    def settings(self, outputs: int | None) -> dict[str, object]:
        """See :meth:`Architecture.settings`."""
        self.require("position_embedding_type", ("absolute", None), "absolute")
        return {
            **self.blocks(
                self.whole("hidden_size"),
                self.whole("num_hidden_layers"),
                self.whole("num_attention_heads"),
                self.whole("intermediate_size"),
            ),
            "vocabulary": self.whole("vocab_size"),
            "positions": self.whole("max_position_embeddings"),
            "activation": self.activation("hidden_act"),
            "norm_eps": self.real("layer_norm_eps", 1e-12),
            "num_classes": outputs,
            "pooling": "mean" if self.pools_mean else "first",
            "pooler": "none" if self.pools_mean else "tanh",
        }

    def classifier(self) -> dict[str, str]:
        """See :meth:`Architecture.classifier`."""
        layers = (
            {CLASSIFIER: CLASSIFIER}
            if self.pools_mean
            else {"pooler": "pooler.dense", CLASSIFIER: CLASSIFIER}
        )
        return {f"{own}.{k}": f"{source}.{k}" for own, source in layers.items() for k in ("weight", "bias")}

    def takes(self) -> Iterator[tuple[str, Take]]:
        """See :meth:`Architecture.takes`."""
        yield "words.weight", Take(("embeddings.word_embeddings.weight",))
        types = "embeddings.token_type_embeddings.weight"
        yield (
            "positions.weight",
            Take(
                ("embeddings.position_embeddings.weight", types),
                lambda table: table[:1] if len(table) <= self.config.get("type_vocab_size", 2) else table,
            ),
        )
        yield from linear("embedding_norm", "embeddings.LayerNorm")
        for index in range(self.whole("num_hidden_layers")):
            own, source = f"layers.{index}", f"encoder.layer.{index}"
            for name in ("query", "key", "value"):
                yield from linear(f"{own}.attention.{name}", f"{source}.attention.self.{name}")
            yield from linear(f"{own}.attention.output", f"{source}.attention.output.dense")
            yield from linear(f"{own}.attention_norm", f"{source}.attention.output.LayerNorm")
            yield from linear(f"{own}.feed_forward.up", f"{source}.intermediate.dense")
            yield from linear(f"{own}.feed_forward.down", f"{source}.output.dense")
            yield from linear(f"{own}.feed_forward_norm", f"{source}.output.LayerNorm")
