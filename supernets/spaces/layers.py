"""One row per layer of an arch: what latency models and counters read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from supernets.spaces.space import Choice

BYTES_PER_ELEMENT = 4


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """A layer of a concrete subnet, for one image (batch 1).

    ``kind`` is one of ``conv``, ``depthwise``, ``linear``, ``pool``, ``scale`` (a channel-wise product),
    ``add``, ``layer_norm``, ``embedding`` (a table of ``rows`` vectors) and ``attention`` (of ``heads`` heads, whose
    input are queries, keys and values). ``in_positions`` and ``out_positions`` count spatial positions (height x
    width) or tokens. ``held`` counts the elements of other tensors that stay alive while the layer runs (the
    input of a residual block). ``kernel_width`` is the second side of a kernel that is no square, and of one along a
    single axis 1. A ``shared`` layer runs with the weights of an earlier one, which count there.
    """

    name: str
    kind: str
    in_channels: int
    out_channels: int
    in_positions: int
    out_positions: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = False
    norm: bool = False
    activation: str | None = None
    held: int = 0
    kernel_width: int | None = None
    shared: bool = False
    heads: int = 0
    rows: int = 0

    @property
    def taps(self) -> int:
        """Places of the kernel."""
        return self.kernel * (self.kernel if self.kernel_width is None else self.kernel_width)

    @property
    def weights(self) -> int:
        """Number of elements of the weight and bias tensors."""
        if self.kind == "embedding":
            return self.rows * self.out_channels
        if self.kind not in ("conv", "depthwise", "linear") or self.shared:
            return 0
        weight = self.out_channels * (self.in_channels // self.groups) * self.taps
        return weight + (self.out_channels if self.bias else 0)

    @property
    def params(self) -> int:
        """Number of trainable elements: weights, bias, scale and shift of the norm."""
        scaled = self.kind == "layer_norm" or (self.norm and not self.shared)
        return self.weights + (2 * self.out_channels if scaled else 0)

    @property
    def macs(self) -> int:
        """Multiply-accumulates; norms, activations, pooling, sums and softmax count as none."""
        if self.kind == "attention":
            return 2 * self.out_channels * self.in_positions * self.out_positions
        if self.kind not in ("conv", "depthwise", "linear"):
            return 0
        return self.out_channels * (self.in_channels // self.groups) * self.taps * self.out_positions

    @property
    def in_elements(self) -> int:
        """Elements of the input tensor."""
        return self.in_channels * self.in_positions

    @property
    def out_elements(self) -> int:
        """Elements of the output tensor."""
        return self.out_channels * self.out_positions

    @property
    def live_elements(self) -> int:
        """Elements alive while the layer runs: input, output, the scores of attention and what a residual holds."""
        scores = self.heads * self.in_positions * self.out_positions
        return self.in_elements + self.out_elements + scores + self.held


@dataclass(frozen=True, slots=True)
class FixedCost(LayerSpec):
    """A part of an arch with a name and fixed costs only: its parameters and its MACs.

    ``kind`` is any word: parts of one kind are taken to be the same work.
    """

    known_params: float = 0.0
    known_macs: float = 0.0

    @classmethod
    def of(cls, name: str, kind: str, params: float = 0.0, macs: float = 0.0) -> FixedCost:
        """The part called ``name``."""
        return cls(name, kind, 0, 0, 0, 0, known_params=params, known_macs=macs)

    @property
    def weights(self) -> int:
        """Its parameters: which of them are weights is not recorded."""
        return round(self.known_params)

    @property
    def params(self) -> int:
        """The value in the table."""
        return round(self.known_params)

    @property
    def macs(self) -> int:
        """The value in the table."""
        return round(self.known_macs)


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of layers that depends on few axes, so that whole populations can be costed by table.

    ``layers`` takes the choices of ``axes`` (inactive ones absent) and returns the rows, none where the
    segment is skipped. The layers of an arch are those of all segments, in order.
    """

    name: str
    axes: tuple[str, ...]
    layers: Callable[[Mapping[str, Choice]], tuple[LayerSpec, ...]]
