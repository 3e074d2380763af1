"""ResNet-50D supernets in the layout of once-for-all (He et al., 2019; Cai et al., 2020). No torch.

The stem, the depth of each stage, its width, and the expansion of each block are elastic. A depth counts the
blocks beyond the smallest stage; ``stem.depth`` is 1 where the stem has its residual convolution. An axis
with a single choice is a constant of the configuration and no axis of the space.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from supernets.errors import SpaceError
from supernets.families.convolutional.mobile import check_ascending
from supernets.families.family import Family
from supernets.families.limits import check_blocks, check_settings
from supernets.spaces.bottleneck import BottleneckPlan, bottleneck_layers
from supernets.spaces.channels import make_divisible
from supernets.spaces.layers import LayerSpec, Segment
from supernets.spaces.ofa import OfaSpace
from supernets.spaces.space import Arch, Axis, Choice

STEM_DEPTHS = (0, 1)


@dataclass(frozen=True)
class ResNet50Config:
    """Everything that sizes a ResNet supernet; the defaults are once-for-all's.

    ``depths`` are added to ``base_depths``, ``expansions`` are the middle channels over a block's output
    channels, ``widths`` multiply ``stem_width`` and ``stage_widths``.
    """

    num_classes: int = 1000
    image_channels: int = 3
    divisor: int = 8
    stem_width: int = 64
    stage_widths: tuple[int, ...] = (256, 512, 1024, 2048)
    strides: tuple[int, ...] = (1, 2, 2, 2)
    base_depths: tuple[int, ...] = (2, 2, 4, 2)
    norm_eps: float = 1e-5
    resolutions: tuple[int, ...] = (128, 144, 160, 176, 192, 208, 224)
    stem_depths: tuple[int, ...] = STEM_DEPTHS
    widths: tuple[float, ...] = (0.65, 0.8, 1.0)
    depths: tuple[int, ...] = (0, 1, 2)
    expansions: tuple[float, ...] = (0.2, 0.25, 0.35)

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("resolutions", "widths", "expansions"):
            check_ascending(name, getattr(self, name))
        check_ascending("depths", self.depths, open_=False)
        if not self.stem_depths or self.stem_depths not in ((0,), (1,), STEM_DEPTHS):
            raise SpaceError(f"stem_depths must be some of {list(STEM_DEPTHS)}, got {self.stem_depths}")
        stages = {len(self.stage_widths), len(self.strides), len(self.base_depths)}
        if len(stages) != 1 or not self.stage_widths or min(self.base_depths) < 1:
            raise SpaceError(
                "stage_widths, strides and base_depths need one entry a stage, and base_depths at least 1, got "
                f"{self.stage_widths}, {self.strides}, {self.base_depths}"
            )
        check_blocks(self.blocks(stage) for stage in range(1, len(self.base_depths) + 1))

    def channels(self, base: float, width: float) -> int:
        """Channel count of a layer whose base count is ``base``."""
        return make_divisible(base * width, self.divisor)

    def blocks(self, stage: int) -> int:
        """Blocks of a stage of the largest subnet; stages count from 1."""
        return self.base_depths[stage - 1] + self.depths[-1]


@dataclass(frozen=True, slots=True)
class ResNetPlan:
    """A concrete subnet: channels and residual of the stem, and its blocks."""

    middle: int
    stem: int
    stem_residual: bool
    blocks: tuple[BottleneckPlan, ...]


@dataclass(frozen=True)
class ResNetFamily(Family):
    """See the module; :class:`supernets.families.resnet50.ResNet50` builds the network."""

    settings: ResNet50Config = field(default_factory=ResNet50Config)
    name = "resnet50"
    input_axes = ("resolution",)
    fitted = {"outputs": "num_classes", "channels": "image_channels"}

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """The family with this JSON configuration; absent fields take once-for-all's values."""
        fields = {f.name for f in dataclasses.fields(ResNet50Config)}
        unknown = sorted(set(config) - fields)
        if unknown:
            raise SpaceError(f"unknown resnet50 settings {unknown}; choices: {', '.join(sorted(fields))}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        try:
            return cls(ResNet50Config(**values))
        except TypeError as error:
            raise SpaceError(f"resnet50 settings do not fit: {error}") from error

    def config(self) -> dict[str, object]:
        """The JSON configuration, every field present."""
        values = dataclasses.asdict(self.settings)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def dimensions(self, arch: Arch) -> dict[str, int]:
        """Channels, height and width of the image that ``arch`` reads, and the number of outputs."""
        side = int(self._value(arch.as_dict(), "resolution"))
        channels, outputs = self.settings.image_channels, self.settings.num_classes
        return {"channels": channels, "height": side, "width": side, "outputs": outputs}

    # --- space -------------------------------------------------------------------------------------

    def space(self) -> OfaSpace:
        """Resolution, the stem's depth and widths, width and depth of each stage, expansion of each block."""
        return self._space

    @cached_property
    def _space(self) -> OfaSpace:
        s = self.settings
        blocks = [s.blocks(stage) for stage in range(1, len(s.base_depths) + 1)]
        return OfaSpace(self._axes, blocks_of_stages=blocks)

    @cached_property
    def _axes(self) -> list[Axis]:
        s = self.settings
        axes = [
            Axis("resolution", "resolution", s.resolutions),
            Axis("stem.depth", "stem_depth", s.stem_depths),
            Axis("stem.middle_width", "width", s.widths),
            Axis("stem.width", "width", s.widths),
        ]
        for stage, base in enumerate(s.base_depths, 1):
            depth = f"stage{stage}.depth"
            axes += [Axis(f"stage{stage}.width", "width", s.widths), Axis(depth, "depth", s.depths)]
            for block in range(1, s.blocks(stage) + 1):
                when = tuple(d for d in s.depths if base + d >= block)
                parent = depth if len(s.depths) > 1 and when != s.depths else None
                name = f"stage{stage}.block{block}.expand"
                axes.append(Axis(name, "expand", s.expansions, parent, when if parent else ()))
        return axes

    @cached_property
    def _constants(self) -> dict[str, float]:
        return {axis.name: float(axis.choices[0]) for axis in self._axes if len(axis.choices) == 1}

    def _value(self, choices: Mapping[str, Choice], axis: str) -> float:
        """What was chosen on ``axis``, or the constant where it has one choice only."""
        return self._constants[axis] if axis in self._constants else float(choices[axis])

    # --- structure ---------------------------------------------------------------------------------

    def plan(self, arch: Arch) -> ResNetPlan:
        """The concrete network of ``arch``."""
        choices = arch.as_dict()
        blocks: list[BottleneckPlan] = []
        for stage, base in enumerate(self.settings.base_depths, 1):
            depth = base + int(self._value(choices, f"stage{stage}.depth"))
            blocks += [self.block(choices, stage, block) for block in range(1, depth + 1)]
        residual = self._value(choices, "stem.depth") > 0
        return ResNetPlan(self._middle(choices), self._width(choices, 0), residual, tuple(blocks))

    def block(self, choices: Mapping[str, Choice], stage: int, block: int) -> BottleneckPlan:
        """An elastic block; stages and their blocks count from 1."""
        s, first = self.settings, block == 1
        out = self._width(choices, stage)
        expand = self._value(choices, f"stage{stage}.block{block}.expand")
        return BottleneckPlan(
            index=sum(s.blocks(before) for before in range(1, stage)) + block - 1,
            in_channels=self._width(choices, stage - 1) if first else out,
            middle=make_divisible(round(out * expand), s.divisor),
            out_channels=out,
            stride=s.strides[stage - 1] if first else 1,
            projects=first,
        )

    def _width(self, choices: Mapping[str, Choice], stage: int) -> int:
        """Output channels of a stage; 0 is the stem."""
        s = self.settings
        base, axis = (
            (s.stem_width, "stem.width") if stage == 0 else (s.stage_widths[stage - 1], f"stage{stage}.width")
        )
        return s.channels(base, self._value(choices, axis))

    def _middle(self, choices: Mapping[str, Choice]) -> int:
        """Channels of the first two convolutions of the stem."""
        s = self.settings
        return make_divisible(
            s.channels(s.stem_width, self._value(choices, "stem.middle_width")) // 2, s.divisor
        )

    def _side(self, choices: Mapping[str, Choice], stage: int, *, entering: bool) -> int:
        """Height of the tensor that enters or leaves ``stage`` (0: the stem, which reads the pooled half)."""
        side = int(self._value(choices, "resolution"))
        for stride in (2, 2, *self.settings.strides)[: stage + 1 if entering else stage + 2]:
            side = -(-side // stride)
        return side

    def segments(self) -> tuple[Segment, ...]:
        """The stem, one segment a block, the head."""
        return self._segments

    @cached_property
    def _segments(self) -> tuple[Segment, ...]:
        s, stem = self.settings, ["stem.depth", "stem.middle_width", "stem.width"]
        segments = [self._segment("stem", stem, self._stem_layers)]
        for stage, base in enumerate(s.base_depths, 1):
            for block in range(1, s.blocks(stage) + 1):
                axes = [f"stage{stage}.width", f"stage{stage}.block{block}.expand"]
                if block == 1:
                    axes.append("stem.width" if stage == 1 else f"stage{stage - 1}.width")
                if block > base + s.depths[0]:
                    axes.append(f"stage{stage}.depth")
                segments.append(
                    self._segment(f"stage{stage}.block{block}", axes, _BlockLayers(self, stage, block))
                )
        last = f"stage{len(s.base_depths)}.width"
        segments.append(self._segment("head", [last], self._head_layers))
        return tuple(segments)

    def _segment(
        self, name: str, axes: list[str], layers: Callable[[Mapping[str, Choice]], tuple[LayerSpec, ...]]
    ) -> Segment:
        known = {axis.name for axis in self.space().axes}
        return Segment(name, tuple(axis for axis in ["resolution", *axes] if axis in known), layers)

    def _stem_layers(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        colours = self.settings.image_channels
        middle, out = self._middle(choices), self._width(choices, 0)
        side = int(self._value(choices, "resolution"))
        image, area, pooled = side**2, (-(-side // 2)) ** 2, self._side(choices, 0, entering=False) ** 2
        rows = [
            LayerSpec("stem.conv1", "conv", colours, middle, image, area, 3, 2, norm=True, activation="relu")
        ]
        if self._value(choices, "stem.depth"):
            rows += [
                LayerSpec(
                    "stem.conv2", "conv", middle, middle, area, area, 3, norm=True, activation="relu", held=0
                ),
                LayerSpec("stem.add", "add", middle, middle, area, area, held=middle * area),
            ]
        rows += [
            LayerSpec("stem.conv3", "conv", middle, out, area, area, 3, norm=True, activation="relu"),
            LayerSpec("stem.pool", "pool", out, out, area, pooled, 3, 2),
        ]
        return tuple(rows)

    def _head_layers(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        stages = len(self.settings.base_depths)
        out, area = self._width(choices, stages), self._side(choices, stages, entering=False) ** 2
        return (
            LayerSpec("head.pool", "pool", out, out, area, 1),
            LayerSpec("head.classifier", "linear", out, self.settings.num_classes, 1, 1, bias=True),
        )


@dataclass(frozen=True)
class _BlockLayers:
    """The rows of one block, none where its stage is shallower."""

    family: ResNetFamily
    stage: int
    number: int

    def __call__(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        family, s = self.family, self.family.settings
        base = s.base_depths[self.stage - 1]
        if self.number > base + s.depths[0]:
            depth = family._value(choices, f"stage{self.stage}.depth")
            if base + depth < self.number:
                return ()
        side = family._side(choices, self.stage, entering=self.number == 1)
        plan = family.block(choices, self.stage, self.number)
        return bottleneck_layers(f"stage{self.stage}.block{self.number}", plan, side)
