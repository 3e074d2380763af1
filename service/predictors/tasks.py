"""What child processes do with predictors: fit them, choose their kind, choose what to measure for them.

Each is a pure function of its payload.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from predictors import PREDICTORS
from predictors.choice import AUTO, choose_kind
from predictors.errors import FitError
from predictors.predictor import Predictor, load
from predictors.report import cross_validate
from service.predictors.cards import report_card
from service.supernets.bench import Bench, open_bench
from supernets.spaces.space import Population

Json = dict[str, Any]
Progress = Callable[..., None]
KNOWN_KIND = "latency_surface"  # what the rows of a known target are fitted with
LOOK_FOLDS = 10
COMPARING_SHARE, FITTED_SHARE = 0.6, 0.7  # of a fit's progress, where kinds are compared; then comes the card


def fit(payload: Json, progress: Progress) -> Json:
    """Fit predictors to rows; returns ``models`` with kind, version (hash), bytes, rows, and if wanted a report.

    A model's ``kind`` may be ``auto``; the report then says what was compared, and why this one.
    """
    bench = open_bench(payload["bench"])
    models: list[Json] = []
    count = len(payload["models"])
    for index, wanted in enumerate(payload["models"]):

        def told(share: float, message: str, index: int = index) -> None:
            progress(int(100 * (index + share)), 100 * count, message)

        models.append(_fit_one(bench, payload["bench"], wanted, payload["report"], told))
        progress(100 * (index + 1), 100 * count, f"fitted {wanted['metric']}")
    return {"models": models}


def _fit_one(
    bench: Bench, described: Json, wanted: Json, report: bool, told: Callable[[float, str], None]
) -> Json:
    archs, values = merge_rows(bench.population(wanted["population"]), np.array(wanted["values"]))
    known = wanted.get("known") or []
    scope = bench.scope(wanted["metric"], wanted["target"])

    def make(kind: str) -> Predictor:
        return unfitted(described, kind, wanted["metric"], wanted["target"], known)

    kind, choice = wanted["kind"], None
    if kind == AUTO:

        def compared(done: int, total: int, message: str) -> None:
            told(COMPARING_SHARE * done / total, message)

        choice = choose_kind(make, scope.definition, archs, values, known=bool(known), told=compared)
        kind = choice.kind
    told(COMPARING_SHARE, f"fitting {kind} to {len(values)} rows")
    model = _imported(bench, wanted) if wanted.get("base") else make(kind)
    if model.imported and len(archs) < model.fewest_rows:
        model.adopt()
    else:
        model.fit(archs, values)
    content = model.dump()
    card = None
    if report:
        ceiling = bench.manifest.report.get("random", {}).get("noise_ceiling") if scope.data else None
        card = report_card(
            model,
            ceiling,
            bench.store,
            lambda share, message: told(FITTED_SHARE + (1 - FITTED_SHARE) * share, message),
        )
        card["known"] = [each["target"] for each in known] if model.uses_known else []
        card["choice"] = choice.as_json() if choice is not None else None
    return {
        "metric": wanted["metric"],
        "target": wanted["target"],
        "kind": kind,
        "version": bench.store.put(content),
        "bytes": len(content),
        "rows": model.rows,
        "report": card,
    }


def _imported(bench: Bench, wanted: Json) -> Predictor:
    """What somebody else learned, before anything that was learned here."""
    scope = bench.scope(wanted["metric"], wanted["target"])
    return load(bench.store.read(wanted["base"]), bench.family, scope).fresh()


def unfitted(described: Json, kind: str, metric: str, target: str | None, known: list[Json]) -> Predictor:
    """A predictor without rows of its own; kinds that learn from known targets are handed those."""
    if known and PREDICTORS.load(kind).uses_known:
        text = json.dumps([described, known], sort_keys=True)
        return _informed(text, kind, metric, target).fresh()
    bench = open_bench(described)
    predictor: Predictor = PREDICTORS.load(kind)(bench.family, bench.scope(metric, target))
    return predictor


@lru_cache(maxsize=4)
def _informed(text: str, kind: str, metric: str, target: str | None) -> Predictor:
    """One that knows other targets: learning from them takes seconds, and rounds of a search ask again."""
    described, known = json.loads(text)
    bench = open_bench(described)
    others = []
    for each in known:
        model = PREDICTORS.load(KNOWN_KIND)(bench.family, bench.scope(metric, each["target"]))
        archs, values = merge_rows(bench.population(each["population"]), np.array(each["values"]))
        if len(archs) >= model.fewest_rows:  # supernets of one space may have measured the same archs
            model.fit(archs, values)
            others.append(model)
    predictor: Predictor = PREDICTORS.load(kind)(bench.family, bench.scope(metric, target), known=others)
    return predictor


def merge_rows(population: Population, values: Any) -> tuple[Population, Any]:
    """One row an arch: the median of its values."""
    if not len(population):
        return population, values
    unique, group = np.unique(population, axis=0, return_inverse=True)
    merged = [np.median(values[group.reshape(-1) == index]) for index in range(len(unique))]
    return unique, np.array(merged, dtype=np.float64)


def look(payload: Json, progress: Progress) -> Json:
    """Error of a model on held-out rows: ``mape`` and its standard error, None with too few rows to tell."""
    bench, wanted = open_bench(payload["bench"]), payload["model"]
    archs, values = merge_rows(bench.population(wanted["population"]), np.array(wanted["values"]))
    model = unfitted(
        payload["bench"], wanted["kind"], wanted["metric"], wanted["target"], wanted.get("known") or []
    )
    found: Json = {"kind": wanted["kind"], "rows": len(archs), "mape": None, "standard_error": None}
    progress(0, 1, f"checking {wanted['kind']} on {len(archs)} rows")
    try:
        errors = np.abs(cross_validate(model.fresh, archs, values, LOOK_FOLDS, model.seed).errors)
    except FitError:
        return {**found, "note": f"{len(archs)} rows are too few to hold any out"}
    error = float(errors.std(ddof=1) / np.sqrt(len(errors)))
    return {**found, "mape": float(errors.mean()), "standard_error": error}


def choose(payload: Json, progress: Progress) -> Json:
    """Which archs to measure on a new target, given what is known of others; returns a ``population``.

    Its order is that of information: any first part of it is what one would measure with fewer.
    """
    from predictors.acquire import informative_sample
    from predictors.latency.transfer import FewShotTransfer

    bench = open_bench(payload["bench"])
    known: list[Json] = payload["known"]
    model = unfitted(payload["bench"], "transfer", payload["metric"], payload["target"], known)
    assert isinstance(model, FewShotTransfer)
    progress(1, 2, f"learned from {len(known)} known targets")
    rng = np.random.default_rng(payload["seed"])
    measured = bench.population(payload["measured"])
    chosen = informative_sample(model, payload["count"], rng, measured=measured)
    return {"population": chosen.tolist()}
