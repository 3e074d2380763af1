"""Channels followed through a graph: the driver, and what the rules of operators work with. No torch.

Each followed axis of a value has labels (:data:`supernets.traced.slots.Labels`), the others have none. An axis whose
size is a multiple of the batch may have labels too: those of one period.

A channel may go where a smaller network equals the larger one with all its parameters of this channel at zero. So
a rule also gives whether a value *is zero* at channels whose parameters are zero: sums over such channels lose nothing.
Where a rule cannot follow a channel, the channel is frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from supernets.errors import SpaceError
from supernets.traced.graph import Arg, Graph, Node, Output, Ref, Shape, Size, multiple
from supernets.traced.slots import Fault, Labels, Slots

OUTPUT = "it is an output of the network"
WHOLE = "heads are removed whole: this size is that of one head"
PLACES = "places"
"""The decision whether both parts of a split axis are followed (heads, and the places within each), or one of them."""
UNFOLLOWED = "the operator is not followed"


@dataclass(slots=True)
class Val:
    """A value while it is followed.

    ``labels`` and ``zero`` have an entry for each axis; ``constant`` where it depends on weights alone;
    ``padded`` where it has to be computed from complete weights, with zeros at removed channels.
    """

    shape: Shape
    labels: list[Labels | None]
    zero: list[bool]
    constant: bool = False
    padded: bool = False

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """In a smaller network the integer ``path`` of an operator's arguments counts the kept entries of ``labels``.

    ``path`` is the name of the argument and the index in it where it is a list. ``labels`` None: it becomes -1
    (the rest of a view).
    """

    path: tuple[str, int | None]
    labels: Labels | None


@dataclass
class Followed:
    """The analysis of a graph: labels of every value, and what a smaller network has to change."""

    slots: Slots
    values: dict[str, tuple[Val, ...]]
    rewrites: dict[str, list[Rewrite]] = field(default_factory=dict)
    choices: dict[str, int] = field(default_factory=dict)
    """Decisions that were taken: key to number of options."""
    places: bool = False
    """Whether both parts of split axes are followed."""
    stated: dict[str, dict[str, Arg]] = field(default_factory=dict)
    """Arguments by operator that a smaller network states: their default depends on its sizes."""
    averages: dict[str, list[Labels]] = field(default_factory=dict)
    """Means over channels, by operator: labels of the axes over which it runs."""
    outputs: dict[str, int] = field(default_factory=dict)
    """Weight to the axis of the channels that it makes."""


Rule = Callable[["Step"], "Val | Sequence[Val] | None"]


class Step:
    """One operator, for its rule: arguments, results, and what can be done to channels."""

    def __init__(self, node: Node, follower: Follower) -> None:
        self.node, self._follower = node, follower
        self.slots = follower.found.slots

    # --- arguments ---------------------------------------------------------------------------------

    def raw(self, name: str, default: Arg = None) -> Arg:
        """An argument as it is in the graph."""
        return self.node.args.get(name, default)

    def integer(self, name: str, default: int = 0) -> int:
        """An argument that must be an integer."""
        value = self.raw(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unfollowed(f"its {name} is not constant")
        return value

    def number(self, name: str, default: float = 0.0) -> float:
        """An argument that must be a number."""
        value = self.raw(name, default)
        return float(value) if isinstance(value, int | float) else float("nan")

    def integers(self, name: str) -> list[int]:
        """An argument that must be a list of integers; empty where it is absent."""
        value = self.raw(name)
        if value is None:
            return []
        if isinstance(value, int):
            return [value]
        if not isinstance(value, list) or not all(isinstance(each, int) for each in value):
            raise Unfollowed(f"its {name} is not constant")
        return [each for each in value if isinstance(each, int)]

    def value(self, name: str) -> Val | None:
        """The tensor of an argument; None where it is a number or absent."""
        return self._follower.of(self.raw(name))

    def tensor(self, name: str) -> Val:
        """The tensor of an argument that must be one."""
        found = self.value(name)
        if found is None:
            raise Unfollowed(f"its {name} is no tensor")
        return found

    def tensors(self) -> list[Val]:
        """All tensors that it reads."""
        return self._follower.all_of(self.node.args.values())

    def listed(self, name: str) -> list[Val | None]:
        """The tensors of a list."""
        value = self.raw(name)
        return [self._follower.of(each) for each in value] if isinstance(value, list) else []

    def item(self) -> Val:
        """The result that it takes out of an operator with several."""
        source = self.raw("self")
        if not isinstance(source, Ref):
            raise Unfollowed("it takes an entry of something unknown")
        return self._follower.found.values[source.name][self.integer("index")]

    def dtype_of(self, name: str) -> str:
        """Type of the elements of a value."""
        return self._follower.dtypes[name]

    # --- results -----------------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        """Shape of the (first) result."""
        return self.node.outputs[0].shape

    def result(self, index: int = 0) -> Val:
        """A result of which no axis is followed yet."""
        found = blank(self.node.outputs[index])
        reads = self.tensors()
        found.constant = bool(reads) and all(each.constant for each in reads)
        found.padded = found.constant and any(each.padded for each in reads)
        return found

    # --- channels ----------------------------------------------------------------------------------

    def fault(self, reason: str) -> Fault:
        """Why channels stay at this operator."""
        node = self.node
        return Fault(reason, node.op, node.module, node.line)

    def freeze(self, labels: Labels | None, reason: str) -> None:
        """These must stay."""
        self.slots.freeze(labels, self.fault(reason))

    def freeze_axes(self, value: Val | None, reason: str, axes: Iterable[int] | None = None) -> None:
        """Stop following axes of a value (all of them by default)."""
        if value is not None:
            for axis in range(value.ndim) if axes is None else axes:
                self.freeze(value.labels[axis], reason)

    def freeze_all(self, labels: Iterable[Labels | None]) -> None:
        """These stand at one place, and one of them is not followed."""
        for each in labels:
            self.freeze(each, "it meets an axis that is not followed")

    def match(self, left: Labels | None, right: Labels | None, reason: str = "") -> Labels | None:
        """Entries of both stand at the same place: united, or frozen where only one of them is followed."""
        if left is None or right is None or len(left) != len(right):
            why = reason or "it meets an axis that is not followed"
            self.freeze(left, why)
            self.freeze(right, why)
            return None
        self.slots.unite(left, right)
        return left

    def tie(self, rows: Labels) -> Labels:
        """The entries of each row of ``(n, m)`` go together; the first column stands for them."""
        first = np.ascontiguousarray(rows[:, 0])
        for column in range(1, rows.shape[1]):
            self.slots.unite(first, np.ascontiguousarray(rows[:, column]))
        return first

    def statistic(self, labels: Labels | None, reason: str) -> Labels | None:
        """A statistic over channels: they go only where approximate removal was asked for."""
        if labels is not None and self._follower.approximate:
            self.slots.approximate(labels)
        else:
            self.freeze(labels, reason)
        return labels

    def average(self, labels: Labels) -> None:
        """A mean over channels that are zero where they were removed: it keeps dividing by their full number."""
        self._follower.found.averages.setdefault(self.node.name, []).append(labels)

    def produces(self, name: str, axis: int) -> None:
        """The argument is a weight whose ``axis`` are the channels that the operator makes."""
        value = self.raw(name)
        if isinstance(value, Ref):
            self._follower.found.outputs.setdefault(value.name, axis)

    def rewrite(self, name: str, labels: Labels | None, index: int | None = None) -> None:
        """In a smaller network this integer is the number of kept ``labels``; None makes it -1."""
        self._follower.found.rewrites.setdefault(self.node.name, []).append(Rewrite((name, index), labels))

    def state(self, name: str, value: Arg) -> None:
        """A smaller network has this argument; without it, its default would be another."""
        self._follower.found.stated.setdefault(self.node.name, {})[name] = value

    @property
    def places(self) -> bool:
        """Whether both parts of a split axis are followed: heads, and the places within each."""
        self._follower.found.places |= self.choose(PLACES, 2) == 1
        return self._follower.found.places

    def choose(self, key: str, options: int) -> int:
        """A decision between equally correct ways to follow; the same key is decided once for a network."""
        return self._follower.choose(key, options)


class Unfollowed(Exception):
    """A rule met an unsupported argument: the operator's channels stay."""


def blank(output: Output) -> Val:
    """A value of which nothing is followed."""
    n = len(output.shape)
    return Val(output.shape, [None] * n, [False] * n)


class Follower:
    """One pass over a graph, in the order of its operators."""

    def __init__(
        self,
        graph: Graph,
        rules: Mapping[str, Rule],
        *,
        approximate: bool = False,
        decisions: Mapping[str, int] | None = None,
    ) -> None:
        self.graph, self.approximate = graph, approximate
        self._rules, self._decisions = rules, dict(decisions or {})
        self.found = Followed(Slots(), {})
        self.dtypes = {
            **{source.name: source.output.dtype for source in graph.inputs},
            **{weight.name: weight.dtype for weight in graph.weights},
            **{node.name: node.outputs[0].dtype for node in graph.nodes if node.outputs},
        }

    def follow(self) -> Followed:
        """Labels of every value; raises ``SpaceError`` for an unsupported operator."""
        values, slots = self.found.values, self.found.slots
        for source in self.graph.inputs:
            values[source.name] = (blank(source.output),)
        for weight in self.graph.weights:
            labels: list[Labels | None] = [slots.fresh(n) if n > 1 else None for n in weight.shape]
            zero = [weight.kind == "parameter"] * len(labels)
            values[weight.name] = (Val(weight.shape, labels, zero, constant=True),)
        for node in self.graph.nodes:
            values[node.name] = self._step(node)
        for name in self.graph.output_names():
            for value in values[name]:
                for labels_ in value.labels:
                    slots.freeze(labels_, Fault(OUTPUT))
        return self.found

    def _step(self, node: Node) -> tuple[Val, ...]:
        if node.op.startswith("builtin.") and node.kind != "getitem":  # arithmetic of sizes has no channels
            return tuple(blank(output) for output in node.outputs)
        rule = self._rules.get(node.kind)
        if rule is None:
            raise SpaceError(f"operator {node.op!r} of {node.module or 'the network'} is not supported")
        step = Step(node, self)
        try:
            found = rule(step)
        except Unfollowed as error:
            found = None
            reason = f"{UNFOLLOWED}: {error}"
        else:
            reason = UNFOLLOWED
        if found is None:
            for value in step.tensors():
                step.freeze_axes(value, reason)
            return tuple(step.result(index) for index in range(len(node.outputs)))
        results = (found,) if isinstance(found, Val) else tuple(found)
        for value, output in zip(results, node.outputs, strict=True):
            _check(node, value, output)
        return results

    def of(self, value: Arg) -> Val | None:
        """The tensor of an argument."""
        if not isinstance(value, Ref):
            return None
        found = self.found.values[value.name]
        return found[0] if found else None

    def all_of(self, values: Iterable[Arg]) -> list[Val]:
        """The tensors of arguments, those in lists too."""
        found: list[Val] = []
        for value in values:
            if isinstance(value, list):
                found += self.all_of(value)
            elif isinstance(value, Ref):
                found += self.found.values[value.name]
        return found

    def choose(self, key: str, options: int) -> int:
        """See :meth:`Step.choose`."""
        self.found.choices[key] = options
        return self._decisions.get(key, 0) % options


def _check(node: Node, value: Val, output: Output) -> None:
    """The length of labels is the size of the axis, or its multiple of the batch."""
    if len(value.labels) != len(output.shape):
        raise AssertionError(f"{node.op}: {len(value.labels)} axes for {output.shape}")
    for labels, size in zip(value.labels, output.shape, strict=True):
        if labels is not None and len(labels) != period(size):
            raise AssertionError(f"{node.op}: {len(labels)} labels for {output.shape}")


def period(size: Size) -> int:
    """How many labels an axis of this size has."""
    return size if isinstance(size, int) else multiple(size)
