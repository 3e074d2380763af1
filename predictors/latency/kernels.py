"""Latency as a sum over fused kernels, with a model of the residual.

After nn-Meter (Zhang et al., 2021): runtimes fuse a convolution with the element-wise operations after it, and run
the fused kernels one after the other. Only whole networks are measured here, so the cost of each kind of kernel
(per call, MAC and byte, all non-negative) is fitted to those. The sum is wrong for devices that overlap kernels; a
Bayesian linear model of measured over summed latency on encoding and layers corrects part of this.

Outside the measured range (calls, MACs and bytes of each kind of kernel) the sum is unreliable: the standard
deviation grows with the distance, in widths of that range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from predictors.arrays import Array, Arrays
from predictors.errors import NotFittedError
from predictors.latency.bayesian_linear import maximise_evidence
from predictors.latency.features import layer_kind
from predictors.latency.held_out import held_out_residuals
from predictors.latency.inputs import Matrix, inputs_of
from predictors.predictor import Predictor, Values
from predictors.scope import Scope
from supernets.families.family import Family
from supernets.spaces.cost import SegmentTable
from supernets.spaces.layers import BYTES_PER_ELEMENT, LayerSpec
from supernets.spaces.space import Population

FUSED = ("scale", "add")
TERMS = 3
# Weight of the regularisation towards no cost, relative to one row, for kinds that always occur together.
PULL = 0.03
LEAST = 1e-9
# Width of a range with a single point, as a share of that point.
LEAST_RANGE = 0.1


def fused(layers: tuple[LayerSpec, ...]) -> list[tuple[str, NDArray[np.float64]]]:
    """Kind and ``(calls, MACs, bytes)`` of each kernel, in order of execution."""
    kernels: list[tuple[str, NDArray[np.float64]]] = []
    for layer in layers:
        if layer.kind in FUSED and kernels:
            # The fused operand is read; the result is written in either case.
            kernels[-1][1][2] += BYTES_PER_ELEMENT * layer.in_elements
            continue
        traffic = layer.in_elements + layer.out_elements + layer.weights
        kind = f"{layer_kind(layer)}{layer.kernel}" + ("s" if layer.stride > 1 else "")
        kernels.append((kind, np.array([1.0, layer.macs, BYTES_PER_ELEMENT * traffic])))
    return kernels


class KernelTerms:
    """The terms of the sum of kernels, of whole populations; one table for each segment of a family."""

    def __init__(self, family: Family) -> None:
        self._space = family.space()
        kinds: set[str] = set()

        def note(layers: tuple[LayerSpec, ...]) -> list[float]:
            kinds.update(kind for kind, _ in fused(layers))
            return [0.0]

        SegmentTable(self._space, family.segments(), note)
        self.kinds = tuple(sorted(kinds))
        self._table = SegmentTable(self._space, family.segments(), self._row)

    def _row(self, layers: tuple[LayerSpec, ...]) -> Values:
        row = np.zeros(1 + TERMS * len(self.kinds))
        for kind, terms in fused(layers):
            start = 1 + TERMS * self.kinds.index(kind)
            row[start : start + TERMS] += terms
        return row

    def __call__(self, archs: Population) -> Matrix:
        """The terms ``(n, 1 + 3 kinds)`` of archs ``(n, d)``; the first column is the constant part."""
        terms = self._table(self._space, archs)
        terms[:, 0] = 1.0
        return terms


@lru_cache(maxsize=16)
def _terms_of(family: Family) -> KernelTerms:
    """The terms of ``family``, built once and shared by all its models."""
    return KernelTerms(family)


class KernelSum(Predictor):
    """See the module docstring. Needs 8 rows."""

    name = "kernel_sum"
    fewest_rows = 8

    def __init__(self, family: Family, scope: Scope, seed: int = 0) -> None:
        super().__init__(family, scope, seed)
        self._inputs = inputs_of(family)
        self._terms = _terms_of(family)
        self.kinds = self._terms.kinds
        self._costs = np.empty(0)
        self._low, self._high = np.empty(0), np.empty(0)
        self._weights, self._factor, self._noise = np.empty(0), np.empty((0, 0)), 0.0

    def learn_costs(self, archs: Population, latencies: Sequence[float]) -> None:
        """Fit the costs of kernels to archs ``(n, d)`` and their latencies in ms, without calibrating an interval."""
        self._train(archs, np.asarray(latencies, dtype=np.float64))

    @property
    def fixed_latency(self) -> float:
        """The constant part of every latency, in ms."""
        return float(self._costs[0])

    def kernel_latencies(self, layers: tuple[LayerSpec, ...]) -> list[float]:
        """Latency of each kernel of :func:`fused` in ms, in order of execution, without the constant part."""
        if not len(self._costs):
            raise NotFittedError(f"{self.name} must be fitted before it predicts, got no rows yet")
        costs = self._costs[1:].reshape(len(self.kinds), TERMS)
        return [float(terms @ costs[self.kinds.index(kind)]) for kind, terms in fused(layers)]

    def costs_by_kind(self) -> dict[str, dict[str, float]]:
        """Cost of each kind of kernel: ms per call, per million MACs and per megabyte."""
        scale = np.array([1.0, 1e6, 1e6])
        values = (self._costs[1:].reshape(len(self.kinds), TERMS) * scale).tolist()
        names = ("call", "million_macs", "megabyte")
        return {
            kind: dict(zip(names, row, strict=True)) for kind, row in zip(self.kinds, values, strict=True)
        }

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        determined = self._train(archs, y)
        return held_out_residuals(self.fresh, archs, y, self.seed), determined

    def _train(self, archs: Population, y: Values) -> float:
        """Fit; returns the effective number of parameters determined by the data."""
        terms = self._terms(archs)
        self._low, self._high = terms.min(axis=0), terms.max(axis=0)
        unit = np.maximum(terms.mean(axis=0), LEAST)
        size = np.maximum(np.abs(y), LEAST)
        middle = float(np.median(y))
        pull = PULL * np.eye(terms.shape[1])[1:]
        rows = np.concatenate([terms / unit * (middle / size)[:, None], pull])
        found, _ = nnls(rows, np.concatenate([y / size, np.zeros(len(pull))]))
        self._costs = middle * found / unit
        total = self._sum(terms)
        fit = maximise_evidence(self._design(archs), y / total, 1)
        self._weights, self._factor, self._noise = fit.weights, fit.factor, fit.noise
        return min(fit.parameters + float((found > 0).sum()), len(y) / 2)

    def _sum(self, terms: Matrix) -> Values:
        return np.maximum(terms @ self._costs, LEAST)

    def _design(self, archs: Population) -> Matrix:
        inputs = self._inputs(archs)
        return np.concatenate([np.ones((len(inputs), 1)), inputs], axis=1)

    def _answer(self, archs: Population) -> tuple[Values, Values]:
        terms, design = self._terms(archs), self._design(archs)
        total = self._sum(terms)
        ratio = design @ self._weights
        variance = np.square(design @ self._factor).sum(axis=1) + np.square(self._noise * ratio)
        return total * ratio, total * np.sqrt(variance) * (1 + self.outside(terms))

    def outside(self, terms: Matrix) -> Values:
        """Distance ``(n,)`` of ``terms (n, 1 + 3 kinds)`` from the measured range, in widths of it; 0 inside."""
        width = np.maximum(self._high - self._low, LEAST_RANGE * np.abs(self._high))
        beyond = np.maximum(np.maximum(self._low - terms, terms - self._high), 0.0)
        # A kind of kernel that was never measured has no range and counts as one width.
        share = np.where(width > 0, beyond / np.where(width > 0, width, 1.0), beyond > 0)
        return np.asarray(share.max(axis=1, initial=0.0))

    def _state(self) -> Mapping[str, Array]:
        return {
            "costs": self._costs,
            "weights": self._weights,
            "factor": self._factor,
            "noise": np.array([self._noise]),
            "range": np.stack([self._low, self._high]),
        }

    def _restore(self, state: Arrays) -> None:
        self._costs, self._weights = state.floats("costs"), state.floats("weights")
        self._factor = state.floats("factor")
        (self._noise,) = state.numbers("noise")
        self._low, self._high = state.floats("range")
