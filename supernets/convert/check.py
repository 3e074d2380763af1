"""Whether smaller networks are what they are said to be, on numbers: no axis is offered that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from supernets.traced.cut import Cut, Cutter
from supernets.traced.graph import Arg, DType, Graph, Node
from supernets.traced.groups import Groups, channel_axes
from supernets.traced.run import Program

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 1e-4
SCALE = 0.05
WIDER = {"float32": "float64", "complex64": "complex128"}


def relative(got: Tensor, expected: Tensor) -> float:
    """``max|got - expected| / max(1, max|expected|)``; infinite where shapes differ or a value is not finite."""
    if got.shape != expected.shape or not bool(torch.isfinite(got).all() and torch.isfinite(expected).all()):
        return float("inf")
    if not got.numel():
        return 0.0
    return float((got - expected).abs().max() / max(1.0, float(expected.abs().max())))


class Checker:
    """Runs the network with channels at zero, and without them."""

    def __init__(self, groups: Groups, weights: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> None:
        self._groups, self._cutter = groups, Cutter(groups)
        # double precision: a difference is then a fault, and no rounding
        self._weights = {name: _double(tensor) for name, tensor in weights.items()}
        self._inputs = [_double(each) for each in inputs]
        self._whole = Program(_typed(groups.graph))

    def kept(self, units: Mapping[int, NDArray[np.int64]]) -> NDArray[np.bool_]:
        """All classes but the other units of these groups."""
        kept = np.ones(self._groups.classes.n, dtype=bool)
        for index, stay in units.items():
            own = self._groups.groups[index].units
            kept[own] = False
            kept[own[stay]] = True
        return kept

    def error(self, kept: NDArray[np.bool_]) -> float:
        """How far the smaller network is from the one with zeros; infinite where it does not run."""
        expected = self._zeroed(kept)
        try:
            got = self._removed(kept)
        except Exception:  # operators raise various errors for sizes that do not fit
            return float("inf")
        return max(relative(one, two) for one, two in zip(got, expected, strict=True))

    @torch.inference_mode()
    def _zeroed(self, kept: NDArray[np.bool_]) -> list[Tensor]:
        weights = dict(self._weights)
        parameters = {w.name for w in self._groups.graph.weights if w.kind == "parameter"}
        slots = self._groups.classes.spread(kept)[self._groups.classes.of]
        for weight, axis, labels in channel_axes(self._groups.graph, self._groups.followed):
            if weight.name in parameters and not slots[labels].all():
                shape = [1] * len(weight.shape)
                shape[axis] = -1
                mask = torch.from_numpy(slots[labels]).reshape(shape)
                weights[weight.name] = weights[weight.name] * mask
        return self._outputs(self._whole, weights)

    @torch.inference_mode()
    def _removed(self, kept: NDArray[np.bool_]) -> list[Tensor]:
        cut: Cut = self._cutter.cut(kept)
        weights = {}
        for name, tensor in self._weights.items():
            for axis, index in enumerate(cut.indices[name]):
                if index is not None:
                    tensor = tensor.index_select(axis, torch.from_numpy(index))
            weights[name] = tensor
        return self._outputs(Program(_typed(cut.graph)), weights)

    def _outputs(self, program: Program, weights: Mapping[str, Tensor]) -> list[Tensor]:
        torch.manual_seed(0)
        values = program(self._inputs, weights, {})
        found = [values[name] for name in dict.fromkeys(program.graph.output_names())]
        return [each.double() for each in found if isinstance(each, Tensor)]


def failing(checker: Checker, groups: Groups, seed: int = 0, rounds: int = 2) -> list[int]:
    """Groups that may not be removed after all: random units of all groups, then of each where these fail."""
    rng = np.random.default_rng(seed)
    bad: set[int] = set()
    for _ in range(rounds):
        units = {i: _some(rng, len(g.units)) for i, g in enumerate(groups.groups) if g.exact and i not in bad}
        if units and not checker.error(checker.kept(units)) <= TOLERANCE:
            bad |= _search(checker, units)
    return sorted(bad)


def _some(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    return np.sort(rng.choice(n, size=int(rng.integers(1, n + 1)), replace=False))


def _search(checker: Checker, units: dict[int, NDArray[np.int64]]) -> set[int]:
    """Halves until single groups fail; groups that fail only together are all taken."""
    if len(units) == 1:
        return set(units)
    items = list(units.items())
    halves = [dict(items[: len(items) // 2]), dict(items[len(items) // 2 :])]
    found: set[int] = set()
    for half in halves:
        if not checker.error(checker.kept(half)) <= TOLERANCE:
            found |= _search(checker, half)
    return found or set(units)


def _double(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        return tensor.to(torch.complex128)
    return tensor.double() if tensor.is_floating_point() else tensor


def _typed(graph: Graph) -> Graph:
    """The graph in double precision."""
    return replace(graph, nodes=tuple(replace(node, args=_wide(node)) for node in graph.nodes))


def _wide(node: Node) -> dict[str, Arg]:
    args = {
        name: DType(WIDER.get(value.name, value.name)) if isinstance(value, DType) else value
        for name, value in node.args.items()
    }
    makes = node.kind in ("full", "zeros", "ones", "scalar_tensor", "linspace", "eye")
    if makes and args.get("dtype") is None and node.outputs[0].dtype == "float32":
        args["dtype"] = DType("float64")
    return args
