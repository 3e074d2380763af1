"""LINAS as published (Cummings et al. 2022, arXiv:2202.12954), on a table.

A random population of 50 is evaluated; one predictor an objective is fitted to all evaluations so far:
the better, by cross-validated MAPE, of ridge regression and an RBF support vector machine, each grid
searched; NSGA-II runs 5,000 evaluations on the predictions; its final population is evaluated next.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVR

from benchmarks.cells import CellTable
from benchmarks.pymoo_baseline import nsga2_over_predictions

POPULATION, INNER = 50, 5_000
RIDGE = {"alpha": [0.1, 0.3, 1.0, 3.0, 10.0]}
SVM = {"C": [1.0, 3.0, 10.0, 30.0, 100.0]}
ERROR = "neg_mean_absolute_percentage_error"


def _predictions(
    features: NDArray[np.float64], rows: NDArray[np.int64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Predicted values of every row; labels are scaled by a power of ten, as in the original."""
    scale = 10.0 ** np.floor(np.log10(max(float(np.abs(y).max()), 1e-12)))
    searches = [
        GridSearchCV(Ridge(), RIDGE, scoring=ERROR, cv=5),
        GridSearchCV(SVR(), SVM, scoring=ERROR, cv=5),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = [search.fit(features[rows], y / scale) for search in searches]
    best = max(fitted, key=lambda search: search.best_score_)
    return np.asarray(best.predict(features) * scale, dtype=np.float64)


def linas(table: CellTable, scores: NDArray[np.float64], budget: int, seed: int) -> NDArray[np.int64]:
    """Rows in the order in which they were evaluated; an arch met again costs nothing."""
    rng = np.random.default_rng(seed)
    features = (table.digits[:, :, None] == np.arange(table.digits.max() + 1)).reshape(len(table.digits), -1)
    features = features.astype(np.float64)
    rows = list(rng.permutation(len(scores))[:POPULATION])
    for loop in range(budget):  # each loop adds at least one row
        if len(rows) >= budget:
            break
        at = np.array(rows)
        predicted = np.stack(
            [_predictions(features, at, scores[at, c]) for c in range(scores.shape[1])], axis=1
        )
        population = nsga2_over_predictions(table, predicted, INNER, POPULATION, seed * 1_000 + loop)
        new = [row for row in dict.fromkeys(population.tolist()) if row not in set(rows)]
        if not new:
            left = np.setdiff1d(np.arange(len(scores)), at)
            new = rng.permutation(left)[:POPULATION].tolist()
        rows += new
    return np.array(rows[:budget], dtype=np.int64)
