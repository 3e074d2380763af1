"""Errors of ``search``; every message says the rule, what was got, and the choices.

::

    SearchError
    ├── ProblemError             objectives or settings that make no sense
    │   ├── ConstraintError      limits that are no numbers, out of range or contradict each other
    │   └── MissingPredictorError  a metric in play that nobody predicts
    ├── AlgorithmError           an algorithm that cannot do what is asked, or a state it cannot restore
    └── SurrogateError           predictions of the wrong shape, or too many that are not finite
"""

from __future__ import annotations


class SearchError(Exception):
    """Base class of everything raised on purpose in this folder."""


class ProblemError(SearchError, ValueError):
    """A search is described in a way that makes no sense; ``field`` names the part at fault."""

    def __init__(self, message: str, field: str | None = None) -> None:
        self.field = field
        super().__init__(message)


class ConstraintError(ProblemError):
    """A limit is not a number, out of range, or contradicts another."""


class MissingPredictorError(ProblemError):
    """A metric is to be optimised or limited, but nothing predicts it."""

    def __init__(self, metric: str, target: str | None, choices: list[str]) -> None:
        self.metric, self.target = metric, target
        where = f" on target {target!r}" if target is not None else ""
        super().__init__(
            f"a search needs a predictor of every metric it uses, got none of {metric!r}{where}: "
            f"fit one first; predicted so far: {', '.join(choices) or 'nothing'}",
            field="objectives",
        )


class AlgorithmError(SearchError, ValueError):
    """An algorithm cannot do what is asked of it, or a state is not its own."""


class SurrogateError(SearchError, RuntimeError):
    """Predictions cannot be used."""
