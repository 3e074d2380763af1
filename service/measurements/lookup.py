"""Latencies on a target that cannot measure: the rows that were brought, and for all others what is predicted."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.supernets.bench import open_bench

Json = dict[str, Any]
BROUGHT, PREDICTED = "brought", "predicted"
# Neither is a new measurement: nothing of it is stored, and no protocol stands behind it.
NOT_MEASURED = (BROUGHT, PREDICTED)


def look_up(payload: Json) -> Json:
    """Timings of a population as the measuring task gives them, from the target's knowledge alone.

    An arch without a row gets the upper limit that its latency stays below with the search's confidence, and the
    verdict ``predicted``; without a predictor it gets none.
    """
    from predictors.predictor import load

    bench, known = open_bench(payload["bench"]), payload["target"]["knowledge"]
    population = bench.population(payload["population"])
    rows: dict[bytes, list[float]] = {}
    for row, value in zip(bench.population(known["population"]), known["values"], strict=True):
        rows.setdefault(row.tobytes(), []).append(value)
    limits: list[float | None] = [None] * len(population)
    if known["predictor"] is not None and len(population):
        model = load(
            bench.store.read(known["predictor"]), bench.family, bench.scope("latency_ms", known["id"])
        )
        limits = model.quantile(population, known["confidence"]).tolist()
    timings = [
        _timing(row.tobytes(), rows.get(row.tobytes()), limit)
        for row, limit in zip(population, limits, strict=True)
    ]
    return {
        "timings": timings,
        "extras": [{} for _ in timings],
        "calibrations": None,
        "precision": known["precision"],
    }


def _timing(key: bytes, values: list[float] | None, limit: float | None) -> Json:
    spread = float(np.std(values, ddof=1) / np.sqrt(len(values))) if values and len(values) > 1 else None
    return {
        "key": key.hex(),
        "latency_ms": float(np.median(values)) if values else limit,
        "standard_error_ms": spread,
        "rounds": len(values or ()),
        "statistic": "as brought" if values else "upper limit of the prediction",
        "protocol_version": None,
        "verdict": BROUGHT if values else PREDICTED,
        "raw_ms": {},
        "raw_n": 0,
        "reference": {},
        "sha256": None,
        "error": None,
    }
