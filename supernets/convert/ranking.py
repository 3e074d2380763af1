"""Which score orders the units of a converted network, and the examples that it needs.

Scores are computed for the original: the largest arch, with its own statistics. A score that needs gradients needs
labelled examples; a few hundred are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from supernets.convert.importances import DEFAULT, WITHOUT_EXAMPLES, check_importance
from supernets.elastic.active import Inputs
from supernets.elastic.criteria import CRITERIA, UnitSums, hesso_scores
from supernets.errors import ConvertError
from supernets.traced.importance import (
    Readers,
    Scores,
    by_group,
    gradients_of,
    magnitude,
    sums_of_units,
    unit_sums,
)

if TYPE_CHECKING:
    from supernets.families.converted.traced_net import TracedNet


@dataclass(frozen=True)
class Labelled:
    """Examples with their targets; ``loss`` maps outputs and targets to their mean loss ``()``."""

    inputs: Inputs
    targets: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]

    def singles(self) -> Iterator[Labelled]:
        """Each example by itself."""
        for place in range(len(self.targets)):
            part = slice(place, place + 1)
            yield Labelled(tuple(each[part] for each in self.inputs), self.targets[part], self.loss)


Score = Callable[["TracedNet", Sequence[Labelled]], Scores]


def weights_of(net: TracedNet) -> dict[str, Tensor]:
    """Tensors of the original by the names of its graph."""
    return {weight.name: net.weight(weight) for weight in net.family.graph.weights}


def loss_of(net: TracedNet, examples: Labelled) -> Tensor:
    """Mean loss of the largest network."""
    return examples.loss(net(*examples.inputs), examples.targets)


def _of_sums(score: Callable[[UnitSums], Tensor]) -> Score:
    def scores(net: TracedNet, examples: Sequence[Labelled]) -> Scores:
        weights = weights_of(net)
        slopes = gradients_of(weights, [lambda each=each: loss_of(net, each) for each in examples])  # type: ignore[misc]
        groups = net.family.groups
        return by_group(groups, score(unit_sums(groups, weights, slopes)))

    return scores


def fisher(net: TracedNet, examples: Sequence[Labelled]) -> Scores:
    """Mean over examples of ``⟨x, g⟩²``, where ``x`` are the weights that read the unit and ``g`` its gradient of one
    example: the diagonal empirical Fisher information of a gate on the unit (Theis et al., 2018, arXiv:1801.05787).
    Units that no weight reads: :class:`supernets.traced.importance.Readers`.

    Half of it is how much the loss changes to second order without the unit, so that units of different axes can be
    compared. A backward pass for each example.
    """
    groups, weights = net.family.groups, weights_of(net)
    readers = Readers(groups)
    used = {name: weights[name] for name in readers.names}
    total: Scores = {
        index: torch.zeros(len(g.units), dtype=torch.float64) for index, g in enumerate(groups.groups)
    }
    count = 0
    for batch in examples:
        for example in batch.singles():
            count += 1
            slopes = gradients_of(used, [lambda: loss_of(net, example)])  # noqa: B023
            products = {name: used[name].detach() * slope for name, slope in slopes.items()}
            for index, product in readers.sums(products).items():
                total[index] += product.square()
    return {index: value / max(1, count) for index, value in total.items()}


def norm_scale(net: TracedNet, _examples: Sequence[Labelled]) -> Scores:
    """``|γ|`` of the BatchNorms of a unit (Liu et al., 2017, arXiv:1708.06519), their mean where there are several.

    Units without a BatchNorm have the score of ``magnitude``.
    """
    groups, weights = net.family.groups, weights_of(net)
    scales = {name: weights[name].detach().abs() for name in net.norm_scales()}
    totals = sums_of_units(groups, scales)
    counts = sums_of_units(groups, {name: torch.ones_like(value) for name, value in scales.items()})
    others = magnitude(groups, weights)
    return {
        index: total / counts[index] if bool((counts[index] > 0).all()) else others[index]
        for index, total in totals.items()
    }


SCORES: dict[str, Score] = {
    DEFAULT: lambda net, _: magnitude(net.family.groups, weights_of(net)),
    "norm_scale": norm_scale,
    "fisher": fisher,
    "plain_magnitude": _of_sums(CRITERIA["magnitude"]),
    **{name: _of_sums(score) for name, score in CRITERIA.items() if name != "magnitude"},
    "hesso": _of_sums(hesso_scores),
}
"""Scores by name. ``hesso`` is the sum of its five criteria."""


def importance_of(net: TracedNet, name: str, examples: Sequence[Labelled] = ()) -> Scores:
    """The importance of the units of each group of ``net``.

    Raises:
        ConvertError: a score that does not exist, or one that needs examples without any.
    """
    check_importance(name)
    if name not in WITHOUT_EXAMPLES and not examples:
        without = ", ".join(WITHOUT_EXAMPLES)
        raise ConvertError(f"importance {name!r} needs labelled examples; without any: {without}")
    was_training = net.training
    net.eval()
    try:
        return SCORES[name](net, examples)
    finally:
        net.train(was_training)


def order_by(net: TracedNet, scores: Mapping[int, Tensor]) -> None:
    """Make the units with the highest scores the ones that are kept longest; equal ones in the original's order."""
    for index in net.family.offered:
        if index in scores:
            net.set_unit_order(index, torch.argsort(scores[index], descending=True, stable=True))
