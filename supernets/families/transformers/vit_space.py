"""ViT (Dosovitskiy et al., 2021): patches of an image as tokens, with a class token and learned positions. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from supernets.errors import SpaceError
from supernets.families.convolutional.mobile import check_ascending
from supernets.families.transformers.space import TransformerConfig, TransformerFamily
from supernets.spaces.layers import LayerSpec
from supernets.spaces.space import Arch, Axis, Choice
from supernets.spaces.transformer import embedding_layer, linear_layer, norm_layer


@dataclass(frozen=True, kw_only=True)
class VitConfig(TransformerConfig):
    """``resolutions`` are sides of the image, multiples of ``patch``; positions are learned for the largest."""

    num_classes: int = 1000
    image_channels: int = 3
    patch: int = 16
    resolutions: tuple[int, ...] = (224,)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ascending("resolutions", self.resolutions)
        if self.patch < 1 or any(side % self.patch for side in self.resolutions):
            raise SpaceError(
                f"resolutions must be multiples of patch ({self.patch}), got {list(self.resolutions)}"
            )


@dataclass(frozen=True)
class VitFamily(TransformerFamily):
    """See the module. Blocks have a norm before each half; for smaller images positions are interpolated."""

    settings: VitConfig = field(default_factory=VitConfig)
    name = "vit"
    settings_type = VitConfig
    norm_first = True
    input_axes = ("resolution",)
    fitted = {"outputs": "num_classes", "channels": "image_channels"}

    def own_axes(self) -> tuple[Axis, ...]:
        """The image size."""
        return (Axis("resolution", "resolution", self.settings.resolutions),)

    def dimensions(self, arch: Arch) -> dict[str, int]:
        """Channels, height and width of the image that ``arch`` reads, and the number of outputs."""
        side, s = self.value(arch.as_dict(), "resolution"), self.settings
        return {"channels": s.image_channels, "height": side, "width": side, "outputs": s.num_classes}

    def tokens(self, choices: Mapping[str, Choice]) -> int:
        """Patches, and the class token."""
        return (self.value(choices, "resolution") // self.settings.patch) ** 2 + 1

    def entry_layers(self, width: int, tokens: int, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        """Patch embedding, class token and positions."""
        s, patches = self.settings, tokens - 1
        side = self.value(choices, "resolution")
        return (
            LayerSpec(
                "patches", "conv", s.image_channels, width, side**2, patches, s.patch, s.patch, bias=True
            ),
            embedding_layer("class_token", 1, width, 1),
            embedding_layer("positions", tokens, width, tokens),
            LayerSpec("embedding.add", "add", width, width, tokens, tokens, held=width * tokens),
        )

    def exit_layers(self, width: int, tokens: int) -> tuple[LayerSpec, ...]:
        """The last norm, the class token and its classifier."""
        return (
            norm_layer("last_norm", width, tokens),
            LayerSpec("pool", "pool", width, width, tokens, 1),
            linear_layer("classifier", width, self.settings.num_classes, 1),
        )
