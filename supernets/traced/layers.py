"""The layers of a traced network in closed form: rows with sizes that depend on few axes. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from supernets.spaces.layers import FixedCost, LayerSpec
from supernets.traced.counts import Amount, Counts
from supernets.traced.graph import Graph, Node, Ref, Weight, sized
from supernets.traced.groups import Groups

MOST_COMBINED = 4
"""The most axes that one row depends on; a row of more is split by the axes of its input."""
ACTIVATIONS = {"relu": "relu", "hardtanh": "relu6", "relu6": "relu6", "hardswish": "h_swish"}


@dataclass(frozen=True)
class Row:
    """A layer whose channels are amounts. ``known`` are factors of parameters or MACs of a part without channels."""

    spec: LayerSpec
    entering: Amount
    leaving: Amount
    node: str
    depthwise: bool = False
    groups: Amount | None = None
    params: tuple[tuple[Amount, ...], ...] = ()
    macs: tuple[tuple[Amount, ...], ...] = ()

    @property
    def axes(self) -> tuple[int, ...]:
        """Indices of the axes that it depends on."""
        amounts = [self.entering, self.leaving, *(a for term in (*self.params, *self.macs) for a in term)]
        if self.groups is not None:
            amounts.append(self.groups)
        return tuple(sorted({axis for amount in amounts for axis in amount.axes}))

    def at(self, units: Mapping[int, int]) -> LayerSpec:
        """The layer for the given number of units of each axis."""
        if self.params or self.macs:
            return FixedCost.of(
                self.spec.name, self.spec.kind, _total(self.params, units), _total(self.macs, units)
            )
        entering, leaving = self.entering.at(units), self.leaving.at(units)
        groups = entering if self.depthwise else 1 if self.groups is None else self.groups.at(units)
        held = self.spec.held * leaving if self.spec.kind in ("add", "scale") else 0
        return replace(self.spec, in_channels=entering, out_channels=leaving, groups=groups, held=held)


def narrower(row: Row) -> list[Row]:
    """Rows of fewer axes that sum to one: the products of attention, and a layer by the parts that it makes."""
    if len(row.macs) > 1 and not row.params:
        return [replace(row, macs=(term,)) for term in row.macs]
    if row.spec.kind not in ("conv", "linear") or row.macs or row.params or row.groups is not None:
        return [row]
    parts = [row.leaving.part(axes) for axes in row.leaving.per_unit]
    if row.leaving.fixed or not parts:
        parts.append(Amount(row.leaving.fixed))
    return [replace(row, leaving=part) for part in parts]


def _total(terms: tuple[tuple[Amount, ...], ...], units: Mapping[int, int]) -> float:
    return float(sum(math.prod(amount.at(units) for amount in term) for term in terms))


@dataclass
class _Rows:
    """Rows written so far; every parameter counts once."""

    groups: Groups
    counts: Counts
    rows: list[Row] = field(default_factory=list)
    counted: set[str] = field(default_factory=set)
    last: dict[str, int] = field(default_factory=dict)
    """Operator to the row that it ended."""

    @property
    def graph(self) -> Graph:
        return self.groups.graph

    def take(self, name: str | None) -> bool:
        """Whether a weight is counted here for the first time."""
        if name is None or name in self.counted:
            return False
        self.counted.add(name)
        return True


def rows_of(groups: Groups) -> list[Row]:
    """All rows of a graph, in the order of its operators; their sums are the costs of any arch."""
    made = _Rows(groups, Counts(groups))
    weights = {weight.name: weight for weight in groups.graph.weights}
    for node in groups.graph.nodes:
        _node(made, node, weights)
    for weight in groups.graph.weights:
        if weight.kind == "parameter" and made.take(weight.name):
            term = tuple(made.counts.sizes(weight.name))
            blank = FixedCost.of(weight.key, "parameters")
            made.rows.append(Row(blank, Amount(0), Amount(0), "", params=(term,)))
    return [part for row in made.rows for part in _split(row)]


def _node(made: _Rows, node: Node, weights: Mapping[str, Weight]) -> None:
    kind = node.kind
    if kind.startswith("conv"):
        _convolution(made, node, weights)
    elif kind in ("linear", "addmm", "mm", "matmul") and (matrix := _matrix(node, weights)) is not None:
        _matrix_layer(made, node, matrix)
    elif kind in ("matmul", "bmm", "baddbmm", "scaled_dot_product_attention"):
        _product(made, node)
    elif kind == "batch_norm":
        _norm(made, node)
    elif kind in ACTIVATIONS:
        _activation(made, node)
    elif "pool" in kind:
        _pool(made, node)
    elif kind in ("add", "mul"):
        _pair(made, node)


def _ref(node: Node, name: str) -> str | None:
    value = node.args.get(name)
    return value.name if isinstance(value, Ref) else None


def _matrix(node: Node, weights: Mapping[str, Weight]) -> Weight | None:
    """The weight by which an operator multiplies, if it is one of the network's own."""
    name = _ref(node, {"linear": "weight", "addmm": "mat2", "mm": "mat2"}.get(node.kind, "other"))
    weight = weights.get(name or "")
    return weight if weight is not None and len(weight.shape) == 2 else None


def _positions(made: _Rows, name: str, without: int) -> int:
    """Entries of a value along all axes but one, for one example; of complete axes."""
    shape = made.groups.followed.values[name][0].shape
    return math.prod(sized(size) for axis, size in enumerate(shape) if axis != without % len(shape))


def _convolution(made: _Rows, node: Node, weights: Mapping[str, Weight]) -> None:
    source, held = _ref(node, "input"), _ref(node, "weight")
    assert source is not None and held is not None
    weight = weights.get(held)
    shape = [sized(size) for size in made.groups.followed.values[held][0].shape]
    spatial = len(shape) - 2
    axis = len(made.groups.followed.values[source][0].shape) - spatial - 1
    entering, leaving = made.counts.of(source, axis), made.counts.of(node.name, axis)
    kernel = shape[2:]
    groups = node.args.get("groups", 1)
    count = groups if isinstance(groups, int) else 1
    transposed = node.kind.startswith("conv_transpose")
    out_positions = _positions(made, node.name, axis)
    in_positions = _positions(made, source, axis)
    depthwise = count > 1 and shape[1] == 1 and shape[0] == count
    stride = node.args.get("stride")
    steps = stride[0] if isinstance(stride, list) and stride and isinstance(stride[0], int) else 1
    bias = _ref(node, "bias")
    fresh = weight is not None and made.take(weight.name)  # a computed weight has no entries of its own
    spec = LayerSpec(
        _name(node, weight),
        "depthwise" if depthwise else "conv",
        0,
        0,
        in_positions,
        in_positions if transposed else out_positions,
        kernel=kernel[0] if spatial == 1 else math.prod(kernel[:-1]),
        stride=steps,
        bias=fresh and bias in weights and made.take(bias),
        kernel_width=1 if spatial == 1 else None if spatial == 2 and kernel[0] == kernel[1] else kernel[-1],
        shared=not fresh,
    )
    rewritten = [r for r in made.groups.followed.rewrites.get(node.name, ()) if r.path[0] == "groups"]
    units = Amount(count) if count > 1 else None
    if rewritten and rewritten[0].labels is not None:
        units = made.counts.of_labels(rewritten[0].labels)
    _append(made, node, Row(spec, entering, leaving, node.name, depthwise, None if depthwise else units))


def _matrix_layer(made: _Rows, node: Node, weight: Weight) -> None:
    source = _ref(node, {"linear": "input", "addmm": "mat1"}.get(node.kind, "self"))
    if source is None:
        return
    bias = (
        _ref(node, "bias") if node.kind == "linear" else _ref(node, "self") if node.kind == "addmm" else None
    )
    positions = _positions(made, node.name, -1)
    fresh = made.take(weight.name)
    biased = fresh and bias in {w.name for w in made.graph.weights} and made.take(bias)
    spec = LayerSpec(_name(node, weight), "linear", 0, 0, positions, positions, bias=biased, shared=not fresh)
    _append(made, node, Row(spec, made.counts.of(source, -1), made.counts.of(node.name, -1), node.name))


def _product(made: _Rows, node: Node) -> None:
    """A product of two values: attention. Its MACs count, it has no parameters."""
    if node.kind == "scaled_dot_product_attention":
        query, key, value = (_ref(node, name) for name in ("query", "key", "value"))
        if query is None or key is None or value is None:
            return
        tokens = made.counts.of(key, -2)
        first = (*made.counts.sizes(query), tokens)
        terms = [first, (*made.counts.sizes(query)[:-1], tokens, made.counts.of(value, -1))]
    else:
        left = _ref(node, "batch1") or _ref(node, "self")
        if left is None:
            return
        terms = [(*made.counts.sizes(node.name), made.counts.of(left, -1))]
    blank = FixedCost.of(f"{node.module or node.name}.product", "product")
    _append(made, node, Row(blank, Amount(0), Amount(0), node.name, macs=tuple(terms)))


def _norm(made: _Rows, node: Node) -> None:
    """A BatchNorm: part of the layer whose output it reads, where that is read by nothing else."""
    source, weight, bias = _ref(node, "input"), _ref(node, "weight"), _ref(node, "bias")
    if source is None or weight is None or bias is None:
        return
    place = made.last.get(source)
    row = None if place is None else made.rows[place]
    own = weight not in made.counted and bias not in made.counted
    plain = row is not None and not row.spec.norm and row.spec.activation is None and not row.spec.shared
    if (
        place is not None
        and row is not None
        and plain
        and own
        and row.spec.kind in ("conv", "depthwise", "linear")
    ):
        made.rows[place] = replace(row, spec=replace(row.spec, norm=True))
        made.counted |= {weight, bias}
        made.last[node.name] = place
        return
    if own:
        made.counted |= {weight, bias}
        channels = made.counts.of(node.name, 1)
        positions = _positions(made, node.name, 1)
        spec = LayerSpec(_name(node, None), "norm", 0, 0, positions, positions, norm=True)
        _append(made, node, Row(spec, channels, channels, node.name))


def _activation(made: _Rows, node: Node) -> None:
    source = _ref(node, "self")
    place = made.last.get(source or "")
    if place is None or made.rows[place].params or made.rows[place].macs:
        return
    row = made.rows[place]
    if row.spec.activation is None and row.spec.kind in ("conv", "depthwise", "linear", "norm"):
        made.rows[place] = replace(row, spec=replace(row.spec, activation=ACTIVATIONS[node.kind]))
        made.last[node.name] = place


def _pool(made: _Rows, node: Node) -> None:
    source = _ref(node, "self") or _ref(node, "input")
    if source is None or len(made.groups.followed.values[source][0].shape) < 3:
        return
    spec = LayerSpec(
        node.module or node.name,
        "pool",
        0,
        0,
        _positions(made, source, 1),
        _positions(made, node.name, 1),
    )
    _append(made, node, Row(spec, made.counts.of(source, 1), made.counts.of(node.name, 1), node.name))


def _pair(made: _Rows, node: Node) -> None:
    """A sum or product of two values with several positions each."""
    names = [name for name in (_ref(node, "self"), _ref(node, "other")) if name is not None]
    values = made.groups.followed.values
    if len(names) < 2 or any(values[name][0].constant or values[name][0].ndim < 3 for name in names):
        return
    positions = _positions(made, node.name, 1)
    alike = values[names[0]][0].shape == values[names[1]][0].shape
    kind = "add" if node.kind == "add" else "scale"
    spec = LayerSpec(f"{node.module or 'net'}.{node.name}", kind, 0, 0, positions, positions)
    spec = replace(spec, held=positions if alike else 1)
    channels = made.counts.of(node.name, 1)
    _append(made, node, Row(spec, channels, channels, node.name))


def _append(made: _Rows, node: Node, row: Row) -> None:
    made.last[node.name] = len(made.rows)
    made.rows.append(row)


def _name(node: Node, weight: Weight | None) -> str:
    if weight is not None and weight.key.rpartition(".")[0]:
        return weight.key.rpartition(".")[0]
    return node.module or node.name


def _split(row: Row) -> list[Row]:
    """Rows of few axes that sum to one of many: a layer of a concatenation, by the parts of its input."""
    if len(row.axes) <= MOST_COMBINED or row.params or row.macs or row.groups is not None:
        return [row]
    alike = row.depthwise or row.spec.kind in ("norm", "pool", "add", "scale")
    first = Amount(row.entering.fixed)
    plain = replace(row.spec, norm=row.spec.norm and alike, bias=row.spec.bias and alike)
    parts = [replace(row, entering=first, leaving=first if alike else row.leaving)]
    for axes in row.entering.per_unit:
        part = row.entering.part(axes)
        parts.append(replace(row, spec=plain, entering=part, leaving=part if alike else row.leaving))
    return [part for index, part in enumerate(parts) if index or part.entering.fixed or not alike]
