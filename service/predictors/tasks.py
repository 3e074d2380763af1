"""Tasks of a child process: fit predictors, choose their kind, choose what to measure for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from predictors import PREDICTORS
from predictors.choice import AUTO, choose_kind
from predictors.errors import FitError
from predictors.predictor import Predictor, load
from predictors.quality.transfer import QualityTransfer
from predictors.report import cross_validate
from service.predictors.cards import report_card
from service.predictors.queries import SourceRows
from service.runtime.task import Progress, Rows, StepData
from service.supernets.bench import Bench, BenchSpec, model_scope, open_bench
from supernets.metrics import METRICS
from supernets.spaces.space import Population
from supernets.words import counted

# What rows from elsewhere are fitted with.
KNOWN_KINDS = {"measured": "latency_surface", "evaluated": "gaussian_process"}
LOOK_FOLDS = 10
COMPARING_SHARE, FITTED_SHARE = 0.6, 0.7  # of a fit's progress, where kinds are compared; then comes the card
KNOWN = TypeAdapter(list[SourceRows])
OnShare = Callable[[float, str], None]


class ModelSpec(StepData):
    """A model to fit to rows; ``kind`` may be ``auto``, ``base`` is the hash of an imported model to start from.

    ``errors`` are standard errors of the values, or empty where no row has one.
    """

    metric: str
    target: str | None
    kind: str
    population: Rows
    values: list[float]
    known: list[SourceRows]
    base: str | None = None
    errors: list[float] = Field(default_factory=list)


class FitIn(StepData):
    """Models to fit, with or without a report card."""

    bench: BenchSpec
    models: list[ModelSpec]
    report: bool


class PriorUse(StepData):
    """Evaluations by another supernet that were a prior of quality, and the weight that they had."""

    supernet: str
    rows: int
    weight: float


class FittedModel(StepData):
    """A fitted model in the artifact store; ``version`` is its hash."""

    metric: str
    target: str | None
    kind: str
    version: str
    bytes: int
    rows: int
    report: dict[str, Any] | None
    priors: list[PriorUse] = Field(default_factory=list)


class FitOut(StepData):
    """Fitted models, in the order of the specs."""

    models: list[FittedModel]


class LookIn(StepData):
    """A model whose error is requested."""

    bench: BenchSpec
    model: ModelSpec


class HeldOutError(StepData):
    """Mean relative error on held-out rows and its standard error; None with the reason in ``note``."""

    kind: str
    rows: int
    mape: float | None = None
    standard_error: float | None = None
    note: str | None = None

    def is_below(self, limit: float) -> bool:
        """Whether the error plus its standard error is below a limit."""
        return (
            self.mape is not None
            and self.standard_error is not None
            and self.mape + self.standard_error < limit
        )


class ChooseIn(StepData):
    """How many subnets to choose for a target, given the rows of others and what is ``measured``."""

    bench: BenchSpec
    metric: str
    target: str
    count: int
    seed: int
    known: list[SourceRows]
    measured: Rows


class Chosen(StepData):
    """Subnets in an order whose every first part is a good choice."""

    population: Rows


def fit(request: FitIn, progress: Progress) -> FitOut:
    """Fit predictors to rows; where ``kind`` is ``auto`` the report holds what was compared, and why this one."""
    bench, count = open_bench(request.bench), len(request.models)
    models: list[FittedModel] = []
    for index, spec in enumerate(request.models):

        def on_share(share: float, message: str, index: int = index) -> None:
            progress(int(100 * (index + share)), 100 * count, message)

        models.append(_fit_one(bench, request, spec, on_share))
        progress(100 * (index + 1), 100 * count, f"fitted {spec.metric}")
    return FitOut(models=models)


def _fit_one(bench: Bench, request: FitIn, spec: ModelSpec, on_share: OnShare) -> FittedModel:
    archs, values = merge_rows(bench.population(spec.population), np.array(spec.values))
    errors = merge_rows(bench.population(spec.population), np.array(spec.errors))[1] if spec.errors else None
    scope = model_scope(bench.manifest, spec.metric, spec.target)

    def make(kind: str) -> Predictor:
        return unfitted(request.bench, kind, spec.metric, spec.target, spec.known)

    kind, choice = spec.kind, None
    if kind == AUTO:

        def compared(done: int, total: int, message: str) -> None:
            on_share(COMPARING_SHARE * done / total, message)

        choice = choose_kind(
            make, scope.definition, archs, values, known=bool(spec.known), on_progress=compared
        )
        kind = choice.kind
    on_share(COMPARING_SHARE, f"fitting {kind} to {counted(len(values), 'row')}")
    imported = None if spec.base is None else load(bench.store.read(spec.base), bench.family, scope).fresh()
    model = imported if imported is not None else make(kind)
    if model.imported and len(archs) < model.fewest_rows:
        model.adopt()
    else:
        model.fit(archs, values, errors)
    content = model.dump()
    card = None
    if request.report:
        ceiling = bench.manifest.report.get("random", {}).get("noise_ceiling") if scope.data else None

        def on_card(share: float, message: str) -> None:
            on_share(FITTED_SHARE + (1 - FITTED_SHARE) * share, message)

        card = report_card(model, ceiling, bench.store, on_card)
        card["known"] = [each.target for each in spec.known] if model.uses_sources else []
        card["prior"] = [each.model_dump() for each in _priors(model, spec.known)]
        card["choice"] = choice.as_json() if choice is not None else None
    return FittedModel(
        metric=spec.metric,
        target=spec.target,
        kind=kind,
        version=bench.store.put(content),
        bytes=len(content),
        rows=model.rows,
        report=card,
        priors=_priors(model, spec.known),
    )


def _priors(model: Predictor, known: Sequence[SourceRows]) -> list[PriorUse]:
    """Supernets whose evaluations are a prior of this one's quality, with the weight that each has now."""
    if not isinstance(model, QualityTransfer):
        return []
    return [
        PriorUse(supernet=each.target, rows=len(each.values), weight=weight)
        for each, weight in zip(known, model.weights, strict=True)
    ]


def unfitted(
    bench: BenchSpec, kind: str, metric: str, target: str | None, known: Sequence[SourceRows]
) -> Predictor:
    """A predictor without rows of its own; kinds that transfer from other targets receive those."""
    if known and PREDICTORS.load(kind).uses_sources:
        text = KNOWN.dump_json(list(known)).decode()
        return _informed(bench.model_dump_json(), text, kind, metric, target).fresh()
    return _make(open_bench(bench), kind, metric, target)


def _make(bench: Bench, kind: str, metric: str, target: str | None, **settings: object) -> Predictor:
    scope = model_scope(bench.manifest, metric, target)
    predictor: Predictor = PREDICTORS.load(kind)(bench.family, scope, **settings)
    return predictor


@lru_cache(maxsize=4)
def _informed(bench_json: str, known_json: str, kind: str, metric: str, target: str | None) -> Predictor:
    """One fitted with other targets; cached, as that takes seconds and each round of a search needs it."""
    bench = open_bench(BenchSpec.model_validate_json(bench_json))
    others = []
    for each in KNOWN.validate_json(known_json):
        source = METRICS[metric].source
        model = _make(bench, KNOWN_KINDS[source], metric, each.target if source == "measured" else None)
        archs, values = merge_rows(bench.population(each.population), np.array(each.values))
        if len(archs) >= model.fewest_rows:  # supernets of one space may have measured the same archs
            model.fit(archs, values)
            others.append(model)
    return _make(bench, kind, metric, target, known=others)


def merge_rows(population: Population, values: NDArray[np.float64]) -> tuple[Population, NDArray[np.float64]]:
    """One row for each arch: the median of its values."""
    if not len(population):
        return population, values
    unique, group = np.unique(population, axis=0, return_inverse=True)
    merged = [np.median(values[group.reshape(-1) == index]) for index in range(len(unique))]
    return unique, np.array(merged, dtype=np.float64)


def look(request: LookIn, progress: Progress) -> HeldOutError:
    """Error of a model by cross-validation."""
    bench, spec = open_bench(request.bench), request.model
    archs, values = merge_rows(bench.population(spec.population), np.array(spec.values))
    model = unfitted(request.bench, spec.kind, spec.metric, spec.target, spec.known)
    progress(0, 1, f"checking {spec.kind} on {counted(len(archs), 'row')}")
    try:
        errors = np.abs(cross_validate(model.fresh, archs, values, LOOK_FOLDS, model.seed).errors)
    except FitError:
        note = f"{len(archs)} rows are too few to hold any out"
        return HeldOutError(kind=spec.kind, rows=len(archs), note=note)
    error = float(errors.std(ddof=1) / np.sqrt(len(errors)))
    return HeldOutError(kind=spec.kind, rows=len(archs), mape=float(errors.mean()), standard_error=error)


def choose(request: ChooseIn, progress: Progress) -> Chosen:
    """Which archs to measure on a new target, most informative first, with the rows of other targets."""
    from predictors.acquire import informative_sample
    from predictors.latency.transfer import FewShotTransfer

    bench = open_bench(request.bench)
    model = unfitted(request.bench, "transfer", request.metric, request.target, request.known)
    assert isinstance(model, FewShotTransfer)
    progress(1, 2, f"fitted with {len(request.known)} source devices")
    rng = np.random.default_rng(request.seed)
    chosen = informative_sample(model, request.count, rng, measured=bench.population(request.measured))
    return Chosen(population=chosen.tolist())
