"""The elastic form of a traced network: its own operators, run with the weights of some of its channels."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from supernets.elastic.active import Carry, ElasticModel, Inputs
from supernets.elastic.norm import BNStats, Norm
from supernets.elastic.reorder import ChannelGroup
from supernets.families.converted.traced_growth import extended, identity, noisy
from supernets.families.converted.traced_order import by_magnitude, picked, sorted_within, without_zero_units
from supernets.families.converted.traced_space import TracedFamily
from supernets.spaces.growth import Growth
from supernets.spaces.space import Arch, Space
from supernets.traced.cut import Cut, Cutter, Index
from supernets.traced.graph import Graph, Node, Ref, Weight
from supernets.traced.grow import grow
from supernets.traced.run import Program, Replaced, Values, hold, of, plain_net
from supernets.traced.units import TracedUnits

MOST_CUTS = 64
"""Archs whose operators are cached."""
ORIGINAL, ORDER = "original", "order"
"""Modules with the weights under the original's names, and with the units of each axis, the most important first."""


class TracedNet(ElasticModel):
    """See :mod:`supernets.families.converted.traced_space`.

    A subnet has the first units of each axis in the order of the buffers ``order``; the weights themselves stay as they
    are in the original, and keep their names behind ``original``.
    """

    family: TracedFamily

    def __init__(self, family: TracedFamily) -> None:
        super().__init__(family)
        self._cutter = Cutter(family.groups)
        self._programs: OrderedDict[str, tuple[Cut, Program]] = OrderedDict()
        self._picks: dict[tuple[str, str], tuple[Tensor | None, ...]] = {}
        self._norms = _norm_modules(family)
        for path, channels, eps in self._norms.values():
            norm = nn.BatchNorm2d(channels, eps=eps)
            norm.num_batches_tracked = None
            _place(self, path, norm)
        for weight in family.graph.weights:
            tensor = _initial(weight)
            held: Tensor = tensor
            if weight.kind == "parameter":
                held = nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
            for key in weight.keys:
                hold(self, f"{ORIGINAL}.{key}", held)
        for index in family.offered:
            n = len(family.groups.groups[index].units)
            hold(self, f"{ORDER}.{index}", torch.arange(n))

    def weight(self, weight: Weight) -> Tensor:
        """A tensor of the original."""
        return of(self, f"{ORIGINAL}.{weight.key}")

    def norm_scales(self) -> list[str]:
        """Names in the graph of the scales of BatchNorms."""
        by_key = {weight.key: weight.name for weight in self.family.graph.weights}
        paths = {path.removeprefix(f"{ORIGINAL}.") for path, _, _ in self._norms.values()}
        return [by_key[f"{path}.weight"] for path in sorted(paths)]

    # --- order of the units ------------------------------------------------------------------------

    def unit_order(self, index: int) -> Tensor:
        """Units of a group, the most important first, ``(units,) int64``."""
        return of(self, f"{ORDER}.{index}")

    def set_unit_order(self, index: int, order: Tensor) -> None:
        """Replace the order of the units of a group."""
        with torch.no_grad():
            self.unit_order(index).copy_(order)
        self._forget()

    def _forget(self) -> None:
        self._programs.clear()
        self._picks.clear()

    def load_state_dict(
        self, state_dict: Mapping[str, object], strict: bool = True, assign: bool = False
    ) -> object:
        """See ``nn.Module``."""
        self._forget()
        return super().load_state_dict(state_dict, strict, assign)

    def load_original(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the weights of the original, by the first name of each."""
        with torch.no_grad():
            for weight in self.family.graph.weights:
                self.weight(weight).copy_(tensors[weight.key])

    def channel_groups(self) -> list[ChannelGroup]:
        """None: weights stay where they are, see :meth:`sort_channels`."""
        return []

    def sort_channels(self, region: Space, followers: Iterable[Mapping[str, Tensor]] = ()) -> None:
        """Sort units between the widths of ``region`` by the sum of the absolute weights that read them.

        Only their order changes, so that ``followers`` stay as they are.
        """
        del followers
        for index, order in sorted_within(self, region).items():
            self.set_unit_order(index, order)

    # --- pruning -----------------------------------------------------------------------------------

    def units(self) -> TracedUnits:
        """See :class:`ElasticModel`."""
        return TracedUnits(self.family, f"{ORIGINAL}.")

    def without_zeros(self) -> ElasticModel:
        """See :class:`ElasticModel`; what stays keeps its names and statistics."""
        kept = without_zero_units(self)
        if kept.all():
            return self
        cut = self._cutter.cut(kept)
        net = TracedNet(type(self.family)(cut.graph, self.family.settings))
        weights = self.family.graph.weights
        net.load_original(
            {weight.key: picked(self.weight(weight).detach(), cut.indices[weight.name]) for weight in weights}
        )
        for index, order in by_magnitude(net).items():
            net.set_unit_order(index, order)
        return net.train(self.training)

    def grown(self, growth: Growth, scale: float, generator: torch.Generator) -> tuple[ElasticModel, Carry]:
        """See :class:`ElasticModel`; new names begin with ``grown.``."""
        larger = grow(self.family.groups, growth)
        weights = {f"{ORIGINAL}.{weight.key}": weight for weight in self.family.graph.weights}

        def carry(name: str, tensor: Tensor) -> Tensor:
            return extended(tensor, larger.indices.get(weights[name].name, ()), None, generator)

        tensors = {
            weight.key: noisy(self.weight(weight).detach(), weight, larger, scale, generator)
            for weight in weights.values()
        }
        tensors |= identity(larger, scale, generator)
        with torch.random.fork_rng(devices=[]):  # what is drawn for it is written over
            net = TracedNet(type(self.family)(larger.graph, self.family.settings))
        net.load_original(tensors)
        return net.train(self.training), carry

    # --- subnets -----------------------------------------------------------------------------------

    def kept(self, arch: Arch) -> NDArray[np.bool_]:
        """For each class of channels, whether ``arch`` keeps it."""
        groups = self.family.groups
        kept = np.ones(groups.classes.n, dtype=bool)
        units = self.family.units(arch.as_dict())
        for index in self.family.offered:
            own = groups.groups[index].units
            count = units.get(index, len(own))
            order = self.unit_order(index).cpu().numpy()
            kept[own[order[count:]]] = False
        return kept

    def _cut(self, arch: Arch) -> tuple[Cut, Program]:
        found = self._programs.get(arch.id)
        if found is None:
            cut = self._cutter.cut(self.kept(arch), self.family.skipped(arch.as_dict()))
            found = cut, Program(cut.graph)
            self._programs[arch.id] = found
            while len(self._programs) > MOST_CUTS:
                old, _ = self._programs.popitem(last=False)
                self._picks = {key: value for key, value in self._picks.items() if key[0] != old}
        self._programs.move_to_end(arch.id)
        return found

    def _sliced(self, arch: Arch, weight: Weight, indices: tuple[Index | None, ...]) -> Tensor:
        """The part of a weight that ``arch`` uses."""
        tensor = self.weight(weight)
        if all(index is None for index in indices):
            return tensor
        key = (arch.id, weight.name)
        picks = self._picks.get(key)
        if picks is None or any(each is not None and each.device != tensor.device for each in picks):
            with torch.inference_mode(False):  # they serve training later
                picks = tuple(
                    None if index is None else torch.from_numpy(index).to(tensor.device) for index in indices
                )
            self._picks[key] = picks
        for axis, pick in enumerate(picks):
            if pick is not None:
                tensor = tensor.index_select(axis, pick)
        return tensor

    def run(self, inputs: Inputs, arch: Arch, norm: Norm, dropout: float) -> Tensor:
        """Outputs of ``arch``, those that quality is computed from."""
        found: Tensor = self._values(inputs, arch, norm, dropout)[self.family.graph.quality]
        return found

    def _values(self, inputs: Inputs, arch: Arch, norm: Norm, dropout: float) -> Values:
        cut, program = self._cut(arch)
        weights = {
            weight.name: self._sliced(arch, weight, cut.indices[weight.name])
            for weight in self.family.graph.weights
        }
        replaced: dict[str, Replaced] = {"batch_norm": self._normalise(norm)}
        if dropout:
            replaced["dropout"] = _dropout(dropout)
        return program(inputs, weights, replaced)

    def _normalise(self, norm: Norm) -> Callable[[Node, Values], Tensor]:
        def run(node: Node, values: Values) -> Tensor:
            x = values[_name(node, "input")]
            parts = {name: values.get(_name(node, name)) for name in _Slice.PARTS}
            eps = float(cast(float, node.args["eps"]))
            known = self._norms.get(node.name)
            if known is None:
                mean, variance = parts["running_mean"], parts["running_var"]
                return F.batch_norm(x, mean, variance, parts["weight"], parts["bias"], eps=eps)
            return norm(known[0], cast(nn.BatchNorm2d, _Slice(parts, eps)), x)

        return run

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        """Outputs of the arch in force; inputs may be given under the names of the original's arguments."""
        rest = self.family.graph.inputs[len(inputs) :] if named else ()
        return super().forward(*inputs, *(named[source.name] for source in rest))

    def materialise(self, arch: Arch, stats: BNStats | None) -> nn.Module:
        """A plain network with the operators and the parameter names of the original."""
        cut, _ = self._cut(arch)
        tensors = {
            weight.key: self._sliced(arch, weight, cut.indices[weight.name]).detach().clone()
            for weight in self.family.graph.weights
        }
        if stats is not None:
            for path, (mean, variance) in stats.values.items():
                key = path.removeprefix(f"{ORIGINAL}.")
                tensors[f"{key}.running_mean"] = mean.clone()
                tensors[f"{key}.running_var"] = variance.clone()
        return plain_net(_needed(cut, self.family, arch), tensors).eval()

    def residual_norms(self) -> list[nn.BatchNorm2d]:
        """None: a converted network has its weights already."""
        return []


class _Slice:
    """The part of a BatchNorm that an arch uses, with the attributes of a module."""

    PARTS = ("weight", "bias", "running_mean", "running_var")

    def __init__(self, parts: Mapping[str, Tensor | None], eps: float) -> None:
        self.weight, self.bias = parts["weight"], parts["bias"]
        self.running_mean, self.running_var, self.eps = parts["running_mean"], parts["running_var"], eps


def _needed(cut: Cut, family: TracedFamily, arch: Arch) -> Graph:
    """The graph of a subnet without the weights of skipped branches."""
    if not family.skipped(arch.as_dict()):
        return cut.graph
    before = {name for node in family.graph.nodes for name in node.refs()}
    used = {name for node in cut.graph.nodes for name in node.refs()}
    kept = tuple(w for w in cut.graph.weights if w.name in used or w.name not in before)
    return replace(cut.graph, weights=kept)


def _dropout(share: float) -> Replaced:
    def run(node: Node, values: Values) -> Tensor:
        return F.dropout(values[_name(node, "input")], share, training=True)

    return run


def _name(node: Node, argument: str) -> str:
    value = node.args.get(argument)
    return value.name if isinstance(value, Ref) else ""


def _norm_modules(family: TracedFamily) -> dict[str, tuple[str, int, float]]:
    """BatchNorm operators whose tensors are those of one module: operator to module, channels and epsilon."""
    weights = {weight.name: weight for weight in family.graph.weights}
    found = {}
    for node in family.graph.nodes:
        if node.kind != "batch_norm":
            continue
        parts = {name: weights.get(_name(node, name)) for name in _Slice.PARTS}
        paths = {w.key.rpartition(".")[0] for name, w in parts.items() if w and w.key.endswith(f".{name}")}
        weight, eps = parts["weight"], node.args.get("eps", 1e-5)
        if None in parts.values() or len(paths) != 1 or weight is None or not isinstance(eps, float):
            continue
        (path,) = paths
        if path and all(w is not None and w.key == f"{path}.{name}" for name, w in parts.items()):
            found[node.name] = (f"{ORIGINAL}.{path}", weight.shape[0], eps)
    return found


def _place(root: nn.Module, path: str, module: nn.Module) -> None:
    hold(root, f"{path}.weight", nn.Parameter(torch.zeros(1)))
    parent_path, _, name = path.rpartition(".")
    parent = root
    for part in parent_path.split(".") if parent_path else []:
        child = parent._modules[part]
        assert child is not None
        parent = child
    parent._modules[name] = module


def _initial(weight: Weight) -> Tensor:
    """A fresh value: He's for weights of several axes, ones for scales and variances, zeros for the rest."""
    dtype = getattr(torch, weight.dtype)
    tensor = torch.zeros(weight.shape, dtype=dtype)
    last = weight.key.rpartition(".")[2]
    if not dtype.is_floating_point:
        return tensor
    if len(weight.shape) > 1:
        fan_in = max(1, math.prod(weight.shape[1:]))
        return tensor.normal_(0, math.sqrt(2 / fan_in))
    return tensor.fill_(1.0) if last in ("weight", "running_var") else tensor
