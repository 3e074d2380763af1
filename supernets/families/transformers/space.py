"""What families of transformers share: settings, axes, blocks in closed form. No torch.

Elastic are the depth, the heads and the neurons of each block, and the width of the stream through all blocks. Which
blocks a depth keeps is a setting: the first ones, or ones spread evenly with the first and the last. An axis with a
single choice is a constant of the configuration and no axis of the space.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, get_args

from supernets.errors import SpaceError
from supernets.families.convolutional.mobile import check_ascending
from supernets.families.family import Family
from supernets.families.limits import check_blocks, check_settings
from supernets.spaces.layers import LayerSpec, Segment
from supernets.spaces.space import Arch, Axis, Choice, Space
from supernets.spaces.transformer import TransformerBlockPlan, block_layers, embedding_layer, kept_layers

Keep = Literal["first", "spread"]
Activation = Literal["gelu", "gelu_tanh", "relu"]


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Choices, ascending; ``head_size`` channels a head, ``ffns`` neurons of the feed-forward half of a block."""

    widths: tuple[int, ...] = (384,)
    depths: tuple[int, ...] = (3, 4, 6)
    heads: tuple[int, ...] = (6, 8, 12)
    head_size: int = 32
    ffns: tuple[int, ...] = (768, 1024, 1536)
    keep: Keep = "first"
    activation: Activation = "gelu"
    norm_eps: float = 1e-12

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("widths", "depths", "heads", "ffns"):
            check_ascending(name, getattr(self, name))
        for name, allowed in (("keep", get_args(Keep)), ("activation", get_args(Activation))):
            if getattr(self, name) not in allowed:
                raise SpaceError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        check_blocks([self.depths[-1]])
        if self.head_size < 1:
            raise SpaceError(f"head_size must be at least 1, got {self.head_size}")


@dataclass(frozen=True, slots=True)
class TransformerPlan:
    """A concrete subnet: the width of the stream, the tokens of an example, and its blocks."""

    width: int
    tokens: int
    blocks: tuple[TransformerBlockPlan, ...]


class TransformerFamily(Family):
    """See the module. A subclass has the settings, the layers around the blocks, and the network."""

    settings_type: ClassVar[type[TransformerConfig]]
    norm_first: ClassVar[bool]
    """Whether a LayerNorm stands before each half of a block, or after its sum."""
    further: ClassVar[str] = "largest_first"
    settings: TransformerConfig

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """The family with this JSON configuration; absent fields take their defaults."""
        fields = {f.name for f in dataclasses.fields(cls.settings_type)}
        if unknown := sorted(set(config) - fields):
            raise SpaceError(f"unknown {cls.name} settings {unknown}; choices: {', '.join(sorted(fields))}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        try:
            return cls(cls.settings_type(**values))  # type: ignore[call-arg]
        except TypeError as error:
            raise SpaceError(f"{cls.name} settings do not fit: {error}") from error

    def config(self) -> dict[str, object]:
        """The JSON configuration, every field present."""
        values = dataclasses.asdict(self.settings)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    # --- what a subclass adds ----------------------------------------------------------------------

    @abstractmethod
    def tokens(self, choices: Mapping[str, Choice]) -> int:
        """Tokens of an example."""

    @abstractmethod
    def entry_layers(self, width: int, tokens: int, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        """What makes the first stream."""

    @abstractmethod
    def exit_layers(self, width: int, tokens: int) -> tuple[LayerSpec, ...]:
        """What makes outputs of the last stream."""

    def own_axes(self) -> tuple[Axis, ...]:
        """Axes before those of the blocks."""
        return ()

    # --- space -------------------------------------------------------------------------------------

    def space(self) -> Space:
        """Width, depth, and heads and neurons of each block that is kept."""
        return self._space

    @cached_property
    def _space(self) -> Space:
        axes = [axis for axis in self._every_axis if len(axis.choices) > 1]
        if not axes:
            raise SpaceError(f"a {self.name} family must have an axis with at least 2 choices, got none")
        return Space(axes)

    @cached_property
    def _every_axis(self) -> tuple[Axis, ...]:
        s = self.settings
        axes = [*self.own_axes(), Axis("width", "width", s.widths), Axis("depth", "depth", s.depths)]
        for index in range(s.depths[-1]):
            when = tuple(depth for depth in s.depths if index in kept_layers(depth, s.depths[-1], s.keep))
            parent = "depth" if when != s.depths else None
            name = f"layer{index + 1}"
            axes.append(Axis(f"{name}.heads", "heads", s.heads, parent, when if parent else ()))
            axes.append(Axis(f"{name}.ffn", "expand", s.ffns, parent, when if parent else ()))
        return tuple(axes)

    @cached_property
    def _constants(self) -> dict[str, int]:
        return {axis.name: int(axis.choices[0]) for axis in self._every_axis if len(axis.choices) == 1}

    def value(self, choices: Mapping[str, Choice], axis: str) -> int:
        """What was chosen on ``axis``, or the constant where it has one choice only."""
        return self._constants[axis] if axis in self._constants else int(choices[axis])

    # --- structure ---------------------------------------------------------------------------------

    def plan(self, arch: Arch) -> TransformerPlan:
        """The concrete network of ``arch``."""
        choices = arch.as_dict()
        depth = self.value(choices, "depth")
        kept = kept_layers(depth, self.settings.depths[-1], self.settings.keep)
        blocks = tuple(self.block(choices, index) for index in kept)
        return TransformerPlan(self.value(choices, "width"), self.tokens(choices), blocks)

    def block(self, choices: Mapping[str, Choice], index: int) -> TransformerBlockPlan:
        """Block ``index`` of the largest network, cut to what was chosen."""
        return TransformerBlockPlan(
            index=index,
            width=self.value(choices, "width"),
            heads=self.value(choices, f"layer{index + 1}.heads"),
            head_size=self.settings.head_size,
            ffn=self.value(choices, f"layer{index + 1}.ffn"),
        )

    def segments(self) -> tuple[Segment, ...]:
        """Entry, one segment a block, exit."""
        return self._segments

    @cached_property
    def _segments(self) -> tuple[Segment, ...]:
        s = self.settings
        segments = [self._segment("entry", [], self._entry)]
        for index in range(s.depths[-1]):
            axes = ["depth", f"layer{index + 1}.heads", f"layer{index + 1}.ffn"]
            segments.append(self._segment(f"layer{index + 1}", axes, _BlockLayers(self, index)))
        segments.append(self._segment("exit", [], self._exit))
        return tuple(segments)

    def _segment(
        self, name: str, axes: list[str], layers: Callable[[Mapping[str, Choice]], tuple[LayerSpec, ...]]
    ) -> Segment:
        known = {axis.name for axis in self.space().axes}
        every = [*(axis.name for axis in self.own_axes()), "width", *axes]
        return Segment(name, tuple(axis for axis in every if axis in known), layers)

    def _entry(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        return self.entry_layers(self.value(choices, "width"), self.tokens(choices), choices)

    def _exit(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        return self.exit_layers(self.value(choices, "width"), self.tokens(choices))


@dataclass(frozen=True)
class _BlockLayers:
    """The rows of one block, none where the depth leaves it out."""

    family: TransformerFamily
    index: int

    def __call__(self, choices: Mapping[str, Choice]) -> tuple[LayerSpec, ...]:
        family, s = self.family, self.family.settings
        depth = family.value(choices, "depth")
        if self.index not in kept_layers(depth, s.depths[-1], s.keep):
            return ()
        plan = family.block(choices, self.index)
        name = f"layer{self.index + 1}"
        return block_layers(name, plan, family.tokens(choices), s.activation, family.norm_first)


# --- texts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TextTransformerConfig(TransformerConfig):
    """``positions`` is the longest text in tokens, ``sequence`` the length at which a text is trained and measured."""

    vocabulary: int = 30522
    positions: int = 512
    sequence: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.sequence <= self.positions:
            raise SpaceError(
                f"sequence must lie in 1 to positions ({self.positions}), got {self.sequence}: a longer text has no "
                f"positions"
            )
        if self.vocabulary < 2:
            raise SpaceError(f"vocabulary must be at least 2, got {self.vocabulary}")


class TextFamily(TransformerFamily):
    """A family that reads tokens: embeddings of words and positions are added up."""

    settings: TextTransformerConfig
    fitted = {"outputs": "num_classes", "vocabulary": "vocabulary"}

    def tokens(self, choices: Mapping[str, Choice]) -> int:  # noqa: ARG002
        """The sequence length."""
        return self.settings.sequence

    def entry_layers(
        self,
        width: int,
        tokens: int,
        choices: Mapping[str, Choice],  # noqa: ARG002
    ) -> tuple[LayerSpec, ...]:
        """Word and position embeddings and their sum."""
        s = self.settings
        return (
            embedding_layer("words", s.vocabulary, width, tokens),
            embedding_layer("positions", s.positions, width, tokens),
            LayerSpec("embedding.add", "add", width, width, tokens, tokens, held=width * tokens),
        )
