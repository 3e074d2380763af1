"""Errors on rows that a model did not see, from which its interval is calibrated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from predictors.predictor import Values
from supernets.spaces.space import Population

FOLDS = 8


class Trainable(Protocol):
    """What is trained anew for every fold."""

    def _train(self, archs: Population, y: Values) -> object: ...

    def _answer(self, archs: Population) -> tuple[Values, Values]: ...


def held_out_residuals(fresh: Callable[[], Trainable], archs: Population, y: Values, seed: int) -> Values:
    """Residuals ``(n,)`` over predicted standard deviations, each from a model that never saw its row.

    Everything is learned anew in each fold, hyperparameters too: leaving a row out by formula keeps what that
    row taught them, and makes intervals too narrow.
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
