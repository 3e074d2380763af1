"""Errors of ``search``; every message states the rule, the value and the choices.

::

    SearchError
    ├── ProblemError             invalid objectives or settings
    │   ├── ConstraintError      limits that are not numbers, out of range or contradictory
    │   └── MissingPredictorError  a metric without a predictor
    ├── AlgorithmError           an unsupported request, or a state that cannot be restored
    └── SurrogateError           predictions of the wrong shape, or too many that are not finite
"""

from __future__ import annotations


class SearchError(Exception):
    """Base class of all errors of this package."""


class ProblemError(SearchError, ValueError):
    """The definition of a search is invalid; ``field`` is the invalid part."""

    def __init__(self, message: str, field: str | None = None) -> None:
        self.field = field
        super().__init__(message)


class ConstraintError(ProblemError):
    """A limit is not a number, out of range, or contradicts another limit."""


class MissingPredictorError(ProblemError):
    """A metric is an objective or has a constraint, but has no predictor."""

    def __init__(self, metric: str, target: str | None, choices: list[str]) -> None:
        self.metric, self.target = metric, target
        where = f" on target {target!r}" if target is not None else ""
        super().__init__(
            f"a search needs a predictor of every metric it uses, got none of {metric!r}{where}: "
            f"fit one first; predicted so far: {', '.join(choices) or 'nothing'}",
            field="objectives",
        )


class AlgorithmError(SearchError, ValueError):
    """An algorithm does not support the request, or a state is of another algorithm."""


class SurrogateError(SearchError, RuntimeError):
    """Predictions cannot be used."""
