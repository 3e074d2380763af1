"""DistilBERT (Sanh et al., 2019): BERT without segments, pooled through a ReLU."""

from __future__ import annotations

from collections.abc import Iterator

from supernets.pretrained.architecture import Architecture, Take, linear


class DistilBertWeights(Architecture):
    """The layer before the classifier (``pre_classifier``) is new where the file has none."""

    family = "bert"
    reads = "text"
    prefix = "distilbert."
    ignored = (r"vocab_", r"qa_outputs\.", r"embeddings\.position_ids$")

    def settings(self, outputs: int | None) -> dict[str, object]:
        """See :meth:`Architecture.settings`."""
        self.require("sinusoidal_pos_embds", (False, True), False)
        return {
            **self.blocks(
                self.whole("dim"), self.whole("n_layers"), self.whole("n_heads"), self.whole("hidden_dim")
            ),
            "vocabulary": self.whole("vocab_size"),
            "positions": self.whole("max_position_embeddings"),
            "activation": self.activation("activation"),
            "num_classes": outputs,
            "pooling": "first",
            "pooler": "relu",
        }

    def classifier(self) -> dict[str, str]:
        """See :meth:`Architecture.classifier`."""
        layers = {"pooler": "pre_classifier", "classifier": "classifier"}
        return {f"{own}.{k}": f"{source}.{k}" for own, source in layers.items() for k in ("weight", "bias")}

    def takes(self) -> Iterator[tuple[str, Take]]:
        """See :meth:`Architecture.takes`."""
        yield "words.weight", Take(("embeddings.word_embeddings.weight",))
        yield "positions.weight", Take(("embeddings.position_embeddings.weight",))
        yield from linear("embedding_norm", "embeddings.LayerNorm")
        for index in range(self.whole("n_layers")):
            own, source = f"layers.{index}", f"transformer.layer.{index}"
            for name, short in (("query", "q"), ("key", "k"), ("value", "v"), ("output", "out")):
                yield from linear(f"{own}.attention.{name}", f"{source}.attention.{short}_lin")
            yield from linear(f"{own}.attention_norm", f"{source}.sa_layer_norm")
            yield from linear(f"{own}.feed_forward.up", f"{source}.ffn.lin1")
            yield from linear(f"{own}.feed_forward.down", f"{source}.ffn.lin2")
            yield from linear(f"{own}.feed_forward_norm", f"{source}.output_layer_norm")
