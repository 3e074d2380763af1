"""Quality from about twenty evaluations, where other spaces were evaluated: image supernets, cells, transformers.

AIO-P (Mills et al., 2022, arXiv:2211.17228): a network on graphs of layers is pre-trained on the largest source, an
adapter beside it is trained for every further one, and labels of all spaces are brought to one scale. What it expects
of an arch is a prior mean, weighted as in :mod:`predictors.quality.elsewhere`: where it has nothing to do with this
space, a Gaussian process without it remains.

Differences: sizes are relative to those of random archs of their own space; the regressor sees MACs and the number of
layers beside the mean of the nodes; and fine-tuning on the few rows is left to :meth:`GraphModel.fine_tuned`, since a
prior that has seen the rows could not be judged by them. Rates and epochs are for thousands of graphs, not for hundreds
of thousands.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import nn

from predictors.arrays import Array, Arrays
from predictors.predictor import Predictor, Values
from predictors.quality.elsewhere import Prior
from predictors.quality.graph_net import Adapter, Base, answers, seeded, train
from predictors.quality.graphs import Graphs, Usual
from predictors.quality.transfer import Informed
from predictors.scope import Scope
from supernets.families.family import Family
from supernets.metrics import MACS
from supernets.spaces.space import Population

MOST_GRAPHS = 1_000
"""Of a source with more rows as many are drawn."""
BASE_EPOCHS, ADAPTER_EPOCHS, TUNING_EPOCHS = 40, 40, 100
TUNING_RATE = 1e-4
GIGA = 1e9
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class LabelScale:
    """Labels of any space on one scale: divided by ``log10(g + 1) + 1``, then standardised, larger is better.

    ``g`` are multiply-accumulates in units of 1e9. ``mean`` and ``std`` are those of the divided labels of the
    rows it was made of; ``sign`` is 1 where smaller values are better, as in :class:`supernets.metrics.Metric`.
    """

    mean: float
    std: float
    sign: float

    @classmethod
    def of(cls, y: Values, gmacs: Values, sign: float) -> Self:
        """The scale of rows ``(n,)``."""
        divided = y / _size(gmacs)
        return cls(float(divided.mean()), max(float(divided.std()), TINY), sign)

    def __call__(self, y: Values, gmacs: Values) -> Values:
        """Scaled labels ``(n,)``."""
        return np.asarray(-self.sign * (y / _size(gmacs) - self.mean) / self.std)

    def inverse(self, scaled: Values, gmacs: Values) -> Values:
        """Values ``(n,)`` in the unit of the metric."""
        return np.asarray((-self.sign * scaled * self.std + self.mean) * _size(gmacs))


def _size(gmacs: Values) -> Values:
    return np.asarray(np.log10(gmacs + 1) + 1)


@dataclass(frozen=True)
class Source:
    """Evaluated archs of one space: graphs with sizes within it, labels ``(k,)``, and the sign of the metric.

    Labels may be cheap ones, as of short trainings or of a part of the images.
    """

    graphs: Graphs
    y: Values
    sign: float

    @property
    def scaled(self) -> Values:
        """Labels on the common scale ``(k,)``."""
        return LabelScale.of(self.y, self.graphs.gmacs, self.sign)(self.y, self.graphs.gmacs)


@dataclass
class GraphModel:
    """A pre-trained base and the adapters of further spaces; the answers of the adapters are averaged."""

    base: Base
    adapters: list[Adapter] = field(default_factory=list)

    @classmethod
    def trained(cls, sources: Sequence[Source], seed: int) -> Self:
        """The base is trained on the largest source, an adapter on each of the others."""
        first, *others = sorted(sources, key=lambda source: len(source.y), reverse=True)
        model = cls.empty(seed, len(others))
        train(model.base, first.graphs, first.scaled, BASE_EPOCHS, seed)
        for adapter, source in zip(model.adapters, others, strict=True):
            train(adapter, source.graphs, source.scaled, ADAPTER_EPOCHS, seed)
        return model

    @classmethod
    def empty(cls, seed: int, adapters: int) -> Self:
        """With the weights before training."""
        base = seeded(Base, seed)
        made = [seeded(lambda: Adapter(base), seed + 1 + number) for number in range(adapters)]
        return cls(base, made)

    @property
    def nets(self) -> list[nn.Module]:
        """All networks."""
        return [self.base, *self.adapters]

    @property
    def answering(self) -> list[nn.Module]:
        """The adapters, or the base where there is only one source."""
        return [*self.adapters] or [self.base]

    def __call__(self, graphs: Graphs) -> Values:
        """Quality on the common scale ``(k,)``, larger is better."""
        return answers(self.answering, graphs)

    def fine_tuned(self, graphs: Graphs, scaled: Values, seed: int) -> GraphModel:
        """A copy, trained on a few rows of the space that it is asked about."""
        model = copy.deepcopy(self)
        for net in model.answering:
            train(net, graphs, scaled, TUNING_EPOCHS, seed, TUNING_RATE)
        return model

    def weights(self) -> list[Array]:
        """All weights of each network, one vector a network."""
        return [nn.utils.parameters_to_vector(net.parameters()).detach().numpy() for net in self.nets]

    @classmethod
    def of_weights(cls, weights: Sequence[Array]) -> Self:
        """The model that :meth:`weights` describes."""
        model = cls.empty(0, len(weights) - 1)
        for net, vector in zip(model.nets, weights, strict=True):
            nn.utils.vector_to_parameters(
                torch.from_numpy(np.array(vector, dtype=np.float32)), net.parameters()
            )
        return model


class GraphTransfer(Informed):
    """See the module docstring. ``known`` are fitted predictors of quality in any spaces.

    Without any it is a Gaussian process. A prior costs about a minute once; copies by :meth:`fresh` share it.
    """

    name = "graph_transfer"
    on_request = True

    def __init__(
        self,
        family: Family,
        scope: Scope,
        seed: int = 0,
        known: Sequence[Predictor] = (),
        graph_model: GraphModel | None = None,
    ) -> None:
        """``graph_model`` replaces that of ``known``, where it is trained already."""
        super().__init__(family, scope, seed, known)
        self._graph_model = graph_model
        self._labels = LabelScale(0.0, 1.0, scope.definition.sign)

    def fresh(self) -> Self:
        """An unfitted predictor with the same prior."""
        if self.known and self._graph_model is None:
            self._graph_model = self._trained()
        return type(self)(self.family, self.scope, self.seed, self.known, self._graph_model)

    @cached_property
    def _usual(self) -> Usual:
        return Usual.of_space(self.family)

    def _trained(self) -> GraphModel:
        sources = []
        for model in self.known:
            archs, y = model.data
            kept = np.random.default_rng(self.seed).permutation(len(y))[:MOST_GRAPHS]
            graphs = Graphs.of_archs(model.family, archs[kept]).within(Usual.of_space(model.family))
            sources.append(Source(graphs, y[kept], model.scope.definition.sign))
        return GraphModel.trained(sources, self.seed)

    def _priors(self) -> list[Prior]:
        if self._graph_model is None and self.known:
            self._graph_model = self._trained()
        if self._graph_model is None:
            return []
        return [self._expected]

    def _expected(self, archs: Population) -> Values:
        """Quality ``(n,)`` in the unit of the metric."""
        assert self._graph_model is not None
        if len(archs) == 0:
            return np.zeros(0)
        graphs = Graphs.of_archs(self.family, archs).within(self._usual)
        return self._labels.inverse(self._graph_model(graphs), graphs.gmacs)

    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        gmacs = self.family.costs(archs)[MACS] / GIGA
        self._labels = LabelScale.of(y, gmacs, self.scope.definition.sign)
        return super()._learn(archs, y)

    def _state(self) -> dict[str, Array]:
        state = super()._state() | {"labels": np.array([self._labels.mean, self._labels.std])}
        if self._graph_model is not None:
            state |= {f"net{number}": each for number, each in enumerate(self._graph_model.weights())}
        return state

    def _restore(self, state: Arrays) -> None:
        nets = [state.floats(f"net{number}") for number in range(len(state)) if f"net{number}" in state]
        self._graph_model = GraphModel.of_weights(nets) if nets else None
        mean, std = state.numbers("labels")
        self._labels = LabelScale(mean, std, self.scope.definition.sign)
        super()._restore(state)
