"""Select the archs to evaluate next."""

from __future__ import annotations

import numpy as np

from search.errors import ProblemError
from search.fronts.front import ranks
from search.fronts.pick import spread
from search.optimise import Result, optimise, unique_members
from search.problem import Problem
from search.seen import Seen, fresh
from supernets.spaces.space import Population

PROPOSE_EVALUATIONS = 4_000


def propose(
    problem: Problem,
    evaluated: Population,
    n: int,
    seed: int,
    *,
    evaluations: int = PROPOSE_EVALUATIONS,
    algorithm: str | None = None,
) -> Population:
    """``n`` new finalists ``(k, d)``, none of them in ``evaluated (e, d)``; ``k < n`` only if the space is exhausted.

    Half come from the front predicted with the confidence margin, half from the one predicted without it.
    In both, the archs closest below each limit come first and the others are spread over the front. If no arch
    is predicted to be feasible, those with the smallest violation are proposed.
    """
    if isinstance(n, bool) or n < 1:
        raise ProblemError(f"n must be at least 1, got {n!r}", "n")
    evaluated = unique_members(problem, np.asarray(evaluated, dtype=np.int64).reshape(-1, problem.space.d))
    seen = Seen(problem.space)
    seen.add(evaluated)
    streams = np.random.SeedSequence(seed).generate_state(3)
    chosen: list[Population] = []
    for margin, share, stream in ((True, (n + 1) // 2, streams[0]), (False, n, streams[1])):
        requested = min(share, n - sum(map(len, chosen)))
        if requested > 0:
            found = optimise(
                problem,
                algorithm,
                max(evaluations, len(evaluated) + n),
                int(stream),
                evaluated,
                margin=margin,
            )
            rows = finalists(problem, found, seen, requested, margin)
            seen.add(rows)
            chosen.append(rows)
    short = n - sum(map(len, chosen))
    chosen.append(fresh(problem.space, np.random.default_rng(streams[2]), seen, short))
    return np.concatenate(chosen)


def finalists(problem: Problem, found: Result, seen: Seen, n: int, margin: bool) -> Population:
    """Up to ``n`` archs of ``found`` that are not in ``seen``: feasible fronts in turn, then by violation."""
    new = seen.new(found.archs)
    feasible = np.flatnonzero(found.violations <= 0)
    # Ranked together with the evaluated archs: predicted-dominated archs come later.
    rank = ranks(found.scores[feasible])
    picked: list[int] = []
    for front in range(int(rank.max(initial=-1)) + 1):
        if len(picked) >= n:
            break
        rows = feasible[rank == front]
        rows = rows[new[rows]]
        first = [] if picked else _closest(problem, found.archs[rows], margin)
        order = spread(found.scores[rows], min(n - len(picked), len(rows)), first)
        picked += rows[order].tolist()
    others = np.flatnonzero(new & (found.violations > 0))
    others = others[np.argsort(found.violations[others], kind="stable")][: n - len(picked)]
    return found.archs[np.array([*picked, *others.tolist()], dtype=np.int64)]


def _closest(problem: Problem, archs: Population, margin: bool) -> list[int]:
    """For each limit, the row of ``archs`` closest below it."""
    if len(archs) == 0:
        return []
    slack = problem.slack(archs, margin)
    return list(dict.fromkeys(int(row) for row in slack.argmin(axis=0)))
