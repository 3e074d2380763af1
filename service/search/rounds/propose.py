"""Tasks of a child process: which archs a search evaluates next, and the reference point of its hypervolume."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from predictors.predictor import Predictor
from search import ALGORITHMS
from search.algorithm import Algorithm
from search.constraints import violations
from search.errors import SurrogateError
from search.fronts.exact import Uncertain, largest_gains
from search.images import believed
from search.optimise import reference_point
from search.problem import Objective, Problem
from search.propose import propose as propose_predicted
from search.seen import start_set
from service.runtime.task import Progress, Rows, StepData
from service.search.request.plan import Key, Plan, load_models, make_problem, plan_objectives
from service.search.request.schemas import PredictedValue, PredictorEntry
from service.supernets.bench import Bench, BenchSpec, open_bench
from supernets.spaces.space import Population

Values = NDArray[np.float64]
FEW = 3  # archs that are evaluated although no predictor expects them to meet the limits
PROBES = 64
MOST_UNUSABLE = 0.5


class StoredValues(StepData):
    """True values of a metric of the first evaluated archs; None where one is unknown."""

    metric: str
    target: str | None
    values: list[float | None]


class ReferenceIn(StepData):
    """The plans of a search, its predictors, and everything evaluated so far.

    ``errors`` are standard errors of the quality of each evaluated arch, or empty where all are exact.
    """

    bench: BenchSpec
    plans: list[Plan]
    predictors: list[PredictorEntry]
    evaluated: Rows
    values: list[StoredValues]
    seed: int
    errors: list[float] = Field(default_factory=list)


class ProposeIn(ReferenceIn):
    """How many archs each plan may propose, and by which algorithm."""

    counts: list[int]
    algorithm: str


class Proposed(StepData):
    """Archs to evaluate and what is predicted of each.

    ``hopeless``: by no prediction can any plan meet its limits; ``exhausted``: no plan had more archs to propose.
    """

    population: Rows
    predicted: list[list[PredictedValue]]
    hopeless: bool
    exhausted: bool


class MoreIn(ReferenceIn):
    """How many archs may be evaluated on all images, and the least that each must be expected to add.

    ``references`` are those of the hypervolume of each plan, ``least`` is a share of the hypervolume.
    """

    references: list[list[float] | None]
    most: int
    least: float


class More(StepData):
    """Positions of the evaluated archs whose quality on a part of the images is not enough."""

    rows: list[int]


class References(StepData):
    """One reference point for each plan, minimised; None where there are neither values nor predictions."""

    references: list[list[float] | None]


class Fitted:
    """An objective as a surrogate search needs it: minimised, by predictors that the job has fitted already.

    They were fitted to every row, also of archs that were measured and not evaluated, or the other way round.
    Of several targets the one with the worst mean counts.
    """

    def __init__(self, objective: Objective, models: Mapping[Key, Predictor]) -> None:
        self._sign = objective.definition.sign
        self._models = [models[key] for key in objective.keys]

    def fit(self, archs: Population, y: Values) -> None:
        """Nothing: the job refits predictors after every round."""

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean ``(n,)``, minimised, and standard deviation ``(n,)``."""
        predictions = [model.predict(archs) for model in self._models]
        means = np.stack([self._sign * mean for mean, _ in predictions])
        worst = means.argmax(axis=0)
        columns = np.arange(means.shape[1])
        return means[worst, columns], np.stack([std for _, std in predictions])[worst, columns]

    def quantile(self, archs: Population, p: float) -> Values:
        """The value ``(n,)`` that the minimised score stays below with probability ``p``, of the worst target."""
        at = p if self._sign > 0 else 1 - p
        quantiles = [self._sign * model.quantile(archs, at) for model in self._models]
        return np.asarray(np.max(quantiles, axis=0))


def propose(request: ProposeIn, progress: Progress) -> Proposed:
    """Archs to evaluate next: each plan proposes its share; what a plan without hope leaves goes to one with hope."""
    bench, models = _open(request)
    evaluated = bench.population(request.evaluated)
    truth = _expected(request, bench, models)[0]
    rows: Rows = []
    hopeful: list[int] = []
    exhausted = True

    def take(index: int, count: int, seed: int) -> int:
        """How many a plan could have proposed; its choice is added to ``rows``."""
        problem = make_problem(request.plans[index], bench.family, models)
        _require_finite(problem, seed)
        known = np.concatenate([evaluated, bench.population(rows)])
        if ALGORITHMS.load(request.algorithm).costly:
            chosen = propose_from_truth(request.algorithm, problem, models, known, truth, count, seed)
        else:
            chosen = propose_predicted(problem, known, count, seed, algorithm=request.algorithm)
        found = len(chosen)
        if found and bool((_least_excess(problem, models, chosen) > 0).all()):
            chosen = chosen[:FEW]
        else:
            hopeful.append(index)
        rows.extend(chosen.tolist())
        return found

    for index, count in enumerate(request.counts):
        if count:
            exhausted = take(index, count, request.seed + index) < count and exhausted
            progress(index + 1, len(request.plans), "choosing what to evaluate")
    hopeless, left = not hopeful, sum(request.counts) - len(rows)
    if left and hopeful and not exhausted:
        take(hopeful[0], left, request.seed + len(request.plans))
    predicted = _predictions(bench.population(rows), models, request.predictors)
    return Proposed(population=rows, predicted=predicted, hopeless=hopeless, exhausted=exhausted)


def propose_from_truth(
    name: str,
    problem: Problem,
    models: Mapping[Key, Predictor],
    known: Population,
    truth: Mapping[Key, Values],
    n: int,
    seed: int,
) -> Population:
    """``n`` archs by an algorithm that receives true values and has the job's predictors as its models.

    ``truth`` holds values ``(t,)`` of the first ``t`` rows of ``known``; the others are only not proposed
    again. Half come with the limits checked at the problem's confidence, half at expected values.
    """
    count = len(next(iter(truth.values()), np.zeros(0)))
    archs = known[:count]
    scores = np.stack([objective.score(truth) for objective in problem.objectives], axis=1)
    violation = violations(problem.constraints, truth, count)
    usable = np.isfinite(scores).all(axis=1) & np.isfinite(violation) & problem.space.member(archs)
    parts = [known[:0]]
    for margin, share in ((True, (n + 1) // 2), (False, n // 2)) if problem.constraints else ((True, n),):
        algorithm = _algorithm(name, problem, models, seed + margin, margin)
        algorithm.tell(archs[usable], scores[usable], violation[usable])
        algorithm.seen.add(np.concatenate([known, *parts]))
        if share:
            parts.append(algorithm.ask(share))
    return np.concatenate(parts)


def _algorithm(
    name: str, problem: Problem, models: Mapping[Key, Predictor], seed: int, margin: bool
) -> Algorithm:
    """The algorithm with its models: predictors where there are any, closed forms exactly."""
    columns = {
        column: objective
        for column, objective in enumerate(problem.objectives)
        if any(key not in models for key in objective.keys)
    }

    def exact(objective: Objective) -> Callable[[Population], Values]:
        def score(archs: Population) -> Values:
            assert problem.costs is not None
            return objective.definition.sign * problem.costs(archs)[objective.metric]

        return score

    settings = {
        "models": [
            (lambda objective=objective: Fitted(objective, models)) for objective in problem.objectives
        ],
        "known": {column: exact(objective) for column, objective in columns.items()},
        "violation": (lambda archs: problem.score(archs, margin)[1]) if problem.constraints else None,
        "start": 2,
    }
    algorithm: Algorithm = ALGORITHMS.load(name)(problem.space, problem.n_objectives, seed, **settings)
    return algorithm


def reference(request: ReferenceIn, progress: Progress) -> References:
    """Reference points from predictions of archs of all sizes and existing values.

    The limits play no part, so that searches under other limits can be compared.
    """
    bench, models = _open(request)
    truth = _expected(request, bench, models)[0]
    references = []
    for index, plan in enumerate(request.plans):
        problem = make_problem(plan.model_copy(update={"constraints": []}), bench.family, models)
        probes = start_set(problem.space, np.random.default_rng(request.seed), PROBES)
        scores = problem.score(np.unique(probes, axis=0))[0]
        known = np.stack([objective.score(truth) for objective in problem.objectives], axis=1)
        scores = np.concatenate([scores, known])
        scores = scores[np.isfinite(scores).all(axis=1)]
        references.append(reference_point(scores).tolist() if len(scores) else None)
        progress(index + 1, len(request.plans), "fixing the reference point")
    return References(references=references)


def more(request: MoreIn, progress: Progress) -> More:
    """Archs that were evaluated on a part of the images and are expected to add most to the front of a plan.

    Plans take turns.
    """
    bench, models = _open(request)
    values, errors = _expected(request, bench, models)
    archs = Uncertain(values, (bench.manifest.quality, None), errors)
    found = []
    for index, (plan, reference) in enumerate(zip(request.plans, request.references, strict=True)):
        point = None if reference is None else np.array(reference, dtype=np.float64)
        rows = largest_gains(
            archs, plan_objectives(plan), plan.constraints, point, request.most, request.least
        )
        found.append(rows.tolist())
        progress(index + 1, len(request.plans), "choosing what to evaluate on all images")
    turns = (row for rows in zip_longest(*found) for row in rows if row is not None)
    return More(rows=list(dict.fromkeys(turns))[: request.most])


def _expected(
    request: ReferenceIn, bench: Bench, models: Mapping[Key, Predictor]
) -> tuple[dict[Key, Values], Values]:
    """Values by metric and target, and standard errors ``(n,)`` of quality, as :func:`search.images.believed`."""
    values = _truth(request.values)
    key = (bench.manifest.quality, None)
    errors = np.array(request.errors or [0.0] * len(values[key]))
    if key in models and errors.any():
        archs = bench.population(request.evaluated)[: len(errors)]
        values[key], errors = believed(models[key], archs, values[key], errors)
    return values, errors


def _open(request: ReferenceIn) -> tuple[Bench, dict[Key, Predictor]]:
    bench = open_bench(request.bench)
    versions = {entry.key: entry.version for entry in request.predictors}
    return bench, load_models(versions, bench.store.read, bench.family, bench.manifest)


def _truth(values: Sequence[StoredValues]) -> dict[Key, Values]:
    """True values by metric and target."""
    return {
        (entry.metric, entry.target): np.array(
            [np.nan if value is None else value for value in entry.values], dtype=np.float64
        )
        for entry in values
    }


def _require_finite(problem: Problem, seed: int) -> None:
    """Refuse predictors with many predictions that are not finite, naming them."""
    probes = np.unique(start_set(problem.space, np.random.default_rng(seed), PROBES), axis=0)
    for key, values in problem.predict(probes).items():
        unusable = int((~np.isfinite(values)).sum())
        if unusable > MOST_UNUSABLE * len(probes):
            metric, target = key
            raise SurrogateError(
                f"at most {MOST_UNUSABLE:.0%} of the predictions may be NaN or infinite, got {unusable} of "
                f"{len(probes)} of {metric}{f' on {target}' if target else ''}; fit that predictor again"
            )


def _least_excess(problem: Problem, models: Mapping[Key, Predictor], population: Population) -> Values:
    """Violation ``(n,)`` where every prediction is off in favour of the limit by as much as its interval allows."""
    exact = problem.costs(population) if problem.costs is not None else {}
    total = np.zeros(len(population))
    for limit in problem.constraints:
        model = models.get(limit.key)
        if model is None:
            total += limit.excess(exact[limit.metric])
        else:
            low, high = (model.quantile(population, p) for p in (1 - problem.confidence, problem.confidence))
            total += limit.excess(low, high)
    return total


def _predictions(
    population: Population, models: Mapping[Key, Predictor], predictors: Sequence[PredictorEntry]
) -> list[list[PredictedValue]]:
    """For each arch what each predictor predicts: mean, and the 5 % and 95 % quantiles."""
    columns = []
    for entry in predictors:
        model = models[entry.key]
        mean, _ = model.predict(population)
        low, high = model.quantile(population, 0.05), model.quantile(population, 0.95)
        columns.append(
            [
                PredictedValue(
                    metric=entry.metric,
                    target=entry.target,
                    mean=float(m),
                    low=float(lo),
                    high=float(hi),
                    predictor=entry.id,
                    version=entry.version,
                )
                for m, lo, hi in zip(mean, low, high, strict=True)
            ]
        )
    return [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in population]
