"""ViT, and DeiT without a distillation token, whose folders have ``model_type`` vit too."""

from __future__ import annotations

from collections.abc import Iterator

from supernets.pretrained.architecture import Architecture, Take, linear


class VitWeights(Architecture):
    """The class token is classified."""

    family = "vit"
    reads = "images"
    prefix = "vit."
    ignored = (r"pooler\.", r"embeddings\.mask_token$")

    def settings(self, outputs: int | None) -> dict[str, object]:
        """See :meth:`Architecture.settings`."""
        self.require("qkv_bias", (True,), True)
        return {
            **self.blocks(
                self.whole("hidden_size"),
                self.whole("num_hidden_layers"),
                self.whole("num_attention_heads"),
                self.whole("intermediate_size"),
            ),
            "image_channels": self.whole("num_channels"),
            "patch": self.whole("patch_size"),
            "resolutions": [self.whole("image_size")],
            "activation": self.activation("hidden_act"),
            "norm_eps": self.real("layer_norm_eps", 1e-12),
            "num_classes": outputs,
        }

    def classifier(self) -> dict[str, str]:
        """See :meth:`Architecture.classifier`."""
        return {"classifier.weight": "classifier.weight", "classifier.bias": "classifier.bias"}

    def takes(self) -> Iterator[tuple[str, Take]]:
        """See :meth:`Architecture.takes`."""
        yield from linear("patches", "embeddings.patch_embeddings.projection")
        yield "class_token", Take(("embeddings.cls_token",), lambda token: token[0])
        yield "positions.weight", Take(("embeddings.position_embeddings",), lambda table: table[0])
        for index in range(self.whole("num_hidden_layers")):
            own, source = f"layers.{index}", f"encoder.layer.{index}"
            for name in ("query", "key", "value"):
                yield from linear(f"{own}.attention.{name}", f"{source}.attention.attention.{name}")
            yield from linear(f"{own}.attention.output", f"{source}.attention.output.dense")
            yield from linear(f"{own}.attention_norm", f"{source}.layernorm_before")
            yield from linear(f"{own}.feed_forward.up", f"{source}.intermediate.dense")
            yield from linear(f"{own}.feed_forward.down", f"{source}.output.dense")
            yield from linear(f"{own}.feed_forward_norm", f"{source}.layernorm_after")
        yield from linear("last_norm", "layernorm")
