"""What a predictor must offer, and what all of them share: checks, intervals, files, report cards."""

from __future__ import annotations

import hashlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from predictors import PREDICTORS
from predictors.arrays import Array, Arrays, read_arrays, stored
from predictors.dataset import Dataset
from predictors.errors import FitError, NotFittedError, PredictorError, PredictorFileError, ScopeError
from predictors.report import Report, cross_validate
from predictors.scope import Scope
from predictors.threads import one_thread
from supernets.errors import UnknownNameError
from supernets.families.family import Family
from supernets.spaces.space import Population

FORMAT = 1
FEWEST_DOF = 3.0

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a saved predictor is and what it belongs to, as JSON in its file."""

    predictor: str
    family: str
    scope: Scope
    seed: int
    format: int = FORMAT

    def content(self) -> bytes:
        """What :meth:`read` reads back."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def read(cls, content: bytes) -> Header:
        """The header of a file; raises :class:`PredictorFileError` for another format."""
        values = json.loads(content)
        if values.get("format") != FORMAT:
            raise PredictorFileError(
                f"a saved predictor must have format {FORMAT}, got {values.get('format')}"
            )
        return cls(**{**values, "scope": Scope(**values.get("scope", {}))})


class Predictor(ABC):
    """A model of one metric, fitted to measurements; implements ``search.problem.Surrogate``.

    Populations are canonical ``(n, d)`` matrices of ``family.space()``; values are in the metric's unit.

    Promises: it belongs to one :class:`Scope` and refuses others (:meth:`require`, :meth:`fit_rows`,
    :meth:`load`); ``std >= 0``; :meth:`quantile` never falls as ``p`` rises; predicting changes nothing;
    the same rows give the same predictions; what :meth:`save` writes predicts bit for bit the same
    after :meth:`load`; no prediction before a fit.

    A subclass gives ``_learn`` (which returns standardised leave-one-out residuals, from which the
    interval is calibrated here), ``_answer``, ``_state`` and ``_restore``.
    """

    name: ClassVar[str]
    fewest_rows: ClassVar[int]
    most_rows: ClassVar[int | None] = None
    """Of more rows a random part is used for the fit: kinds whose fit costs n^3 would take hours and all memory."""
    suits: ClassVar[tuple[str, ...]] = ("measured",)
    """Sources of the metrics it can predict: ``measured`` on a target, ``evaluated`` on a split."""
    uses_errors: ClassVar[bool] = False
    """Whether a fit takes the standard errors of rows into account; other kinds ignore them."""
    uses_sources: ClassVar[bool] = False
    """Whether its constructor takes ``known``, predictors of other targets."""
    imported: ClassVar[bool] = False
    """Whether it is made from a file that was fitted elsewhere, and cannot be made without."""
    on_request: ClassVar[bool] = False
    """Whether it is fitted only where it is named, and left out of comparisons: fitting it takes much longer."""

    def __init__(self, family: Family, scope: Scope, seed: int = 0) -> None:
        if scope.space_sha256 != family.space().sha256:
            raise ScopeError(
                f"space must be the family's, {family.space().sha256!r}, got {scope.space_sha256!r}"
            )
        self.family = family
        self.space = family.space()
        self.scope = scope
        self.seed = seed
        self._archs: Population | None = None
        self._y: Values = np.empty(0)
        self._errors: Values | None = None
        self._scale = 1.0
        self._dof = FEWEST_DOF

    @abstractmethod
    def _learn(self, archs: Population, y: Values) -> tuple[Values, float]:
        """Fit; return leave-one-out residuals ``(n,)`` in predictive standard deviations, and the number of
        parameters that the data determined."""

    @abstractmethod
    def _answer(self, archs: Population) -> tuple[Values, Values]:
        """Mean and standard deviation ``(n,)`` before calibration."""

    @abstractmethod
    def _state(self) -> Mapping[str, Array]:
        """Arrays that :meth:`_restore` reads back."""

    @abstractmethod
    def _restore(self, state: Arrays) -> None:
        """Become what :meth:`_state` described."""

    # --- Surrogate -----------------------------------------------------------------------------------

    def fit(self, archs: Population, y: Values, errors: Values | None = None) -> None:
        """Learn from archs ``(n, d)`` and their true values ``(n,)``, replacing what was learnt before.

        ``errors (n,)`` are standard errors of the values, in the metric's unit, beyond the noise that all rows have:
        0 for a value on all examples, more for one on a part of them. Kinds without ``uses_errors`` ignore them. Of
        more than ``most_rows`` rows as many are drawn, by the predictor's seed.

        Raises:
            FitError: fewer than ``fewest_rows`` rows, wrong shapes, values or errors that are not finite or
                impossible for the metric, archs outside the space.
        """
        archs, y = np.array(archs, dtype=np.int64), np.array(y, dtype=np.float64)
        self._check_rows(archs, y)
        errors = _checked_errors(errors, len(y)) if self.uses_errors else None
        if self.most_rows is not None and len(y) > self.most_rows:
            kept = np.sort(np.random.default_rng(self.seed).permutation(len(y))[: self.most_rows])
            archs, y = archs[kept], y[kept]
            errors = None if errors is None else errors[kept]
        self._errors = errors
        with one_thread():
            residuals, parameters = self._learn(archs, y)
        self._dof = max(FEWEST_DOF, len(y) - parameters)
        self._scale = _interval_scale(residuals, self._dof)
        self._archs, self._y = archs, y

    def adopt(self) -> None:
        """Answer without a row of one's own, as what was imported does; kinds that import nothing refuse."""
        raise FitError(f"{self.name} must be fitted to rows, there is nothing else that it could answer from")

    def fit_rows(self, rows: Dataset) -> None:
        """Learn from measurement rows, all of this predictor's scope (else :class:`ScopeError`)."""
        for row in rows:
            self.scope.require(row.scope)
        self.fit(rows.population, rows.values)

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean ``(n,)`` and standard deviation ``(n,)``."""
        mean, std = self._checked(archs)
        return mean, std * self._scale * np.sqrt(self._dof / (self._dof - 2))

    def quantile(self, archs: Population, p: float) -> Values:
        """The value ``(n,)`` that the truth stays below with probability ``p``, ``0 < p < 1``."""
        if not 0 < p < 1:
            raise ValueError(f"p must lie strictly between 0 and 1, got {p}")
        mean, std = self._checked(archs)
        value = mean + std * (self._scale * float(stdtrit(self._dof, p)))
        return np.clip(value, *self._bounds())

    def _checked(self, archs: Population) -> tuple[Values, Values]:
        if self._archs is None:
            raise NotFittedError(f"{self.name} must be fitted before it predicts, got no rows yet")
        if archs.ndim != 2 or archs.shape[1] != self.space.d:
            raise ScopeError(f"archs must have shape (n, {self.space.d}), got {archs.shape}")
        with one_thread():
            mean, std = self._answer(archs)
        return np.clip(mean, *self._bounds()), std

    def _bounds(self) -> tuple[float, float]:
        """What the metric cannot leave: fractions lie in [0, 1], costs above half the least ever seen."""
        definition = self.scope.definition
        if definition.unit == "fraction":
            return 0.0, 1.0
        return (float(self._y.min()) / 2, np.inf) if definition.direction == "min" else (-np.inf, np.inf)

    def _check_rows(self, archs: Population, y: Values) -> None:
        if archs.ndim != 2 or archs.shape[1] != self.space.d or y.shape != (len(archs),):
            raise FitError(f"archs must be (n, {self.space.d}) and y (n,), got {archs.shape} and {y.shape}")
        if len(y) < self.fewest_rows:
            raise FitError(f"{self.name} needs at least {self.fewest_rows} rows, got {len(y)}")
        if not np.isfinite(y).all():
            raise FitError(f"values must be finite, got {y[~np.isfinite(y)][:3].tolist()}")
        self._check_values(y)
        inside = np.asarray(((archs >= 0) & (archs < self.space.cardinalities)).all(axis=1))
        inside[inside] = self.space.member(archs[inside])
        if not inside.all():
            raise FitError(
                f"archs must be canonical members of the space, row {int(np.argmin(inside))} is not"
            )

    def _check_values(self, y: Values) -> None:
        """Refuse what the metric cannot be: fractions outside [0, 1], measurements that are not above 0."""
        definition = self.scope.definition
        if definition.source == "measured" and (y <= 0).any():
            raise FitError(f"{definition.name} must be above 0, got {float(y.min())}")
        if definition.unit == "fraction" and ((y < 0) | (y > 1)).any():
            worst = float(y[int(np.argmax(np.abs(y - 0.5)))])
            raise FitError(f"{definition.name} must be a fraction from 0 to 1, got {worst}")

    # --- what it belongs to, how good it is ------------------------------------------------------------

    def require(self, scope: Scope) -> None:
        """Raise :class:`ScopeError`, naming both sides, unless this predictor belongs to ``scope``."""
        self.scope.require(scope)

    @property
    def rows(self) -> int:
        """How many rows it was fitted to, 0 before any fit."""
        return 0 if self._archs is None else len(self._archs)

    @property
    def data(self) -> tuple[Population, Values]:
        """The archs ``(n, d)`` and values ``(n,)`` it was fitted to."""
        if self._archs is None:
            raise NotFittedError(f"{self.name} must be fitted before it has data, got no rows yet")
        return self._archs, self._y

    def fresh(self) -> Self:
        """An unfitted predictor like this one."""
        return type(self)(self.family, self.scope, self.seed)

    def report(self, noise_ceiling: float | None = None, folds: int = 10) -> Report:
        """Report card on held-out rows of its own data; see :func:`~predictors.report.cross_validate`."""
        if self._archs is None:
            raise NotFittedError(f"{self.name} must be fitted before it reports, got no rows yet")
        return cross_validate(
            self.fresh, self._archs, self._y, folds, self.seed, noise_ceiling, errors=self._errors
        )

    # --- files -------------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """The fitted predictor as an npz file; equal predictors give equal bytes."""
        if self._archs is None:
            raise NotFittedError(f"{self.name} must be fitted before it is saved, got no rows yet")
        header = Header(predictor=self.name, family=self.family.name, scope=self.scope, seed=self.seed)
        buffer = io.BytesIO()
        arrays: dict[str, Array] = {f"state.{key}": value for key, value in self._state().items()}
        arrays["interval"] = np.array([self._scale, self._dof])
        arrays |= {"header": stored(header.content()), "archs": self._archs, "y": self._y}
        if self._errors is not None:
            arrays["errors"] = self._errors
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes keywords for allow_pickle
        return buffer.getvalue()

    def save(self, path: Path) -> str:
        """Write :meth:`dump` to ``path``; returns its SHA-256."""
        data = self.dump()
        path.write_bytes(data)
        return hashlib.sha256(data).hexdigest()


def load(source: Path | bytes, family: Family, scope: Scope | None = None) -> Predictor:
    """The predictor that :meth:`Predictor.save` wrote, of any registered kind.

    Raises:
        PredictorFileError: the file is truncated, foreign or of another version.
        ScopeError: it belongs to another space than ``family``'s, or to another scope than ``scope``.
    """
    arrays = read_arrays(source if isinstance(source, bytes) else Path(source).read_bytes())
    try:
        header = Header.read(arrays.content("header"))
        predictor: Predictor = PREDICTORS.load(header.predictor)(family, header.scope, header.seed)
        if scope is not None:
            predictor.require(scope)
        predictor._archs, predictor._y = arrays.integers("archs"), arrays.floats("y")
        predictor._errors = arrays.floats("errors") if "errors" in arrays else None
        predictor._scale, predictor._dof = arrays.numbers("interval")
        predictor._restore(arrays.below("state."))
    except PredictorError:
        raise
    except (AttributeError, TypeError, ValueError, UnknownNameError) as error:
        raise PredictorFileError(f"a saved predictor must hold header, rows and state: {error!r}") from error
    return predictor


def _checked_errors(errors: Values | None, n: int) -> Values | None:
    """Standard errors ``(n,)`` if they can be true; ``None`` where no row has one."""
    if errors is None:
        return None
    errors = np.array(errors, dtype=np.float64)
    if errors.shape != (n,) or not (np.isfinite(errors) & (errors >= 0)).all():
        bad = errors.ravel()[~(np.isfinite(errors.ravel()) & (errors.ravel() >= 0))][:3].tolist()
        raise FitError(f"standard errors must be {n} finite numbers from 0, got shape {errors.shape}, {bad}")
    return errors if errors.any() else None


def _interval_scale(residuals: Values, dof: float) -> float:
    """Factor that makes Student's interval hold on leave-one-out ``residuals (n,)``.

    The 90 % quantile of their size with the finite-sample correction of split conformal prediction
    (the ``ceil(0.9 (n + 1))``-th smallest, the largest where n is too small), over Student's.
    """
    sizes = np.sort(np.abs(residuals))
    rank = min(int(np.ceil(0.9 * (len(sizes) + 1))), len(sizes))
    return float(sizes[rank - 1] / stdtrit(dof, 0.95))
