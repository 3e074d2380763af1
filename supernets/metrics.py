"""The table of metrics: the one place where a metric is defined and its name is spelled.

A new metric is one line here (and, if it is measured, one in ``predictors.measuring.extras``). Schemas, query
parameters, the client, the command line and ``GET /v1/metrics`` read this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from supernets.errors import UnknownNameError

Direction = Literal["min", "max"]
Source = Literal["measured", "evaluated", "closed_form"]

LATENCY, ENERGY, PEAK_MEMORY = "latency_ms", "energy_mj", "peak_memory_mb"
PARAMS, MACS, ACTIVATION, SIZE = "params", "macs", "activation_mb", "size_mb"
ACCURACY, MEAN_ABSOLUTE_ERROR, PERPLEXITY = "accuracy", "mean_absolute_error", "perplexity"
KNN_ACCURACY, LINEAR_PROBE_ACCURACY = "knn_accuracy", "linear_probe_accuracy"
# A latency below this share of another one is faster by more than noise.
CLEARLY = 0.9


@dataclass(frozen=True, slots=True)
class Metric:
    """A named quantity of a subnet; smaller is better where ``direction`` is ``min``.

    ``source``: ``measured`` on a target, ``evaluated`` on a data split (a quality), or ``closed_form`` (computed from
    the layers alone). Values lie from ``minimum`` to ``maximum`` (None: no bound). 1 MB is 10^6 bytes.
    """

    name: str
    unit: str
    direction: Direction
    source: Source
    description: str
    minimum: float | None = 0.0
    maximum: float | None = None

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def sign(self) -> float:
        """Factor that turns a value into a score to be minimised."""
        return 1.0 if self.direction == "min" else -1.0


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(ACCURACY, "fraction", "max", "evaluated", "Share of examples classified correctly", 0.0, 1.0),
        Metric(
            MEAN_ABSOLUTE_ERROR,
            "standard deviations",
            "min",
            "evaluated",
            "Mean distance of a predicted number from the true one",
        ),
        Metric(
            PERPLEXITY,
            "choices",
            "min",
            "evaluated",
            "Exponential of the mean log loss of a token: among how many equally likely tokens a model still chooses",
            1.0,
        ),
        Metric(
            KNN_ACCURACY,
            "fraction",
            "max",
            "evaluated",
            "Share of examples whose class a vote of the 20 nearest training examples finds, by the cosine of features",
            0.0,
            1.0,
        ),
        Metric(
            LINEAR_PROBE_ACCURACY,
            "fraction",
            "max",
            "evaluated",
            "Share of examples whose class a logistic regression on features of training examples finds",
            0.0,
            1.0,
        ),
        Metric(LATENCY, "ms", "min", "measured", "Uncontended time of one inference"),
        Metric(ENERGY, "mJ", "min", "measured", "Energy of one inference above the idle machine"),
        Metric(PEAK_MEMORY, "MB", "min", "measured", "Peak memory above that of an idle runtime"),
        Metric(PARAMS, "count", "min", "closed_form", "Number of weights and biases"),
        Metric(MACS, "count", "min", "closed_form", "Multiply-accumulate operations of one inference"),
        Metric(ACTIVATION, "MB", "min", "closed_form", "Largest activations alive at one time"),
        Metric(SIZE, "MB", "min", "closed_form", "Size of the weights in float32"),
    )
}


def metric_named(name: str) -> Metric:
    """The metric called ``name``; raises ``UnknownNameError`` with the choices."""
    if name not in METRICS:
        raise UnknownNameError("metric", name, METRICS)
    return METRICS[name]


def names_from(*sources: Source) -> tuple[str, ...]:
    """Names of the metrics from these sources, in the order of the table."""
    return tuple(name for name, metric in METRICS.items() if metric.source in sources)
