"""Supernets made of stages of inverted bottlenecks, in the layout of once-for-all (arXiv:1908.09791). No torch.

One configuration serves 224-pixel ImageNet and 8-pixel digits alike: stem, stages, head, the divisor of
channel counts and the choices of every axis are parameters. An axis with a single choice is a constant of
the configuration and no axis of the space. The network is in :mod:`mobile_net`; the families that
build it are subclasses in files of their own, so that imports point one way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

from supernets.errors import SpaceError
from supernets.families.family import Family
from supernets.families.limits import check_blocks, check_settings
from supernets.spaces.channels import make_divisible
from supernets.spaces.inverted_bottleneck import SE_REDUCTION, BlockPlan, block_layers
from supernets.spaces.layers import LayerSpec, Segment
from supernets.spaces.ofa import OfaSpace
from supernets.spaces.space import Arch, Axis, Choice

ACTIVATIONS = ("relu", "relu6", "h_swish")


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks that share a resolution: output channels, stride of the first block, activation, squeeze-excite.

    ``depths`` are the choices of depth of this stage where they differ from the configuration's.
    """

    width: int
    stride: int
    activation: str = "relu"
    squeeze_excite: bool = False
    depths: tuple[int, ...] | None = None


@dataclass(frozen=True)
class MobileConfig:
    """Everything that sizes such a supernet; each family has its own defaults.

    With ``head_width`` the head is convolution, pooling and a second convolution without BatchNorm
    (MobileNetV3); without it, one convolution with BatchNorm and pooling (MobileNetV2).
    """

    num_classes: int = 1000
    image_channels: int = 3
    divisor: int = 8
    base_width: float = 1.0
    stem_width: int = 16
    stem_stride: int = 2
    stem_activation: str = "h_swish"
    first_width: int = 16
    first_activation: str = "relu"
    stages: tuple[Stage, ...] = ()
    head_width: int | None = 960
    feature_width: int = 1280
    head_activation: str = "h_swish"
    norm_eps: float = 1e-5
    resolutions: tuple[int, ...] = (128, 144, 160, 176, 192, 208, 224)
    widths: tuple[float, ...] = (1.0,)
    depths: tuple[int, ...] = (2, 3, 4)
    kernels: tuple[int, ...] = (3, 5, 7)
    expansions: tuple[int, ...] = (3, 4, 6)

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("resolutions", "widths", "depths", "kernels", "expansions"):
            check_ascending(name, getattr(self, name))
        for stage in self.stages:
            if stage.depths is not None:
                check_ascending("depths of a stage", stage.depths)
        check_blocks((stage.depths or self.depths)[-1] for stage in self.stages)
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise SpaceError(f"kernels must be odd, got {self.kernels}")
        if not self.stages or any(stage.activation not in ACTIVATIONS for stage in self.stages):
            raise SpaceError(f"stages need an activation of {ACTIVATIONS} each, got {self.stages}")
        for name in ("stem_activation", "first_activation", "head_activation"):
            if getattr(self, name) not in ACTIVATIONS:
                raise SpaceError(f"{name} must be one of {ACTIVATIONS}, got {getattr(self, name)!r}")

    def channels(self, base: float, width: float = 1.0) -> int:
        """Channel count of a layer whose base count is ``base`` in a net of this width."""
        return make_divisible(base * self.base_width * width, self.divisor)

    def middle(self, in_channels: int, expand: float) -> int:
        """Channels between the pointwise convolutions of a block."""
        return make_divisible(round(in_channels * expand), self.divisor)

    def stage_depths(self, stage: int) -> tuple[int, ...]:
        """Choices of depth of a stage, which counts from 1."""
        return self.stages[stage - 1].depths or self.depths

    def block_index(self, stage: int, block: int) -> int:
        """Place of a block among all blocks of the supernet; block 0 is the fixed one."""
        return sum(self.stage_depths(before)[-1] for before in range(1, stage)) + block


def check_ascending(name: str, choices: tuple[float, ...], least: float = 0, *, open_: bool = True) -> None:
    """Refuse choices that do not ascend from a value above ``least`` (or ``least`` itself, unless ``open_``)."""
    low = not choices or choices[0] < least or (open_ and choices[0] == least)
    if low or list(choices) != sorted(set(choices)):
        kind = "positive" if open_ else "at least 0"
        raise SpaceError(f"{name} must be {kind} and strictly ascending, got {choices}")


@dataclass(frozen=True, slots=True)
class NetPlan:
    """A concrete subnet: channel counts of stem and head, and its blocks."""

    stem: int
    blocks: tuple[BlockPlan, ...]
    head: int | None
    feature: int


@dataclass(frozen=True)
class MobileFamily(Family):
    """See the module; a subclass has a name, a configuration type with its defaults, and builds the network."""

    settings: MobileConfig = field(default_factory=MobileConfig)
    config_type: ClassVar[type[MobileConfig]] = MobileConfig
    input_axes = ("resolution",)
    fitted = {"outputs": "num_classes", "channels": "image_channels"}

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """The family with this JSON configuration; absent fields take the defaults."""
        fields = {f.name for f in dataclasses.fields(cls.config_type)}
        unknown = sorted(set(config) - fields)
        if unknown:
            raise SpaceError(f"unknown {cls.name} settings {unknown}; choices: {', '.join(sorted(fields))}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        try:
            if "stages" in values:
                values["stages"] = tuple(_stage(stage) for stage in values["stages"])
            return cls(cls.config_type(**values))
        except TypeError as error:
            raise SpaceError(f"{cls.name} settings do not fit: {error}") from error

    def config(self) -> dict[str, object]:
        """The JSON configuration, every field present."""
        values = dataclasses.asdict(self.settings)
        for stage in values["stages"]:
            stage["depths"] = None if stage["depths"] is None else list(stage["depths"])
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def dimensions(self, arch: Arch) -> dict[str, int]:
        """Channels, height and width of the image that ``arch`` reads, and the number of outputs."""
        side = int(self._value(arch.as_dict(), "resolution", self.settings.resolutions))
        channels, outputs = self.settings.image_channels, self.settings.num_classes
        return {"channels": channels, "height": side, "width": side, "outputs": outputs}

    # --- space -------------------------------------------------------------------------------------

    def space(self) -> OfaSpace:
        """Resolution and width of the net, depth of each stage, kernel and expansion of each block."""
        return self._space

    @cached_property
    def _space(self) -> OfaSpace:
        return OfaSpace(self._axes(), blocks_of_stages=self._blocks_of_stages())

    def _blocks_of_stages(self) -> list[int]:
        return [self.settings.stage_depths(stage)[-1] for stage in range(1, len(self.settings.stages) + 1)]

    def _axes(self) -> list[Axis]:
        s = self.settings
        axes = [Axis("resolution", "resolution", s.resolutions), Axis("width", "width", s.widths)]
        for stage in range(1, len(s.stages) + 1):
            depth, depths = f"stage{stage}.depth", s.stage_depths(stage)
            axes.append(Axis(depth, "depth", depths))
            for block in range(1, depths[-1] + 1):
                when = tuple(d for d in depths if d >= block)
                parent = depth if len(depths) > 1 and when != depths else None
                for kind, choices in (("kernel", s.kernels), ("expand", s.expansions)):
                    name = f"stage{stage}.block{block}.{kind}"
                    axes.append(Axis(name, kind, choices, parent, when if parent else ()))
        return axes

    @staticmethod
    def _value(choices: Mapping[str, Choice], axis: str, options: tuple[Any, ...]) -> float:
        """What was chosen on ``axis``, or the constant where it has one choice only."""
        return float(choices[axis]) if len(options) > 1 else float(options[0])

    # --- structure ---------------------------------------------------------------------------------

    def plan(self, arch: Arch) -> NetPlan:
        """The concrete network of ``arch``."""
        s, choices = self.settings, arch.as_dict()
        width = self._value(choices, "width", s.widths)
        blocks = [self.first_block(width)]
        for stage in range(1, len(s.stages) + 1):
            depth = int(self._value(choices, f"stage{stage}.depth", s.stage_depths(stage)))
            blocks += [self.block(choices, stage, block) for block in range(1, depth + 1)]
        head = None if s.head_width is None else s.channels(s.head_width, width)
        return NetPlan(
            s.channels(s.stem_width, width), tuple(blocks), head, s.channels(s.feature_width, width)
        )

    def first_block(self, width: float) -> BlockPlan:
        """The fixed block after the stem."""
        s = self.settings
        stem, out = s.channels(s.stem_width, width), s.channels(s.first_width, width)
        return BlockPlan(
            0, 0, stem, stem, out, 3, 1, s.first_activation, None, stem == out, expands=False
        )  # fmt: skip

    def block(self, choices: Mapping[str, Choice], stage: int, block: int) -> BlockPlan:
        """An elastic block; stages and their blocks count from 1."""
        s, spec = self.settings, self.settings.stages[stage - 1]
        width = self._value(choices, "width", s.widths)
        before = s.first_width if stage == 1 else s.stages[stage - 2].width
        in_channels = s.channels(before if block == 1 else spec.width, width)
        middle = s.middle(
            in_channels, self._value(choices, f"stage{stage}.block{block}.expand", s.expansions)
        )
        return BlockPlan(
            index=s.block_index(stage, block),
            stage=stage,
            in_channels=in_channels,
            middle=middle,
            out_channels=s.channels(spec.width, width),
            kernel=int(self._value(choices, f"stage{stage}.block{block}.kernel", s.kernels)),
            stride=spec.stride if block == 1 else 1,
            activation=spec.activation,
            squeeze=make_divisible(middle // SE_REDUCTION, s.divisor) if spec.squeeze_excite else None,
            residual=block > 1,
        )

    def _side(self, choices: Mapping[str, Choice], stage: int, *, entering: bool) -> int:
        """Height of the tensor that enters or leaves ``stage`` (0: the stem's output)."""
        side = int(self._value(choices, "resolution", self.settings.resolutions))
        strides = [self.settings.stem_stride] + [spec.stride for spec in self.settings.stages]
        for stride in strides[: stage if entering else stage + 1]:
            side = -(-side // stride)
        return side

    def segments(self) -> tuple[Segment, ...]:
        """Stem with the fixed block, one segment a block, head."""
        return self._segments

    @cached_property
    def _segments(self) -> tuple[Segment, ...]:
        s = self.settings
        segments = [self._segment("stem", [], self._stem_layers)]
        for stage in range(1, len(s.stages) + 1):
            depths = s.stage_depths(stage)
            for block in range(1, depths[-1] + 1):
                name = f"stage{stage}.block{block}"
                axes = [f"{name}.kernel", f"{name}.expand"]
                if block > depths[0]:
                    axes.insert(0, f"stage{stage}.depth")
                segments.append(self._segment(name, axes, _BlockLayers(self, stage, block)))
        segments.append(self._segment("head", [], self._head_layers))
        return tuple(segments)

    def _segment(
        self, name: str, axes: list[str], layers: Callable[[Mapping[str, Choice]], tuple[LayerSpec, ...]]
    ) -> Segment:
        known = {axis.name for axis in self.space().axes}
        return Segment(name, tuple(axis for axis in ["resolution", "width", *axes] if axis in known), layers)

    def _stem_layers(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        s = self.settings
        width = self._value(choices, "width", s.widths)
        image = int(self._value(choices, "resolution", s.resolutions))
        side = self._side(choices, 0, entering=False)
        stem = LayerSpec(
            "stem", "conv", s.image_channels, s.channels(s.stem_width, width), image**2, side**2, 3, s.stem_stride,
            norm=True, activation=s.stem_activation,
        )  # fmt: skip
        return (stem, *block_layers("block0", self.first_block(width), side))

    def _head_layers(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        s = self.settings
        width = self._value(choices, "width", s.widths)
        area = self._side(choices, len(s.stages), entering=False) ** 2
        last, feature = s.channels(s.stages[-1].width, width), s.channels(s.feature_width, width)
        act = s.head_activation
        rows: tuple[LayerSpec, ...]
        if s.head_width is None:
            rows = (
                LayerSpec("head.mix", "conv", last, feature, area, area, norm=True, activation=act),
                LayerSpec("head.pool", "pool", feature, feature, area, 1),
            )
        else:
            head = s.channels(s.head_width, width)
            rows = (
                LayerSpec("head.expand", "conv", last, head, area, area, norm=True, activation=act),
                LayerSpec("head.pool", "pool", head, head, area, 1),
                LayerSpec("head.mix", "linear", head, feature, 1, 1, activation=act),
            )
        return (*rows, LayerSpec("head.classifier", "linear", feature, s.num_classes, 1, 1, bias=True))


def _stage(values: Mapping[str, Any]) -> Stage:
    depths = values.get("depths")
    return Stage(**{**values, "depths": None if depths is None else tuple(depths)})


@dataclass(frozen=True)
class _BlockLayers:
    """The rows of one elastic block, none where its stage is shallower."""

    family: MobileFamily
    stage: int
    block: int

    def __call__(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        family, depths = self.family, self.family.settings.stage_depths(self.stage)
        if self.block > depths[0]:
            depth = family._value(choices, f"stage{self.stage}.depth", depths)
            if depth < self.block:
                return ()
        side = family._side(choices, self.stage, entering=self.block == 1)
        plan = family.block(choices, self.stage, self.block)
        return block_layers(f"stage{self.stage}.block{self.block}", plan, side)
