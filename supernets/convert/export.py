"""An exported program as a :class:`supernets.traced.graph.Graph`."""

from __future__ import annotations

import operator
import re
import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from supernets.convert.operators import (
    PLACES,
    SHAPED_LIKE,
    argument_names,
    dropped,
    op_name,
    out_of_place,
    readable,
)
from supernets.convert.program import place
from supernets.convert.results import quality_of, structure_of
from supernets.errors import ConvertError
from supernets.traced.graph import (
    Arg,
    DType,
    Graph,
    Node,
    Output,
    Ref,
    Result,
    Source,
    Weight,
    multiple,
    named_results,
)
from supernets.traced.operators import known

RANDOM = ("rand", "normal", "bernoulli", "multinomial", "poisson", "exponential", "uniform")
MOST_ROUNDS = 4
"""A decomposition may give operators that have to be decomposed themselves."""


@dataclass(frozen=True)
class TracedGraph:
    """A graph with the tensors of its weights, by their first key."""

    graph: Graph
    tensors: dict[str, Tensor]


def graph_of(program: ExportedProgram, output: str | None = None) -> TracedGraph:
    """The graph of an exported program, in supported operators; others are decomposed where torch can.

    Raises:
        ConvertError: an operator that is not known and cannot be decomposed, or several outputs and no ``output``.
    """
    _refuse_randomness(program)
    _check_weights(program)
    if not readable(program):
        program = _decomposed(program)
    return _Reader(program).read(output)


def _decomposed(program: ExportedProgram) -> ExportedProgram:
    """Without changes in place, and with operators that are not supported in terms of others.

    Raises:
        ConvertError: an operator that is not supported and cannot be decomposed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = program.run_decompositions({})
        for _ in range(MOST_ROUNDS):
            if not (unknown := _decompositions(_unknown(program))):
                break
            program = program.run_decompositions(unknown)
    if left := _unknown(program):
        node = next(node for node in program.graph.nodes if node.target in left)
        raise ConvertError(
            f"operator {node.target} is not supported{_of(node)}; replace it in the network's code, or leave the part "
            "out that uses it"
        )
    return program


def _refuse_randomness(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        kind = op_name(node.target).split(".")[1]
        drops = "dropout" in kind and len(node.args) > 2 and node.args[2] is True
        if kind.startswith(RANDOM) or drops:
            raise ConvertError(
                f"the network draws random numbers in evaluation mode ({node.target}){_of(node)}; make it deterministic"
            )


def _of(node: fx.Node) -> str:
    parts = [f"in {module}" for module in [_module(node)] if module] + [f"at {l}" for l in [_line(node)] if l]
    return " " + ", ".join(parts) if parts else ""


def _unknown(program: ExportedProgram) -> set[object]:
    return {
        node.target
        for node in program.graph.nodes
        if node.op == "call_function" and not dropped(node) and not known(op_name(node.target))
    }


def _decompositions(targets: set[object]) -> dict[object, object]:
    table = torch._decomp.core_aten_decompositions()
    found = {}
    for target in targets:
        if target in table:
            found[target] = table[target]
        elif isinstance(target, torch._ops.OpOverload):
            found[target] = target.decompose
    return found


class _Reader:
    """Turns the nodes of an exported program into those of a graph."""

    def __init__(self, program: ExportedProgram) -> None:
        self._program = program
        self._symbols = self._batch_symbols()
        self._alias: dict[str, Arg] = {}
        self._nodes: list[Node] = []

    def read(self, output: str | None) -> TracedGraph:
        inputs, weights, tensors = self._placeholders()
        for node in self._program.graph.nodes:
            if node.op == "call_function" and not dropped(node):
                self._operator(node)
        result = self._result()
        quality = quality_of(result, {node.name: node for node in self._nodes}, output)
        _check_quality(quality, self._nodes)
        nodes = _alive(self._nodes, [name for name, _ in named_results(result)])
        graph = Graph(tuple(inputs), tuple(weights), tuple(nodes), result, quality)
        graph.check()
        return TracedGraph(graph, tensors)

    def _batch_symbols(self) -> set[str]:
        found: set[str] = set()
        user = set(self._program.graph_signature.user_inputs)
        for node in self._program.graph.nodes:
            if node.op == "placeholder" and node.name in user:
                value = node.meta.get("val")
                if isinstance(value, Tensor) and value.ndim and isinstance(value.shape[0], torch.SymInt):
                    found.add(str(value.shape[0].node.expr))
        return found

    def _placeholders(self) -> tuple[list[Source], list[Weight], dict[str, Tensor]]:
        program = self._program
        specs = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
        names = _input_names(program)
        inputs: list[Source] = []
        weights: list[Weight] = []
        tensors: dict[str, Tensor] = {}
        for node in program.graph.nodes:
            if node.op != "placeholder":
                continue
            spec = specs[node.name]
            if spec.kind == InputKind.USER_INPUT:
                if not isinstance(node.meta.get("val"), Tensor):
                    if node.users:
                        self._alias[node.name] = _constant(node.meta.get("val"))
                    continue
                source = Source(names[len(inputs)], self._output(node.meta["val"]))
                self._alias[node.name] = Ref(source.name)
                if not source.output.shape or isinstance(source.output.shape[0], int):
                    raise ConvertError(
                        f"every input must have a batch of any size as its first axis, {source.name!r} has shape "
                        f"{list(source.output.shape)}; export with a dynamic batch"
                    )
                inputs.append(source)
            else:
                self._tensor(node, str(spec.target), spec.kind, weights, tensors)
        if not inputs:
            raise ConvertError("the network must have an input, got none")
        return inputs, self._unused(weights, tensors), tensors

    def _tensor(
        self, node: fx.Node, key: str, kind: InputKind, weights: list[Weight], tensors: dict[str, Tensor]
    ) -> None:
        if kind not in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            raise ConvertError(f"an input of the graph must be a tensor, {key!r} is a {kind.name.lower()}")
        held = self._program.state_dict.get(key, self._program.constants.get(key))
        tensor = _matching(held, node.meta.get("val"), key)
        for index, weight in enumerate(weights):  # one tensor under two names
            if tensor.numel() and _identity(tensors[weight.key]) == _identity(tensor):
                weights[index] = replace(weight, keys=(*weight.keys, key))
                self._alias[node.name] = Ref(weight.name)
                return
        tensors[key] = tensor.detach()
        self._alias[node.name] = Ref(f"w.{key}")
        which = "parameter" if kind == InputKind.PARAMETER else "buffer"
        weights.append(Weight(f"w.{key}", (key,), which, tuple(tensor.shape), _dtype(tensor.dtype)))  # type: ignore[arg-type]

    def _unused(self, weights: list[Weight], tensors: dict[str, Tensor]) -> list[Weight]:
        """Weights of the state that the graph does not read, and further names of those that it does."""
        state = self._program.state_dict
        parameters = {
            spec.target
            for spec in self._program.graph_signature.input_specs
            if spec.kind == InputKind.PARAMETER
        }
        by_data = {
            _identity(tensors[w.key]): index for index, w in enumerate(weights) if tensors[w.key].numel()
        }
        for key, tensor in state.items():
            if key in tensors:
                continue
            first_key = by_data.get(_identity(tensor))
            if first_key is not None:
                if key not in weights[first_key].keys:
                    weights[first_key] = replace(weights[first_key], keys=(*weights[first_key].keys, key))
                continue
            tensors[key] = tensor.detach()
            is_parameter = key in parameters or isinstance(tensor, nn.Parameter)
            weights.append(
                Weight(
                    f"w.{key}",
                    (key,),
                    "parameter" if is_parameter else "buffer",
                    tuple(tensor.shape),
                    _dtype(tensor.dtype),
                )
            )
        return _first_names(weights, tensors, list(state))

    # --- operators -------------------------------------------------------------------------------------

    def _operator(self, node: fx.Node) -> None:
        name = op_name(node.target)
        args = self._arguments(node)
        if pure := out_of_place(name):
            name = pure
            self._rename(next(iter(args.values())), Ref(node.name))
            args = dict(zip(argument_names(pure), args.values(), strict=False))
        values = node.meta.get("val")
        several = isinstance(values, tuple | list)
        outputs = (
            tuple(self._output(value) for value in values if isinstance(value, Tensor))
            if isinstance(values, tuple | list)
            else (self._output(values),)
        )
        if name == "aten.batch_norm.default" and several:
            args = {
                key: args.get(key)
                for key in ("input", "weight", "bias", "running_mean", "running_var", "eps")
            }
            args |= {"training": False, "momentum": 0.1, "cudnn_enabled": False}
            outputs = outputs[:1]
        if name == "aten.split_with_sizes.default":
            dim = args.get("dim", 0)
            assert isinstance(dim, int)
            sizes: list[Arg] = []
            for output in outputs:
                size = output.shape[dim]
                if not isinstance(size, int):
                    raise ConvertError(f"the batch must not be split{_of(node)}")
                sizes.append(size)
            args = {"self": args["self"], "split_sizes": sizes, "dim": dim}
        if name in SHAPED_LIKE:
            shape: list[Arg] = [size if isinstance(size, int) else -1 for size in outputs[0].shape]
            name, args = "aten.reshape.default", {"self": args["self"], "shape": shape}
        if name == "aten.reshape.default":  # a view of what is contiguous: the memory format is not kept
            args = {"self": args["self"], "shape": args["size" if "size" in args else "shape"]}
        if name == "builtin.getitem":
            source = node.args[0]
            assert isinstance(source, fx.Node)
            if op_name(source.target) == "aten.batch_norm.default":
                self._alias[node.name] = Ref(source.name)
                return
        self._nodes.append(Node(node.name, name, args, outputs, _module(node), _line(node)))

    def _rename(self, changed: Arg, result: Ref) -> None:
        """What was changed in place is the result for all that follows."""
        assert isinstance(changed, Ref)
        for name, known_as in self._alias.items():
            if known_as == changed:
                self._alias[name] = result
        self._alias[changed.name] = result

    def _arguments(self, node: fx.Node) -> dict[str, Arg]:
        if not isinstance(node.target, torch._ops.OpOverload):
            names = ["self", "index"] if node.target is operator.getitem else ["self", "other"]
            return {key: self._arg(value) for key, value in zip(names, node.args, strict=False)}
        schema = node.target._schema.arguments
        found: dict[str, Arg] = {}
        for position, argument in enumerate(schema):
            if position < len(node.args):
                found[argument.name] = self._arg(node.args[position])
            elif argument.name in node.kwargs:
                found[argument.name] = self._arg(node.kwargs[argument.name])
        for name in PLACES:
            found.pop(name, None)
        return found

    def _arg(self, value: object) -> Arg:
        if isinstance(value, fx.Node):
            return self._alias.get(value.name, Ref(value.name))
        if isinstance(value, list | tuple):
            return [self._arg(each) for each in value]
        if isinstance(value, torch.dtype):
            return DType(_dtype(value))
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, torch.device | torch.layout | torch.memory_format):
            return None
        raise ConvertError(f"an argument of type {type(value).__name__} is not supported")

    # --- results -----------------------------------------------------------------------------------------

    def _output(self, value: object) -> Output:
        if isinstance(value, Tensor):
            return Output(tuple(self._size(size) for size in value.shape), _dtype(value.dtype))
        return Output((), "size")

    def _size(self, size: int | torch.SymInt) -> int | str:
        if isinstance(size, int):
            return size
        expression = size.node.expr
        symbols = {str(symbol) for symbol in expression.free_symbols}
        if not symbols:
            return int(expression)
        if len(symbols) == 1 and symbols <= self._symbols:
            (symbol,) = expression.free_symbols
            factor = expression / symbol
            if factor.is_Integer and factor > 0:
                return f"{int(factor)}*b"
        return "?"

    def _result(self) -> Result:
        (node,) = [node for node in self._program.graph.nodes if node.op == "output"]
        values = [self._arg(value) for value in node.args[0]]
        specs = self._program.graph_signature.output_specs
        values = [v for v, spec in zip(values, specs, strict=True) if spec.kind.name == "USER_OUTPUT"]
        return structure_of(self._program.call_spec.out_spec, iter(values))


def _check_weights(program: ExportedProgram) -> None:
    """Every weight that the graph reads is there, with the shape and the type with which it was drawn."""
    specs = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
    for node in program.graph.nodes:
        spec = specs.get(node.name) if node.op == "placeholder" else None
        if spec is not None and spec.kind in (
            InputKind.PARAMETER,
            InputKind.BUFFER,
            InputKind.CONSTANT_TENSOR,
        ):
            key = str(spec.target)
            _matching(program.state_dict.get(key, program.constants.get(key)), node.meta.get("val"), key)


def _matching(tensor: object, drawn: object, key: str) -> Tensor:
    """The tensor of a weight, if it has the shape and the type with which the graph was drawn."""
    if not isinstance(tensor, Tensor):
        raise ConvertError(f"the weights must match the graph, but they have no {key!r}")
    if isinstance(drawn, Tensor) and (tensor.shape != drawn.shape or tensor.dtype != drawn.dtype):
        raise ConvertError(
            f"the weights must match the graph: {key!r} is {_dtype(tensor.dtype)} {list(tensor.shape)}, the graph "
            f"reads {_dtype(drawn.dtype)} {list(drawn.shape)}"
        )
    return tensor


def _check_quality(quality: str, nodes: list[Node]) -> None:
    """Refuse an output without an axis of examples: quality is computed example by example."""
    for node in nodes:
        if node.name == quality and not (node.outputs[0].shape and multiple(node.outputs[0].shape[0])):
            where = ", ".join(
                filter(None, (node.module and f"in {node.module}", node.line and f"at {node.line}"))
            )
            raise ConvertError(
                f"the output must have the examples along its first axis, got shape {list(node.outputs[0].shape)} from "
                f"{node.op} {where}; return a value for each example of the batch"
            )


def _input_names(program: ExportedProgram) -> list[str]:
    """The arguments of ``forward`` that are tensors, in order."""
    user = set(program.graph_signature.user_inputs)
    names = [
        node.name
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in user and isinstance(node.meta.get("val"), Tensor)
    ]
    by_name = program.call_spec.in_spec.children()[1].context or []
    if len(by_name) == len(names) and all(isinstance(name, str) for name in by_name):
        return list(by_name)
    return names


def _alive(nodes: list[Node], results: list[str]) -> list[Node]:
    """Without operators of which nothing is read."""
    needed = set(results)
    kept = []
    for node in reversed(nodes):
        if node.name in needed:
            kept.append(node)
            needed.update(node.refs())
    return kept[::-1]


def _constant(value: object) -> Arg:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConvertError(f"inputs must be tensors, got {type(value).__name__}")


def _identity(tensor: Tensor) -> tuple[object, ...]:
    return (
        tensor.untyped_storage().data_ptr(),
        tensor.storage_offset(),
        tuple(tensor.shape),
        tensor.stride(),
    )


def _first_names(weights: list[Weight], tensors: dict[str, Tensor], order: list[str]) -> list[Weight]:
    """Each weight under the first of its names in the state of the original."""
    rank = {key: index for index, key in enumerate(order)}
    found = []
    for weight in weights:
        keys = tuple(sorted(weight.keys, key=lambda key: rank.get(key, len(rank))))
        if keys != weight.keys:
            tensors[keys[0]] = tensors.pop(weight.keys[0])
            weight = replace(weight, keys=keys)
        found.append(weight)
    return found


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _module(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    path = str(list(stack.values())[-1][0]) if stack else ""
    return re.sub(r"^L\['self'\]\.?", "", path)


def _line(node: fx.Node) -> str:
    found = re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")
    own = [place for place in found if "/torch/" not in place[0]]
    return place(*own[-1]) if own else ""
