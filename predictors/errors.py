"""Errors of ``predictors``; every message states the rule, what was got, and the choices.

::

    PredictorError
    ├── MeasureError          a measuring run that cannot start or go on
    │   ├── MeasuringDiedError    the measuring process ended without an answer
    │   └── ProtocolError     protocol or target settings outside their range
    ├── RowError              a measurement row that cannot be true, or is in another unit
    ├── TableError            an imported file that cannot be read, or lacks a column
    ├── FitError              too few rows, wrong shapes, values that are not finite
    ├── NotFittedError        a prediction asked for before any fit
    ├── ScopeError            a predictor used for another supernet, space, target, metric or data
    └── PredictorFileError    a saved predictor that is truncated, foreign or of another version
"""

from __future__ import annotations


class PredictorError(Exception):
    """Base class of everything raised on purpose in this folder."""


class MeasureError(PredictorError, RuntimeError):
    """A measuring run cannot start or go on."""


class MeasuringDiedError(MeasureError):
    """The measuring process ended without an answer."""


class ProtocolError(MeasureError, ValueError):
    """Protocol or target settings lie outside their range."""


class RowError(PredictorError, ValueError):
    """A measurement row cannot be true."""

    def __init__(self, row: int, field: str, got: object, allowed: str) -> None:
        self.row, self.field, self.got, self.allowed = row, field, got, allowed
        super().__init__(f"row {row}: {field} must be {allowed}, got {got!r}")


class TableError(PredictorError, ValueError):
    """A file of measurements cannot be read, is over a bound, or lacks what was named."""


class FitError(PredictorError, ValueError):
    """A predictor cannot be fitted to these rows."""


class NotFittedError(PredictorError, RuntimeError):
    """A prediction was asked for before any fit."""


class ScopeError(PredictorError, ValueError):
    """A predictor does not belong to what it is asked about."""


class PredictorFileError(PredictorError, ValueError):
    """A saved predictor cannot be read."""
