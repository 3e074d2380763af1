"""Task of a child process: which archs a search evaluates next, and the reference point of its hypervolume.

Payloads and results are JSON. A population is a list of rows of choice indices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.predictor import Predictor
from search import ALGORITHMS
from search.algorithm import Algorithm
from search.constraints import violations
from search.errors import SurrogateError
from search.optimise import reference_point
from search.problem import Objective, Problem
from search.run import propose as propose_predicted
from search.seen import start_set
from service.search.plan import Key, load_models, make_problem
from service.supernets.bench import Bench, open_bench
from supernets.spaces.space import Population

Payload = dict[str, Any]
Progress = Callable[..., None]
Values = NDArray[np.float64]
FEW = 3  # archs that are tried for real where no predictor leaves any hope
PROBES = 64
MOST_UNUSABLE = 0.5


class Fitted:
    """An objective as a surrogate search wants it: minimised, by predictors that the job has fitted already.

    They know every row there is, also of archs that were measured and not evaluated, or the other way round.
    Of several targets the one with the worst mean speaks.
    """

    def __init__(self, objective: Objective, models: Mapping[Key, Predictor]) -> None:
        self._sign = objective.definition.sign
        self._models = [models[key] for key in objective.keys]

    def fit(self, archs: Population, y: Values) -> None:
        """Nothing: the job refits predictors after every round."""

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean ``(n,)``, minimised, and standard deviation ``(n,)``."""
        said = [model.predict(archs) for model in self._models]
        means = np.stack([self._sign * mean for mean, _ in said])
        worst = means.argmax(axis=0)
        columns = np.arange(means.shape[1])
        return means[worst, columns], np.stack([std for _, std in said])[worst, columns]

    def quantile(self, archs: Population, p: float) -> Values:
        """The value ``(n,)`` that the minimised score stays below with probability ``p``, of the worst target."""
        at = p if self._sign > 0 else 1 - p
        said = [self._sign * model.quantile(archs, at) for model in self._models]
        return np.asarray(np.max(said, axis=0))


def propose(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Archs to evaluate next, with what the predictors say of them, and whether the limits look hopeless.

    Each plan proposes its share; what a plan without hope leaves goes to one that has some.
    """
    bench, models = _open(payload)
    evaluated = bench.population(payload["evaluated"])
    truth = _truth(payload["values"])
    rows: list[list[int]] = []
    hopeful: list[int] = []
    exhausted = True

    def take(index: int, count: int, seed: int) -> int:
        """How many a plan could have proposed; its choice is put into ``rows``."""
        problem = make_problem(payload["plans"][index], bench.family, models)
        _require_finite(problem, seed)
        known = np.concatenate([evaluated, bench.population(rows)])
        if ALGORITHMS.load(payload["algorithm"]).costly:
            chosen = propose_from_truth(payload["algorithm"], problem, models, known, truth, count, seed)
        else:
            chosen = propose_predicted(problem, known, count, seed, algorithm=payload["algorithm"])
        found = len(chosen)
        if found and bool((_least_excess(problem, models, chosen) > 0).all()):
            chosen = chosen[:FEW]
        else:
            hopeful.append(index)
        rows.extend(chosen.tolist())
        return found

    for index, count in enumerate(payload["counts"]):
        if count:
            exhausted = take(index, count, payload["seed"] + index) < count and exhausted
            progress(index + 1, len(payload["plans"]), "choosing what to evaluate")
    hopeless, left = not hopeful, sum(payload["counts"]) - len(rows)
    if left and hopeful and not exhausted:
        take(hopeful[0], left, payload["seed"] + len(payload["plans"]))
    return {
        "population": rows,
        "hopeless": hopeless,
        "exhausted": exhausted,
        "predicted": _predictions(bench.population(rows), models, payload["predictors"]),
    }


def propose_from_truth(
    name: str,
    problem: Problem,
    models: Mapping[Key, Predictor],
    known: Population,
    truth: Mapping[Key, Values],
    n: int,
    seed: int,
) -> Population:
    """``n`` archs by an algorithm that is told true values and has the job's predictors as its models.

    ``truth`` holds values ``(t,)`` of the first ``t`` rows of ``known``; the others are only not proposed
    again. Half come with the limits checked at the problem's confidence, half at expected values.
    """
    told = len(next(iter(truth.values()), np.zeros(0)))
    archs = known[:told]
    scores = np.stack([objective.score(truth) for objective in problem.objectives], axis=1)
    violation = violations(problem.constraints, truth, told)
    usable = np.isfinite(scores).all(axis=1) & np.isfinite(violation) & problem.space.member(archs)
    parts = [known[:0]]
    for margin, share in ((True, (n + 1) // 2), (False, n // 2)) if problem.constraints else ((True, n),):
        algorithm = _told(name, problem, models, seed + margin, margin)
        algorithm.tell(archs[usable], scores[usable], violation[usable])
        algorithm.seen.add(np.concatenate([known, *parts]))
        if share:
            parts.append(algorithm.ask(share))
    return np.concatenate(parts)


def _told(name: str, problem: Problem, models: Mapping[Key, Predictor], seed: int, margin: bool) -> Algorithm:
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


def reference(payload: Payload, progress: Progress) -> dict[str, Any]:  # noqa: ARG001
    """One reference point a plan, minimised, from what is predicted of archs of all sizes and what is known.

    The limits play no part, so that searches under other limits can be compared.
    """
    bench, models = _open(payload)
    truth = _truth(payload["values"])
    references = []
    for plan in payload["plans"]:
        problem = make_problem({**plan, "constraints": []}, bench.family, models)
        probes = start_set(problem.space, np.random.default_rng(payload["seed"]), PROBES)
        scores = problem.score(np.unique(probes, axis=0))[0]
        known = np.stack([objective.score(truth) for objective in problem.objectives], axis=1)
        scores = np.concatenate([scores, known])
        scores = scores[np.isfinite(scores).all(axis=1)]
        references.append(reference_point(scores).tolist() if len(scores) else None)
    return {"references": references}


def _open(payload: Payload) -> tuple[Bench, dict[Key, Predictor]]:
    bench = open_bench(payload["bench"])
    versions = {(m["metric"], m["target"]): m["version"] for m in payload["predictors"]}
    return bench, load_models(versions, bench.store.read, bench.family, bench.manifest.as_json())


def _truth(values: Sequence[Mapping[str, Any]]) -> dict[Key, Values]:
    """True values by metric and target; JSON has null where nothing is known."""
    return {
        (entry["metric"], entry["target"]): np.array(
            [np.nan if value is None else value for value in entry["values"]], dtype=np.float64
        )
        for entry in values
    }


def _require_finite(problem: Problem, seed: int) -> None:
    """Refuse predictors that have no answer for many archs, naming them."""
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
    """Violation ``(n,)`` if every prediction errs in our favour as far as its interval allows."""
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
    population: Population, models: Mapping[Key, Predictor], predictors: Sequence[dict[str, Any]]
) -> list[list[dict[str, Any]]]:
    """For each arch what each predictor says: mean, and the 5 % and 95 % quantiles."""
    columns = []
    for entry in predictors:
        model = models[entry["metric"], entry["target"]]
        mean, _ = model.predict(population)
        low, high = model.quantile(population, 0.05), model.quantile(population, 0.95)
        head = {name: entry[name] for name in ("metric", "target", "version")} | {"predictor": entry["id"]}
        columns.append(
            [
                head | {"mean": float(m), "low": float(lo), "high": float(hi)}
                for m, lo, hi in zip(mean, low, high, strict=True)
            ]
        )
    return [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in population]
