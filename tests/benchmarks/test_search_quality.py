import argparse

import numpy as np
import pandas as pd
import pytest

from benchmarks.cells import Cell, CellTable
from benchmarks.elsewhere import Elsewhere, amount, prior_of
from benchmarks.lowfi import FIRST, MOST, PAID_FOR, PRICE, short_column
from benchmarks.search_quality import (
    Judge,
    allowed,
    case,
    ours,
    ours_with_elsewhere,
    ours_with_short_trainings,
    play,
)
from supernets.spaces.space import Axis, Space

NAMES = ("none", "skip_connect", "conv")
CELL = Cell(((0, 1), (0, 2), (1, 2)), 0, 1)


def frame(edges=6, seed=0):
    rng = np.random.default_rng(seed)
    digits = Space([Axis(f"op{i}", "op", (0, 1, 2)) for i in range(edges)]).enumerate()
    work = np.array([0.1, 0.2, 1.0])[digits].sum(axis=1)
    accuracy = 95.0 - 40.0 * np.exp(-work / 2) + rng.normal(0, 0.1, len(work))
    return pd.DataFrame(
        {
            "ops": ["".join(map(str, row)) for row in digits],
            "params_M": 0.1 + work,
            "acc_toy_test_200ep": accuracy,
            "acc_toy_val_12ep": accuracy - 20.0 + rng.normal(0, 1.0, len(work)),
            "lat_a": work + rng.normal(0, 0.05, len(work)) + 1.0,
        }
    )


def table(frame):
    return CellTable(frame, np.array([[int(c) for c in ops] for ops in frame["ops"]]))


OF = case(table(frame()), "acc_toy_test_200ep", "lat_a")


def test_the_whole_table_has_no_regret_and_nothing_has_the_worst():
    judge = Judge(OF)
    regret, share = judge(np.arange(len(OF.accuracy)))
    assert regret == 0.0 and np.isclose(share, 1.0)
    regret, share = judge(np.array([PAID_FOR, PAID_FOR]))
    assert np.isclose(regret, np.mean(judge.best - judge.lowest)) and share == 0.0


def test_features_read_no_measured_column():
    one = frame()
    other = one.assign(**{c: 7.0 for c in one.columns if c.startswith(("lat", "acc"))})
    for kind in ("groups", "quality_groups"):
        for a, b in zip(getattr(table(one), kind), getattr(table(other), kind), strict=True):
            assert np.array_equal(a.values, b.values)


def test_what_a_cell_can_learn_does_not_hang_on_edges_that_lead_nowhere():
    digits = Space([Axis(f"op{i}", "op", (0, 1, 2)) for i in range(3)]).enumerate()
    texts = [f"|{NAMES[a]}~0|+|{NAMES[b]}~0|{NAMES[c]}~1|" for a, b, c in digits]
    cells = table(pd.DataFrame({"ops": ["".join(map(str, row)) for row in digits], "arch_str": texts}))
    first, second = cells.rows(np.array([[2, 2, 0], [0, 2, 0]]))
    assert all(np.array_equal(g.values[first], g.values[second]) for g in cells.quality_groups)
    assert any(not np.array_equal(g.values[first], g.values[second]) for g in cells.groups)


def test_rows_of_archs_that_the_table_lacks_are_minus_one():
    some = table(frame().iloc[::2].reset_index(drop=True))
    assert np.array_equal(some.rows(some.digits), np.arange(len(some.digits)))
    assert (some.rows(table(frame().iloc[1::2]).digits) == -1).all()


def test_a_cell_is_only_what_the_table_says_it_is():
    digits = Space([Axis(f"op{i}", "op", (0, 1, 2)) for i in range(3)]).enumerate()
    texts = [f"|{NAMES[a]}~0|+|{NAMES[b]}~0|{NAMES[c]}~1|" for a, b, c in digits]
    named = pd.DataFrame({"ops": ["".join(map(str, row)) for row in digits], "arch_str": texts})
    assert Cell.declared_by(table(named)) == CELL
    assert Cell.declared_by(table(named[["ops"]])) is None
    assert Cell.declared_by(table(named.assign(arch_str=[*texts[1:], texts[0]]))) is None


def test_edges_that_lead_nowhere_and_edges_that_nothing_reaches():
    digits = np.array([[2, 2, 0], [0, 2, 2], [2, 1, 2]])
    assert CELL.without_unused_edges(digits).tolist() == [[0, 2, 0], [0, 2, 2], [2, 1, 2]]
    assert CELL.without_dead_edges(digits).tolist() == [[0, 2, 0], [0, 2, 0], [2, 1, 2]]


def test_a_run_pays_for_each_row_once_and_repeats_from_the_seed():
    rows = play(ours(OF, 3), OF, 40, 5)
    assert len(set(rows.tolist())) == 40
    assert np.array_equal(rows, play(ours(OF, 3), OF, 40, 5))


def test_short_trainings_are_paid_for():
    rows = ours_with_short_trainings(OF, 60, 0)
    paid = int((rows == PAID_FOR).sum())
    assert (
        len(rows) == 60 and paid >= np.ceil(FIRST * PRICE) and (rows[: int(FIRST * PRICE)] == PAID_FOR).all()
    )
    assert paid <= np.ceil(MOST * PRICE)
    bought = rows[rows != PAID_FOR]
    assert len(set(bought.tolist())) == len(bought)


def test_a_table_without_short_trainings_is_refused_with_the_reason():
    assert short_column(frame(), "acc_toy_test_200ep") == "acc_toy_val_12ep"
    bare = case(table(frame().drop(columns="acc_toy_val_12ep")), "acc_toy_test_200ep", "lat_a")
    assert "ours+lowfi" not in allowed(bare.table, "acc_toy_test_200ep")
    assert "ours+lowfi" in allowed(OF.table, "acc_toy_test_200ep")
    with pytest.raises(SystemExit, match="12-epoch"):
        ours_with_short_trainings(bare, 40, 0)


def known_elsewhere():
    columns = frame()
    other = 80.0 - 1.5 * (100.0 - columns["acc_toy_test_200ep"])
    return case(table(columns.assign(acc_other_test_200ep=other)), "acc_toy_test_200ep", "lat_a")


def test_evaluations_elsewhere_help_early_and_repeat_from_the_seed():
    of = known_elsewhere()
    judge, elsewhere = Judge(of), Elsewhere("acc_other_test_200ep", 100)
    rows = [ours_with_elsewhere(of, 16, seed, elsewhere) for seed in range(4)]
    assert len(set(rows[0].tolist())) == 16
    assert np.array_equal(rows[0], ours_with_elsewhere(of, 16, 0, elsewhere))
    without = [judge(play(ours(of, seed), of, 16, 2))[0] for seed in range(4)]
    assert np.mean([judge(each)[0] for each in rows]) < np.mean(without)


def test_elsewhere_only_accuracies_of_known_archs_are_read():
    of = known_elsewhere()
    rows, accuracy = Elsewhere("acc_other_test_200ep", 30).known(of.table, lambda *_: np.zeros(0, int), 1)
    assert np.array_equal(accuracy, of.table.frame["acc_other_test_200ep"].to_numpy()[rows])
    assert len(set(rows.tolist())) == 30
    prior = prior_of(of.table, rows, accuracy)(of.table.digits)
    others = of.table.frame.assign(acc_other_test_200ep=0.0)
    assert np.array_equal(prior, prior_of(table(others), rows, accuracy)(of.table.digits))


def test_elsewhere_is_a_column_of_the_table():
    with pytest.raises(SystemExit, match="no column 'acc_none'"):
        Elsewhere("acc_none", 30).known(OF.table, lambda *_: np.zeros(0, int), 1)
    assert amount("search") is None and amount("50") == 50
    for wrong in ("9", "many", "-20"):
        with pytest.raises(argparse.ArgumentTypeError, match="a number of archs from 10"):
            amount(wrong)
