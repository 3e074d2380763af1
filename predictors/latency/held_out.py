"""Errors on held-out rows, used to calibrate the interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from predictors.predictor import Values
from supernets.spaces.space import Population

FOLDS = 8


class Trainable(Protocol):
    """A model that is trained for every fold."""

    def _train(self, archs: Population, y: Values) -> object: ...

    def _answer(self, archs: Population) -> tuple[Values, Values]: ...


def held_out_residuals(fresh: Callable[[], Trainable], archs: Population, y: Values, seed: int) -> Values:
    """Residuals ``(n,)`` over predicted standard deviations, each from a model fitted without its row.

    Each fold refits everything, including hyperparameters. Closed-form leave-one-out would use hyperparameters
    fitted to the left-out row and make intervals too narrow.
    """
    folds = min(FOLDS, len(y))
    fold = np.random.default_rng(seed).permutation(len(y)) % folds
    residuals = np.empty(len(y))
    for f in range(folds):
        held = fold == f
        model = fresh()
        model._train(archs[~held], y[~held])
        mean, std = model._answer(archs[held])
        residuals[held] = (y[held] - mean) / np.maximum(std, 1e-12)
    return residuals
