"""Latencies on a target that cannot measure: its imported rows, and predictions for all other subnets."""

from __future__ import annotations

import numpy as np

from predictors.predictor import load
from service.measurements.models import Measured, StoredLatencies, SubnetTiming
from service.runtime.task import Rows
from service.supernets.bench import Bench, model_scope
from supernets.metrics import LATENCY

IMPORTED, PREDICTED = "imported", "predicted"
# Neither is a new measurement: nothing of it is stored, and it has no protocol.
NOT_MEASURED = (IMPORTED, PREDICTED)


def look_up(bench: Bench, target: str, known: StoredLatencies, rows: Rows) -> Measured:
    """Timings of a population from the rows of a target and its predictor.

    An arch without a row gets the upper limit that its latency stays below with the search's confidence, and the
    verdict ``predicted``; without a predictor it gets no latency.
    """
    population = bench.population(rows)
    values: dict[bytes, list[float]] = {}
    for row, value in zip(bench.population(known.population), known.values, strict=True):
        values.setdefault(row.tobytes(), []).append(value)
    limits: list[float | None] = [None] * len(population)
    if known.predictor is not None and len(population):
        scope = model_scope(bench.manifest.as_json(), LATENCY, target)
        model = load(bench.store.read(known.predictor), bench.family, scope)
        limits = model.quantile(population, known.confidence).tolist()
    timings = [
        _timing(row.tobytes(), values.get(row.tobytes()), limit)
        for row, limit in zip(population, limits, strict=True)
    ]
    return Measured(timings=timings, precision=known.precision)


def _timing(key: bytes, values: list[float] | None, limit: float | None) -> SubnetTiming:
    spread = float(np.std(values, ddof=1) / np.sqrt(len(values))) if values and len(values) > 1 else None
    return SubnetTiming(
        key=key.hex(),
        latency_ms=float(np.median(values)) if values else limit,
        standard_error_ms=spread,
        rounds=len(values or ()),
        statistic="as imported" if values else "upper limit of the prediction",
        verdict=IMPORTED if values else PREDICTED,
        raw_n=0,
    )
