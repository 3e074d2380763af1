"""A network of the user as a supernet: what may be removed from it, what stays, and the elastic network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from supernets.convert.check import Checker, failing, relative
from supernets.convert.export import TracedGraph, graph_of
from supernets.convert.importances import DEFAULT
from supernets.convert.program import Example, export_program
from supernets.convert.ranking import Labelled, importance_of, order_by
from supernets.errors import ConvertError
from supernets.families.converted.traced_net import TracedNet
from supernets.families.converted.traced_space import MULTIPLE, WIDTHS, TracedConfig, TracedFamily
from supernets.families.traced import Traced
from supernets.spaces.space import Choice
from supernets.tasks.task import BATCH, Interface, NamedTensor
from supernets.traced.follow import PLACES, Follower
from supernets.traced.graph import Graph, Shape, Source, multiple, named_results
from supernets.traced.groups import Frozen, Group, find
from supernets.traced.importance import Scores
from supernets.traced.operators import RULES
from supernets.traced.run import Program

MOST_TRIALS = 16
"""Ways to follow views and grouped convolutions that are tried, with and without places; a pass over the graph each."""
TOLERANCE = 1e-4
CHECKED = 2
"""Examples that the smaller networks are compared on."""


_Value = tuple[float, float, int]
"""How good a way to follow is."""


@dataclass(frozen=True, slots=True)
class AxisFound:
    """An axis of the space.

    Attributes:
        name: in the space and in archs.
        kind: ``width`` or ``depth``.
        modules: whose weights change, by their names in the original.
        choices: fraction kept to channels (of the first module) that are then kept; for a depth, number of branches.
        exact: whether a smaller network is exactly the larger one with the removed channels at zero.
        unit: what is removed at a time, in words, with the reason where heads go whole.
    """

    name: str
    kind: str
    modules: tuple[str, ...]
    choices: Mapping[Choice, int]
    exact: bool
    unit: str = "a channel"

    @property
    def removing(self) -> str:
        """``exact`` or ``approximate``."""
        return "exact" if self.exact else "approximate"


@dataclass(frozen=True)
class Converted:
    """What was made of a network.

    Attributes:
        net: the supernet, with the weights of the original; in evaluation mode.
        axes: all axes of its space.
        frozen: modules whose output channels stay (all or some of them), with the reason.
        importance: the score by which channels are kept.
        scores: that score of the units of each group.
    """

    net: TracedNet
    axes: tuple[AxisFound, ...]
    frozen: tuple[Frozen, ...]
    importance: str
    scores: Scores

    @property
    def family(self) -> TracedFamily:
        """The family of :attr:`net`."""
        return self.net.family

    @property
    def interface(self) -> Interface:
        """Inputs and output of an exported file of any subnet, with a batch of any size."""
        graph = self.family.graph
        inputs = tuple(NamedTensor(s.name, s.output.dtype, _file_shape(s.output.shape)) for s in graph.inputs)
        (found,) = (node.outputs[0] for node in graph.nodes if node.name == graph.quality)
        name = next(
            (path for name, path in named_results(graph.result) if name == graph.quality and path), ""
        )
        named = name if name.isidentifier() and name not in {each.name for each in inputs} else "output"
        return Interface(inputs, NamedTensor(named, found.dtype, _file_shape(found.shape)))


def convert(
    model: nn.Module,
    example_inputs: Example | Tensor,
    *,
    output: str | None = None,
    widths: Sequence[float] = WIDTHS,
    multiple: int = MULTIPLE,
    approximate: bool = False,
    skip: bool = False,
    importance: str = DEFAULT,
    labelled: Sequence[Labelled] = (),
) -> Converted:
    """The supernet of a trained network; ``model`` is left as it was.

    Args:
        model: on the CPU.
        example_inputs: one or more examples: positional tensors, or tensors by the names of ``forward``'s arguments.
        output: which tensor quality is computed from, where the network returns several (``"logits"``, ``"0"``).
        widths: fractions of the channels of each axis; the last is 1.
        multiple: numbers of kept channels are multiples of it where an axis has enough channels.
        approximate: offer channels under a LayerNorm or GroupNorm too, where removing is not exact.
        skip: residual branches may be skipped.
        importance: which channels are kept, a name of :data:`supernets.convert.importances.IMPORTANCES`.
        labelled: examples with targets and loss, for an importance that needs them.

    Raises:
        ConvertError: what cannot be converted, where in the network, and what can be done.
    """
    if isinstance(example_inputs, Tensor):
        example_inputs = (example_inputs,)
    settings = TracedConfig(tuple(widths), multiple, approximate, skip)
    if not isinstance(model, nn.Module):
        raise ConvertError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    program = export_program(model, example_inputs)
    tensors = list(example_inputs.values() if isinstance(example_inputs, Mapping) else example_inputs)
    return convert_program(
        program, settings, examples=tensors, output=output, importance=importance, labelled=labelled
    )


def convert_program(
    program: ExportedProgram,
    settings: TracedConfig | None = None,
    *,
    examples: Sequence[Tensor] | None = None,
    output: str | None = None,
    importance: str = DEFAULT,
    labelled: Sequence[Labelled] = (),
) -> Converted:
    """The supernet of an exported program; see :func:`convert`.

    Args:
        program: exported in evaluation mode with a dynamic batch.
        settings: how axes are made.
        examples: inputs for the check that smaller networks are exact; made up where there are none.
        output: which tensor quality is computed from.
        importance: which channels are kept; see :func:`convert`.
        labelled: examples for it.
    """
    traced = graph_of(program, output)
    settings = _decided(traced.graph, settings or TracedConfig())
    family = Traced(traced.graph, settings)
    if not family.offered and not family.branches:
        raise ConvertError(_nothing(family))
    inputs = _inputs(traced.graph, examples)
    _check_original(program, traced, inputs)
    weights = {weight.name: traced.tensors[weight.key] for weight in traced.graph.weights}
    bad = failing(Checker(family.groups, weights, inputs), family.groups)
    if bad:
        names = tuple(sorted({*settings.leave, *(family.groups.groups[index].name for index in bad)}))
        family = Traced(traced.graph, replace(settings, leave=names))
        if not family.offered and not family.branches:
            raise ConvertError(_nothing(family))
    net = family.build()
    assert isinstance(net, TracedNet)
    net.load_original(traced.tensors)
    scores = importance_of(net.eval(), importance, labelled)
    order_by(net, scores)
    return Converted(net, found_axes(family), found_frozen(family), importance, scores)


def ranked(found: Converted, importance: str, labelled: Sequence[Labelled] = ()) -> Converted:
    """The same network with its channels ordered by another importance; see :func:`convert`."""
    scores = importance_of(found.net, importance, labelled)
    order_by(found.net, scores)
    return replace(found, importance=importance, scores=scores)


def _file_shape(shape: Shape) -> tuple[int | str, ...]:
    """A shape with the name of the batch's axis; other sizes that depend on the batch have names of their own."""
    return tuple(
        size if isinstance(size, int) else BATCH if size == "1*b" else f"size{axis}"
        for axis, size in enumerate(shape)
    )


def found_axes(family: TracedFamily) -> tuple[AxisFound, ...]:
    """All axes of a traced space."""
    found = []
    owned: dict[str, list[str]] = {}
    for branch in family.branches:
        inside = {node.module for node in family.graph.nodes if node.name in branch.nodes}
        owned.setdefault(branch.axis, []).extend(sorted(inside - {""}))
    for axis, modules in owned.items():
        count = len({branch.place for branch in family.branches if branch.axis == axis})
        choices: dict[Choice, int] = {depth: depth for depth in range(count + 1)}
        found.append(AxisFound(axis, "depth", tuple(dict.fromkeys(modules)), choices, False, "a branch"))
    for index, name in family.offered.items():
        group = family.groups.groups[index]
        kept: dict[Choice, int] = {w: n * group.channels for w, n in family.settings.kept(group).items()}
        unit = _unit(group, family.groups.whole(group))
        found.append(AxisFound(name, "width", group.modules, kept, group.exact, unit))
    return tuple(found)


def _unit(group: Group, whole: str) -> str:
    """What is removed at a time."""
    if group.parts > 1:
        return f"{group.channels} channels, one of each part"
    together = f"{group.channels} channels" if group.channels > 1 else "a channel"
    return f"{together}, whole: {whole}" if whole else together


def found_frozen(family: TracedFamily) -> tuple[Frozen, ...]:
    """Modules whose channels stay, with the reason."""
    found = list(family.groups.frozen())
    for index, group in enumerate(family.groups.groups):
        if index in family.offered:
            continue
        reason = (
            "the smaller network was not equal to the larger one with these channels at zero"
            if group.name in family.settings.leave
            else f"it has only {len(group.units)} parts that can be removed one by one"
        )
        count = len(group.units) * group.channels
        found += [Frozen(module, reason, count, count) for module in group.modules[:1]]
    return tuple(found)


def _decided(graph: Graph, settings: TracedConfig) -> TracedConfig:
    """The ways to follow that leave the most to be removed, found one decision at a time.

    What counts first is how many axes of weights have channels that may go, then how much of the weights can go.
    Whether both parts of split axes are followed decides for the whole network, with the others decided for either.
    """

    def value(decisions: Mapping[str, int]) -> tuple[_Value, Mapping[str, int]]:
        follower = Follower(graph, RULES, approximate=settings.approximate, decisions=decisions)
        groups = find(graph, follower.follow())
        units = sum(len(group.units) for group in groups.groups)
        return (round(groups.reached, 6), round(groups.removable, 6), units), follower.found.choices

    def improved(best: dict[str, int]) -> tuple[_Value, dict[str, int], bool]:
        score, choices = value(best)
        trials = 0
        for key, options in choices.items():
            for option in range(options if key != PLACES else 0):
                if option == best.get(key, 0) or trials >= MOST_TRIALS:
                    continue
                trials += 1
                got, _ = value({**best, key: option})
                if got > score:
                    best, score = {**best, key: option}, got
        return score, best, PLACES in choices

    score, best, splits = improved(dict(settings.decisions))
    if splits and PLACES not in settings.decisions:
        got, both, _ = improved({**settings.decisions, PLACES: 1})
        if got > score:
            best = both
    return replace(settings, decisions=best)


def _nothing(family: TracedFamily) -> str:
    if not family.groups.graph.weights:
        return "nothing can be removed from the network: it has no weights"
    reasons = [
        f"{each.module}: {each.reason}" + (f" at {each.line}" if each.line else "")
        for each in found_frozen(family)
    ]
    more = f" and {len(reasons) - 8} more" if len(reasons) > 8 else ""
    return f"nothing can be removed from the network. {'; '.join(reasons[:8])}{more}"


def _inputs(graph: Graph, examples: Sequence[Tensor] | None) -> list[Tensor]:
    """A few examples; made up, of the right types, where there are none."""
    if examples is None:
        generator = torch.Generator().manual_seed(0)
        return [_made_up(source, generator) for source in graph.inputs]
    given = list(examples)
    if len(given) != len(graph.inputs):
        raise ConvertError(
            f"the network reads {len(graph.inputs)} inputs {[s.name for s in graph.inputs]}, got {len(given)}"
        )
    return [
        torch.cat([each] * CHECKED)[:CHECKED] if len(each) < CHECKED else each[:CHECKED] for each in given
    ]


def _made_up(source: Source, generator: torch.Generator) -> Tensor:
    shape = [
        size if isinstance(size, int) else CHECKED * max(1, multiple(size)) for size in source.output.shape
    ]
    dtype = getattr(torch, source.output.dtype)
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    return torch.randint(0, 2, shape, generator=generator).to(dtype)


def _check_original(program: ExportedProgram, traced: TracedGraph, inputs: Sequence[Tensor]) -> None:
    """The graph gives the outputs of the exported program, for another batch too."""
    module = program.module(check_guards=False)
    weights = {weight.name: traced.tensors[weight.key] for weight in traced.graph.weights}
    own = Program(traced.graph)
    names = [source.name for source in traced.graph.inputs]
    named = bool(program.call_spec.in_spec.children()[1].context)
    for count in (2, 3):
        part = [torch.cat([each, each])[:count] for each in inputs]
        with torch.inference_mode():
            torch.manual_seed(0)
            try:
                expected = module(**dict(zip(names, part, strict=True))) if named else module(*part)
            except Exception as error:  # operators raise errors of any kind
                raise ConvertError(
                    f"the network does not run on the example: {str(error).splitlines()[0]}"
                ) from error
            torch.manual_seed(0)
            values = own(part, weights, {})
        flat = [each for each in torch.utils._pytree.tree_leaves(expected) if isinstance(each, Tensor)]
        got = [values[name] for name in traced.graph.output_names()]
        if not all(bool(torch.isfinite(each).all()) for each in flat if each.is_floating_point()):
            raise ConvertError("the outputs of the network must be finite, on the example they are not")
        if len(flat) != len(got) or any(relative(g, e) > TOLERANCE for g, e in zip(got, flat, strict=True)):
            raise ConvertError(
                "the traced network must give the outputs of the original, but they differ; a network with "
                "randomness in evaluation mode cannot be converted"
            )
