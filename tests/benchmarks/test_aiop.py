"""The benchmark of quality across spaces: what is held out, and that all predictors see the same rows."""

import numpy as np
import pytest

from benchmarks.aiop import KNOWN, Evaluated, by_macs, by_mean, compared
from predictors.quality.graph_transfer import GraphModel
from tests.predictors.toy import FAMILY, archs, true_value


@pytest.fixture(scope="module")
def target():
    rows = archs(60)
    return Evaluated.of("toy", FAMILY, rows, true_value("accuracy", rows), "accuracy")


def test_every_predictor_has_a_row(target):
    rows = compared(target, GraphModel.empty(0, 1), draws=1)
    assert len({row.predictor for row in rows}) == len(rows) == 7
    assert all(np.isfinite(row.error) and -1 <= row.spearman <= 1 for row in rows)
    assert rows[0].predictor == "mean" and rows[0].spearman == 0.0


def test_baselines_learn_from_the_known_rows_only(target):
    known = np.arange(KNOWN)
    assert (by_mean(target, known, 0) == target.y[:KNOWN].mean()).all()
    changed = Evaluated.of("toy", FAMILY, target.archs, target.y.copy(), "accuracy")
    changed.y[KNOWN:] = 0.0
    assert (by_macs(changed, known, 0) == by_macs(target, known, 0)).all()
