"""A traced network as data: inputs, weights, operators and outputs. JSON, no torch.

A graph comes from ``torch.export`` and holds no code: an operator is a name out of
:mod:`supernets.traced.operators`. Sizes are integers; a size that depends on the batch is written ``"4*b"``
(four times the batch) or ``"?"`` where it is no multiple of the batch.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from supernets.errors import SpaceError

Size: TypeAlias = int | str
Shape: TypeAlias = tuple[Size, ...]
MAX_NODES = 20_000
"""The most operators of a graph."""
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of an input, a weight or an operator, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class DType:
    """A type of elements, such as ``float32``."""

    name: str


Arg: TypeAlias = "None | bool | int | float | str | Ref | DType | list[Arg]"
Result: TypeAlias = "Ref | None | list[Result] | dict[str, Result]"


@dataclass(frozen=True, slots=True)
class Output:
    """Shape and type of a value."""

    shape: Shape
    dtype: str


@dataclass(frozen=True, slots=True)
class Source:
    """An input of the network: ``name`` is the argument of its ``forward``."""

    name: str
    output: Output


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that the network holds; ``keys`` are its names in the state of the network, the first one counts."""

    name: str
    keys: tuple[str, ...]
    kind: Literal["parameter", "buffer"]
    shape: tuple[int, ...]
    dtype: str

    @property
    def key(self) -> str:
        """The name that counts."""
        return self.keys[0]


@dataclass(frozen=True, slots=True)
class Node:
    """An operator with its arguments by name; ``outputs`` has several entries where it returns several tensors.

    ``module`` is the module of the original whose ``forward`` calls it, ``line`` the user's source line.
    """

    name: str
    op: str
    args: Mapping[str, Arg]
    outputs: tuple[Output, ...]
    module: str = ""
    line: str = ""

    @property
    def kind(self) -> str:
        """The operator without namespace and overload: ``add`` for ``aten.add.Tensor``."""
        return self.op.split(".")[1]

    def refs(self) -> Iterator[str]:
        """Names of the values that it reads."""
        for value in self.args.values():
            yield from refs_of(value)


def refs_of(value: Arg) -> Iterator[str]:
    """Names of the values in an argument."""
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, list):
        for each in value:
            yield from refs_of(each)


@dataclass(frozen=True)
class Graph:
    """See the module. ``quality`` is the output that losses and quality are computed from."""

    inputs: tuple[Source, ...]
    weights: tuple[Weight, ...]
    nodes: tuple[Node, ...]
    result: Result
    quality: str

    @cached_property
    def sha256(self) -> str:
        """Hash of the JSON form."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()

    def output_names(self) -> list[str]:
        """Names of all values that the network returns."""
        return [name for name, _ in named_results(self.result)]

    def as_json(self) -> dict[str, object]:
        """What :meth:`from_json` reads back."""
        return {
            "format": FORMAT,
            "inputs": [[each.name, list(each.output.shape), each.output.dtype] for each in self.inputs],
            "weights": [[w.name, list(w.keys), w.kind, list(w.shape), w.dtype] for w in self.weights],
            "nodes": [
                [
                    node.name,
                    node.op,
                    {name: _packed(value) for name, value in node.args.items()},
                    [[list(out.shape), out.dtype] for out in node.outputs],
                    node.module,
                    node.line,
                ]
                for node in self.nodes
            ],
            "result": _packed_result(self.result),
            "quality": self.quality,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Graph:
        """The graph that :meth:`as_json` wrote.

        Raises:
            SpaceError: the value has another form, is too large, or reads a value before it is made.
        """
        try:
            if value["format"] != FORMAT:
                raise SpaceError(f"the format of a graph must be {FORMAT}, got {value['format']!r}")
            graph = cls(
                tuple(Source(str(n), Output(_shape(s), str(d))) for n, s, d in value["inputs"]),
                tuple(_weight(each) for each in value["weights"]),
                tuple(_node(each) for each in value["nodes"]),
                _unpacked_result(value["result"]),
                str(value["quality"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            if isinstance(error, SpaceError):
                raise
            raise SpaceError(f"the graph of a traced network does not fit: {error!r}") from error
        graph.check()
        return graph

    def check(self) -> None:
        """Refuse a graph with too many operators, or with a name that is used twice or before it is made."""
        if len(self.nodes) > MAX_NODES:
            raise SpaceError(f"a graph must have at most {MAX_NODES} operators, got {len(self.nodes)}")
        known: set[str] = set()
        for source in self.inputs:
            if not source.name.isidentifier() or source.name == "self":
                raise SpaceError(f"an input must be named like an argument, got {source.name!r}")
        for name in (*(source.name for source in self.inputs), *(weight.name for weight in self.weights)):
            _add(known, name)
        for node in self.nodes:
            if unknown := [name for name in node.refs() if name not in known]:
                raise SpaceError(f"operator {node.name!r} reads {unknown[0]!r}, which is not made before it")
            _add(known, node.name)
        for name in (*self.output_names(), self.quality):
            if name not in known:
                raise SpaceError(f"the network returns {name!r}, which no operator makes")


def _add(known: set[str], name: str) -> None:
    if name in known:
        raise SpaceError(f"names of values must be unique, got {name!r} twice")
    known.add(name)


def named_results(result: Result, path: str = "") -> Iterator[tuple[str, str]]:
    """Name and path (``logits``, ``0.1``) of every value that a network returns."""
    if isinstance(result, Ref):
        yield result.name, path
    elif isinstance(result, list):
        for index, each in enumerate(result):
            yield from named_results(each, f"{path}.{index}" if path else str(index))
    elif isinstance(result, dict):
        for key, each in result.items():
            yield from named_results(each, f"{path}.{key}" if path else key)


def elements(shape: Shape, batch: int = 1) -> int:
    """Number of elements of a shape; sizes that are no multiple of the batch count once."""
    return math.prod(sized(size, batch) for size in shape)


def sized(size: Size, batch: int = 1) -> int:
    """A size for this batch; one for a size that is no multiple of the batch."""
    if isinstance(size, int):
        return size
    factor = multiple(size)
    return batch * factor if factor else 1


def multiple(size: Size) -> int:
    """``k`` of a size of ``k`` times the batch, else 0."""
    if isinstance(size, int) or not size.endswith("*b"):
        return 0
    return int(size[:-2])


def _packed(value: Arg) -> object:
    if isinstance(value, Ref | DType):
        return {"ref" if isinstance(value, Ref) else "dtype": value.name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return [_packed(each) for each in value] if isinstance(value, list) else value


def _unpacked(value: object) -> Arg:
    if isinstance(value, Mapping):
        ((kind, name),) = value.items()
        if kind == "float":
            return float(name)
        if kind not in ("ref", "dtype"):
            raise ValueError(f"an argument must be a ref, a dtype or a float, got {kind!r}")
        return Ref(str(name)) if kind == "ref" else DType(str(name))
    if isinstance(value, list):
        return [_unpacked(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"an argument must be JSON, got {type(value).__name__}")


def _packed_result(result: Result) -> object:
    if isinstance(result, Ref):
        return {"ref": result.name}
    if isinstance(result, dict):
        return {"dict": [[key, _packed_result(each)] for key, each in result.items()]}
    return None if result is None else [_packed_result(each) for each in result]


def _unpacked_result(value: Any) -> Result:
    if isinstance(value, Mapping):
        if "ref" in value:
            return Ref(str(value["ref"]))
        return {str(key): _unpacked_result(each) for key, each in value["dict"]}
    return None if value is None else [_unpacked_result(each) for each in value]


def _shape(values: list[Any]) -> Shape:
    return tuple(size if isinstance(size, str) else int(size) for size in values)


def _weight(value: list[Any]) -> Weight:
    name, keys, kind, shape, dtype = value
    if kind not in ("parameter", "buffer"):
        raise ValueError(f"a weight must be a parameter or a buffer, got {kind!r}")
    return Weight(
        str(name), tuple(str(key) for key in keys), kind, tuple(int(size) for size in shape), str(dtype)
    )


def _node(value: list[Any]) -> Node:
    name, op, args, outputs, module, line = value
    return Node(
        str(name),
        str(op),
        {str(key): _unpacked(each) for key, each in args.items()},
        tuple(Output(_shape(shape), str(dtype)) for shape, dtype in outputs),
        str(module),
        str(line),
    )
