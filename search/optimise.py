"""Search on predictions alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search.algorithm import Algorithm, make_algorithm
from search.errors import ProblemError, SurrogateError
from search.fronts.front import hypervolume, non_dominated, with_new
from search.problem import Problem
from search.seen import Seen
from supernets.spaces.space import Population

MAX_BATCH = 1_000
GENERATIONS = 20
MAX_DROPPED = 0.5  # share of the scored archs, once there are MIN_SCORED
MIN_SCORED = 20
PATIENCE = 2_000  # evaluations without a feasible arch or a violation smaller by MIN_PROGRESS
MIN_PROGRESS = 0.01
MAX_EVALUATIONS = 10_000_000

Progress = Callable[[int, int], None]
Stopped = Literal["budget", "exhausted", "infeasible", "stalled"]


@dataclass(frozen=True, slots=True)
class TracePoint:
    """The hypervolume of the front after a number of evaluations; ``seconds`` since the start of this run."""

    evaluations: int
    seconds: float
    hypervolume: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Stop rule: over the last ``evaluations`` the relative growth of the hypervolume was less than ``gain``.

    A search never stops before twice as many evaluations, or while the hypervolume is 0 (nothing feasible is better
    than the reference point). All points of a trace share one reference point, fixed before the first of them.
    Both :func:`optimise` and search jobs with real evaluations use this rule.
    """

    evaluations: int
    gain: float = 0.001

    def __post_init__(self) -> None:
        if self.evaluations < 1 or not 0 <= self.gain < 1:
            raise ProblemError(
                f"a stop rule needs evaluations >= 1 and 0 <= gain < 1, got {self.evaluations} and {self.gain}",
                "stall",
            )

    def reached(self, trace: Sequence[TracePoint]) -> bool:
        """Whether a search with this trace (one fixed reference point) has stalled."""
        if not trace or trace[-1].evaluations < 2 * self.evaluations or trace[-1].hypervolume <= 0:
            return False
        then = trace[-1].evaluations - self.evaluations
        before = max((point.hypervolume for point in trace if point.evaluations <= then), default=0.0)
        return trace[-1].hypervolume - before < self.gain * trace[-1].hypervolume


@dataclass(frozen=True, slots=True)
class Result:
    """All scored archs in order, and the trace of the search.

    ``scores (n, m)`` are minimised, ``violations (n,)`` are 0 for feasible archs. ``dropped`` is the number of archs
    with predictions that were not finite and that are not included. ``reference (m,)`` is that of ``trace``.
    """

    archs: Population
    scores: NDArray[np.float64]
    violations: NDArray[np.float64]
    dropped: int
    reference: NDArray[np.float64]
    trace: tuple[TracePoint, ...] = field(compare=False)
    stopped: Stopped

    def as_json(self) -> dict[str, object]:
        """The result without the archs, as plain numbers and lists."""
        return {
            "evaluations": len(self.archs) + self.dropped,
            "dropped": self.dropped,
            "feasible": self.feasible,
            "stopped": self.stopped,
            "reference": self.reference.tolist(),
            "history": [asdict(point) for point in self.trace],
        }

    @property
    def feasible(self) -> bool:
        """Whether any arch met all constraints."""
        return bool((self.violations <= 0).any())

    def front(self) -> NDArray[np.int64]:
        """Rows of the feasible non-dominated archs, best first score first; empty if nothing is feasible."""
        rows = np.flatnonzero(self.violations <= 0)
        rows = rows[non_dominated(self.scores[rows])]
        return rows[np.lexsort(self.scores[rows].T[::-1])]

    def nearest(self) -> int | None:
        """Row with the smallest violation, ties broken by score; ``None`` without rows."""
        if len(self.violations) == 0:
            return None
        keys = (*self.scores.T[::-1], self.violations)
        return int(np.lexsort(keys)[0])


def default_algorithm(problem: Problem, evaluations: int) -> str:
    """``exhaustive`` if the budget covers the space, otherwise ``nsga2``."""
    return "exhaustive" if problem.space.size() <= min(evaluations, 50_000) else "nsga2"


class _Ledger:
    """The scored archs of one run, with their current front and hypervolume."""

    def __init__(self, problem: Problem, reference: NDArray[np.float64] | None, margin: bool) -> None:
        self.problem, self.margin = problem, margin
        self.reference = reference
        self.parts: list[tuple[Population, NDArray[np.float64], NDArray[np.float64]]] = []
        self.front = np.zeros((0, problem.n_objectives))
        self.scored = self.dropped = 0
        self.least, self.least_at = np.inf, 0
        self.trace: list[TracePoint] = []
        self.started = time.perf_counter()

    def score(self, archs: Population) -> tuple[Population, NDArray[np.float64], NDArray[np.float64]]:
        """Score a batch, drop rows that are not finite, and update the front and the trace."""
        scores, violation = self.problem.score(archs, self.margin)
        usable = np.isfinite(violation)
        self.scored += len(archs)
        if not usable.all():
            self.dropped += int((~usable).sum())
            if self.scored >= MIN_SCORED and self.dropped > MAX_DROPPED * self.scored:
                raise SurrogateError(
                    f"at most {MAX_DROPPED:.0%} of the predictions may be NaN or infinite, "
                    f"got {self.dropped} of {self.scored}; fit the predictors again"
                )
            archs, scores, violation = archs[usable], scores[usable], violation[usable]
        self.parts.append((archs, scores, violation))
        self._note(scores, violation)
        return archs, scores, violation

    def _note(self, scores: NDArray[np.float64], violation: NDArray[np.float64]) -> None:
        if len(violation) == 0:
            return
        if self.reference is None:
            self.reference = reference_point(scores)
        if violation.min() < self.least * (1 - MIN_PROGRESS):
            self.least, self.least_at = float(violation.min()), self.scored
        self.front = with_new(self.front, scores[violation <= 0])
        seconds = time.perf_counter() - self.started
        self.trace.append(TracePoint(self.scored, seconds, hypervolume(self.front, self.reference)))

    def result(self, stopped: Stopped) -> Result:
        """The result so far."""
        d, m = self.problem.space.d, self.problem.n_objectives
        parts = [(np.zeros((0, d), dtype=np.int64), np.zeros((0, m)), np.zeros(0)), *self.parts]
        archs, scores, violation = (np.concatenate(column) for column in zip(*parts, strict=True))
        reference = np.ones(m) if self.reference is None else self.reference
        return Result(archs, scores, violation, self.dropped, reference, tuple(self.trace), stopped)


def reference_point(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """A hypervolume reference ``(m,)`` from the scores of a start set: the worst of each plus a tenth of the range."""
    worst, best = scores.max(axis=0), scores.min(axis=0)
    span = worst - best
    return np.asarray(worst + 0.1 * np.where(span > 0, span, np.maximum(np.abs(worst), 1.0)))


def checked_budget(evaluations: int) -> int:
    """``evaluations`` if it is an integer from 1 to 10^7; anything else is an error."""
    if isinstance(evaluations, bool) or not isinstance(evaluations, int | np.integer):
        raise ProblemError(f"evaluations must be a whole number, got {evaluations!r}", "budget")
    if not 1 <= evaluations <= MAX_EVALUATIONS:
        raise ProblemError(f"evaluations must lie in [1, {MAX_EVALUATIONS}], got {evaluations}", "budget")
    return int(evaluations)


def checked_reference(problem: Problem, reference: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """``reference (m,)`` if it has a finite number for each objective, or ``None``."""
    if reference is None:
        return None
    reference = np.asarray(reference, dtype=np.float64)
    if reference.shape != (problem.n_objectives,) or not np.isfinite(reference).all():
        raise ProblemError(
            f"the reference must be {problem.n_objectives} finite numbers, got {reference.tolist()}",
            "reference",
        )
    return reference


def optimise(
    problem: Problem,
    algorithm: str | Algorithm | None = None,
    evaluations: int = 10_000,
    seed: int = 0,
    initial: Population | None = None,
    progress: Progress | None = None,
    *,
    margin: bool = True,
    batch: int | None = None,
    reference: NDArray[np.float64] | None = None,
    patience: int = PATIENCE,
    stall: Stall | None = None,
) -> Result:
    """Search on predictions only, scoring each arch at most once and at most ``evaluations`` in all.

    ``algorithm`` is a name in ``ALGORITHMS``, an instance, or ``None`` for :func:`default_algorithm`.
    ``batch`` archs are asked at a time; by default a twentieth of the budget, from 20 to 1,000.
    ``initial (k, d)`` archs are scored first (they count). Constraints are checked at the problem's
    confidence with ``margin``, at expected values without. The hypervolume reference is ``reference (m,)`` or
    computed from the first batch. Stops early if the space is exhausted, if nothing is feasible and the smallest
    violation has not decreased by 1 % for ``patience`` evaluations, or if ``stall`` is reached.
    """
    evaluations = checked_budget(evaluations)
    if batch is not None and batch < 1:
        raise ProblemError(f"batch must be at least 1, got {batch!r}", "batch")
    if not isinstance(algorithm, Algorithm):
        name = algorithm or default_algorithm(problem, evaluations)
        constrained = bool(problem.constraints)
        algorithm = make_algorithm(name, problem.space, problem.n_objectives, seed, constrained=constrained)
    batch = batch or min(MAX_BATCH, max(20, evaluations // GENERATIONS))
    ledger = _Ledger(problem, checked_reference(problem, reference), margin)
    if initial is not None and len(initial):
        known = unique_members(problem, initial)[:evaluations]
        algorithm.tell(*ledger.score(known))
    stopped: Stopped = "budget"
    while ledger.scored < evaluations:
        archs = algorithm.ask(min(batch, evaluations - ledger.scored))
        if len(archs) == 0:
            stopped = "exhausted"
            break
        algorithm.tell(*ledger.score(archs))
        if progress is not None:
            progress(ledger.scored, evaluations)
        if ledger.least > 0 and ledger.scored - ledger.least_at >= patience:
            stopped = "infeasible"
            break
        if stall is not None and stall.reached(ledger.trace):
            stopped = "stalled"
            break
    return ledger.result(stopped)


def unique_members(problem: Problem, population: Population) -> Population:
    """The distinct members of a population; rows outside the space are dropped (measured in another space)."""
    population = np.asarray(population, dtype=np.int64)
    population = population[problem.space.member(population)]
    return population[Seen(problem.space).new(population)]
