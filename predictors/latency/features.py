"""Latency features of a network, summed over its layers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from supernets.families.family import Family
from supernets.spaces.cost import SegmentTable
from supernets.spaces.layers import BYTES_PER_ELEMENT, LayerSpec
from supernets.spaces.space import Population

QUANTITIES = ("count", "macs", "activation_bytes", "weight_bytes")
SCALE_SAMPLE = 2048


# Vectorised convolutions work on blocks of channels. ONNX Runtime's depthwise kernel pads channels to 16
# floats, and falls back to one matrix product per channel, 2-3x slower, if their number is not divisible by 4.
LANES, BLOCK = 4, 16


def layer_kind(layer: LayerSpec) -> str:
    """The kind of a layer; layers of one kind run the same code.

    Pointwise and spatial convolutions are different kinds, and so are depthwise convolutions with a number of
    channels that is or is not divisible by 4.
    """
    if layer.kind == "conv":
        return "pointwise" if layer.kernel == 1 and layer.groups == 1 else "conv"
    if layer.kind == "depthwise" and layer.out_channels % LANES:
        return "depthwise_uneven"
    return layer.kind


def _padding(kind: str, layer: LayerSpec) -> float:
    """Ratio of computed channels to actual channels."""
    if kind != "depthwise":
        return 1.0
    return -(-layer.out_channels // BLOCK) * BLOCK / layer.out_channels


class LayerFeatures:
    """Count, MACs, activation bytes and weight bytes per layer kind, and elements per activation function.

    MACs, bytes and elements are those actually computed: depthwise layers count padded channels. Populations
    are looked up in one table per segment. :meth:`__call__` gives physical values,
    :meth:`standardised` the same with mean 0 and variance 1 over the space.
    """

    def __init__(self, family: Family) -> None:
        self._space = family.space()
        segments = family.segments()
        kinds, activations = self._vocabulary(family)
        self.names: tuple[str, ...] = tuple(f"{kind}.{quantity}" for kind in kinds for quantity in QUANTITIES)
        self.names += tuple(f"{activation}.elements" for activation in activations)
        self._row = {kind: len(QUANTITIES) * index for index, kind in enumerate(kinds)}
        first = len(QUANTITIES) * len(kinds)
        self._elements = {activation: first + index for index, activation in enumerate(activations)}
        self._table = SegmentTable(self._space, segments, self._values)
        sample = self(self._space.sample(np.random.default_rng(0), SCALE_SAMPLE))
        self._mean, std = sample.mean(axis=0), sample.std(axis=0)
        # Constant features (up to rounding) are covered by the intercept.
        self.varying = std > 1e-9 * np.maximum(np.abs(self._mean), 1e-300)
        self._std = np.where(self.varying, std, 1.0)

    def __call__(self, archs: Population) -> NDArray[np.float64]:
        """Features ``(n, len(names))``: counts, MACs, bytes, elements."""
        return self._table(self._space, archs)

    def standardised(self, archs: Population) -> NDArray[np.float64]:
        """The varying features ``(n, varying.sum())`` with mean 0 and variance 1 over the space."""
        values = (self(archs) - self._mean) / self._std
        return np.asarray(values[:, self.varying])

    @staticmethod
    def _vocabulary(family: Family) -> tuple[list[str], list[str]]:
        """Every layer kind and activation function that any arch has, in a fixed order."""
        kinds: set[str] = set()
        activations: set[str] = set()

        def note(layers: tuple[LayerSpec, ...]) -> Sequence[float]:
            kinds.update(layer_kind(layer) for layer in layers)
            activations.update(layer.activation for layer in layers if layer.activation)
            return [0.0]

        SegmentTable(family.space(), family.segments(), note)
        return sorted(kinds), sorted(activations)

    def _values(self, layers: tuple[LayerSpec, ...]) -> NDArray[np.float64]:
        row = np.zeros(len(self.names))
        for layer in layers:
            kind = layer_kind(layer)
            start, padding = self._row[kind], _padding(kind, layer)
            traffic = BYTES_PER_ELEMENT * padding * (layer.in_elements + layer.out_elements)
            weights = BYTES_PER_ELEMENT * padding * layer.weights
            row[start : start + len(QUANTITIES)] += 1, padding * layer.macs, traffic, weights
            if layer.activation:
                row[self._elements[layer.activation]] += padding * layer.out_elements
        return row


@lru_cache(maxsize=16)
def features_of(family: Family) -> LayerFeatures:
    """The features of ``family``, built once and shared by all its models."""
    return LayerFeatures(family)
