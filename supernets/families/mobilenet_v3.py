"""MobileNetV3 supernets in the layout of once-for-all (Cai et al., 2020, arXiv:1908.09791). No torch.

One configuration serves 224-pixel ImageNet and 8-pixel digits alike: stem, stages, head, the divisor of
channel counts and the choices of every axis are parameters. An axis with a single choice is a constant of
the configuration and no axis of the space. The network itself is in :mod:`mobilenet_v3_net`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from supernets.errors import SpaceError
from supernets.families.family import Family
from supernets.spaces.layers import LayerSpec, Segment
from supernets.spaces.space import Arch, Axis, Choice, Space

if TYPE_CHECKING:
    from supernets.elastic.active import ElasticModel

ACTIVATIONS = ("relu", "h_swish")
SE_REDUCTION = 4


def make_divisible(value: float, divisor: int) -> int:
    """The channel count nearest ``value`` that ``divisor`` divides, never more than 10 % below it."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks that share a resolution: output channels, stride of the first block, activation, squeeze-excite."""

    width: int
    stride: int
    activation: str = "relu"
    squeeze_excite: bool = False


OFA_STAGES = (
    Stage(24, 2, "relu", False),
    Stage(40, 2, "relu", True),
    Stage(80, 2, "h_swish", False),
    Stage(112, 1, "h_swish", True),
    Stage(160, 2, "h_swish", True),
)


@dataclass(frozen=True)
class MobileNetV3Config:
    """Everything that sizes a MobileNetV3 supernet; the defaults are once-for-all's at width 1.0."""

    num_classes: int = 1000
    image_channels: int = 3
    divisor: int = 8
    base_width: float = 1.0
    stem_width: int = 16
    stem_stride: int = 2
    first_width: int = 16
    stages: tuple[Stage, ...] = OFA_STAGES
    head_width: int = 960
    feature_width: int = 1280
    resolutions: tuple[int, ...] = (128, 144, 160, 176, 192, 208, 224)
    widths: tuple[float, ...] = (1.0,)
    depths: tuple[int, ...] = (2, 3, 4)
    kernels: tuple[int, ...] = (3, 5, 7)
    expansions: tuple[int, ...] = (3, 4, 6)

    def __post_init__(self) -> None:
        for name in ("resolutions", "widths", "depths", "kernels", "expansions"):
            choices = getattr(self, name)
            if not choices or list(choices) != sorted(set(choices)) or choices[0] <= 0:
                raise SpaceError(f"{name} must be positive and strictly ascending, got {choices}")
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise SpaceError(f"kernels must be odd, got {self.kernels}")
        if not self.stages or any(stage.activation not in ACTIVATIONS for stage in self.stages):
            raise SpaceError(f"stages need an activation of {ACTIVATIONS} each, got {self.stages}")

    def channels(self, base: float, width: float = 1.0) -> int:
        """Channel count of a layer whose base count is ``base`` in a net of this width."""
        return make_divisible(base * self.base_width * width, self.divisor)

    def middle(self, in_channels: int, expand: float) -> int:
        """Channels between the pointwise convolutions of a block."""
        return make_divisible(round(in_channels * expand), self.divisor)


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """One block of a concrete subnet; ``index`` counts all blocks of the supernet, skipped ones too."""

    index: int
    stage: int
    in_channels: int
    middle: int
    out_channels: int
    kernel: int
    stride: int
    activation: str
    squeeze: int | None
    residual: bool
    expands: bool = True


@dataclass(frozen=True, slots=True)
class NetPlan:
    """A concrete subnet: channel counts of stem and head, and its blocks."""

    stem: int
    blocks: tuple[BlockPlan, ...]
    head: int
    feature: int


@dataclass(frozen=True)
class MobileNetV3(Family):
    """See the module."""

    settings: MobileNetV3Config = field(default_factory=MobileNetV3Config)
    name = "mobilenet_v3"

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MobileNetV3:
        """The family with this JSON configuration; absent fields take once-for-all's values."""
        fields = {f.name for f in dataclasses.fields(MobileNetV3Config)}
        unknown = sorted(set(config) - fields)
        if unknown:
            raise SpaceError(f"unknown mobilenet_v3 settings {unknown}; choices: {', '.join(sorted(fields))}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        try:
            if "stages" in values:
                values["stages"] = tuple(Stage(**stage) for stage in values["stages"])
            return cls(MobileNetV3Config(**values))
        except TypeError as error:
            raise SpaceError(f"mobilenet_v3 settings do not fit: {error}") from error

    def config(self) -> dict[str, Any]:
        """The JSON configuration, every field present."""
        values = dataclasses.asdict(self.settings)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @property
    def num_classes(self) -> int:
        """Width of the output."""
        return self.settings.num_classes

    def input_shape(self, arch: Arch) -> tuple[int, int, int]:
        """Channels, height and width of the image that ``arch`` reads."""
        size = int(self._value(arch.as_dict(), "resolution", self.settings.resolutions))
        return self.settings.image_channels, size, size

    # --- space -------------------------------------------------------------------------------------

    def space(self) -> Space:
        """Resolution and width of the net, depth of each stage, kernel and expansion of each block."""
        return self._space

    @cached_property
    def _space(self) -> Space:
        return Space([axis for axis in self._axes() if len(axis.choices) > 1])

    def _axes(self) -> list[Axis]:
        s = self.settings
        axes = [Axis("resolution", "resolution", s.resolutions), Axis("width", "width", s.widths)]
        for stage in range(1, len(s.stages) + 1):
            depth = f"stage{stage}.depth"
            axes.append(Axis(depth, "depth", s.depths))
            for block in range(1, s.depths[-1] + 1):
                when = tuple(d for d in s.depths if d >= block)
                parent = depth if len(s.depths) > 1 and when != s.depths else None
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
        blocks = [self._first_block(width)]
        for stage in range(1, len(s.stages) + 1):
            for block in range(1, int(self._value(choices, f"stage{stage}.depth", s.depths)) + 1):
                blocks.append(self._block(choices, stage, block))
        return NetPlan(
            s.channels(s.stem_width, width),
            tuple(blocks),
            s.channels(s.head_width, width),
            s.channels(s.feature_width, width),
        )

    def _first_block(self, width: float) -> BlockPlan:
        s = self.settings
        stem, out = s.channels(s.stem_width, width), s.channels(s.first_width, width)
        return BlockPlan(0, 0, stem, stem, out, 3, 1, "relu", None, stem == out, expands=False)

    def _block(self, choices: Mapping[str, Choice], stage: int, block: int) -> BlockPlan:
        s, spec = self.settings, self.settings.stages[stage - 1]
        width = self._value(choices, "width", s.widths)
        before = s.first_width if stage == 1 else s.stages[stage - 2].width
        in_channels = s.channels(before if block == 1 else spec.width, width)
        middle = s.middle(
            in_channels, self._value(choices, f"stage{stage}.block{block}.expand", s.expansions)
        )
        return BlockPlan(
            index=1 + (stage - 1) * s.depths[-1] + block - 1,
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
            for block in range(1, s.depths[-1] + 1):
                name = f"stage{stage}.block{block}"
                axes = [f"{name}.kernel", f"{name}.expand"]
                if block > s.depths[0]:
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
            norm=True, activation="h_swish",
        )  # fmt: skip
        return (stem, *block_layers("block0", self._first_block(width), side))

    def _head_layers(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        s = self.settings
        width = self._value(choices, "width", s.widths)
        area = self._side(choices, len(s.stages), entering=False) ** 2
        last, head, feature = (
            s.channels(c, width) for c in (s.stages[-1].width, s.head_width, s.feature_width)
        )
        return (
            LayerSpec("head.expand", "conv", last, head, area, area, norm=True, activation="h_swish"),
            LayerSpec("head.pool", "pool", head, head, area, 1),
            LayerSpec("head.mix", "linear", head, feature, 1, 1, activation="h_swish"),
            LayerSpec("head.classifier", "linear", feature, s.num_classes, 1, 1, bias=True),
        )

    def build(self) -> ElasticModel:
        """A freshly initialised network (draws from torch's global generator)."""
        from supernets.families.mobilenet_v3_net import MobileNetV3Net

        return MobileNetV3Net(self)


@dataclass(frozen=True)
class _BlockLayers:
    """The rows of one elastic block, none where its stage is shallower."""

    family: MobileNetV3
    stage: int
    block: int

    def __call__(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        family, s = self.family, self.family.settings
        depth = f"stage{self.stage}.depth"
        if self.block > s.depths[0] and family._value(choices, depth, s.depths) < self.block:
            return ()
        side = family._side(choices, self.stage, entering=self.block == 1)
        return block_layers(
            f"stage{self.stage}.block{self.block}", family._block(choices, self.stage, self.block), side
        )


@lru_cache(maxsize=16_384)
def block_layers(name: str, plan: BlockPlan, side: int) -> tuple[LayerSpec, ...]:
    """Rows of one inverted bottleneck that reads a ``side`` x ``side`` tensor."""
    area, after = side**2, (-(-side // plan.stride)) ** 2
    held = plan.in_channels * area if plan.residual else 0
    rows: list[LayerSpec] = []
    if plan.expands:
        rows.append(
            LayerSpec(
                f"{name}.expand",
                "conv",
                plan.in_channels,
                plan.middle,
                area,
                area,
                norm=True,
                activation=plan.activation,
            )
        )
    rows.append(
        LayerSpec(
            f"{name}.depthwise",
            "depthwise",
            plan.middle,
            plan.middle,
            area,
            after,
            plan.kernel,
            plan.stride,
            groups=plan.middle,
            norm=True,
            activation=plan.activation,
            held=held if plan.expands else 0,
        )  # fmt: skip
    )
    if plan.squeeze:
        kept = held + plan.middle * after
        rows += [
            LayerSpec(f"{name}.se.pool", "pool", plan.middle, plan.middle, after, 1, held=held),
            LayerSpec(
                f"{name}.se.reduce",
                "linear",
                plan.middle,
                plan.squeeze,
                1,
                1,
                bias=True,
                activation="relu",
                held=kept,
            ),
            LayerSpec(
                f"{name}.se.expand",
                "linear",
                plan.squeeze,
                plan.middle,
                1,
                1,
                bias=True,
                activation="h_sigmoid",
                held=kept,
            ),
            LayerSpec(f"{name}.se.scale", "scale", plan.middle, plan.middle, after, after, held=held),
        ]
    rows.append(
        LayerSpec(
            f"{name}.project", "conv", plan.middle, plan.out_channels, after, after, norm=True, held=held
        )
    )
    if plan.residual:
        rows.append(
            LayerSpec(f"{name}.add", "add", plan.out_channels, plan.out_channels, after, after, held=held)
        )
    return tuple(rows)
