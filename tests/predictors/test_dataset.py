import numpy as np
import pytest

from predictors.dataset import Dataset, Row, problems
from predictors.errors import RowError, ScopeError
from predictors.measuring.protocol import Timing
from predictors.scope import Scope
from supernets.errors import UnknownNameError
from supernets.spaces.space import Arch
from tests.predictors.toy import SPACE, archs, scope_for, true_value

LATENCY, ACCURACY = scope_for("latency_ms"), scope_for("accuracy")


def rows_of(n=6, **changes):
    population = archs(n)
    values = true_value("latency_ms", population)
    return [
        Row(**{"arch": arch, "scope": LATENCY, "value": float(value), **changes})
        for arch, value in zip(SPACE.decode(population), values, strict=True)
    ]


def changed(row, **changes):
    fields = {name: getattr(row, name) for name in Row.__dataclass_fields__}
    return Row(**{**fields, **changes})


def test_a_dataset_gives_its_rows_as_arrays():
    rows = rows_of()
    accuracy = [changed(row, scope=ACCURACY, value=0.9) for row in rows[:2]]
    data = Dataset(rows + accuracy, SPACE)
    assert len(data) == 8
    latency = data.select(LATENCY)
    assert list(latency) == rows
    np.testing.assert_array_equal(latency.population, archs(6))
    np.testing.assert_array_equal(latency.values, true_value("latency_ms", archs(6)))
    assert rows[0].as_json()["unit"] == "ms" and rows[0].as_json()["scope"]["target"] == "tgt"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"value": float("nan")}, "value"),
        ({"value": float("inf")}, "value"),
        ({"value": -0.1}, "value"),
        ({"value": 0.0}, "value"),
        ({"value": 1e7}, "value"),
        ({"scope": ACCURACY, "value": 96.5}, "value"),
        ({"spread": -1.0}, "spread"),
        ({"spread": float("nan")}, "spread"),
        ({"n": 0}, "n"),
        ({"arch": Arch((("resolution", 8),))}, "arch"),
        ({"arch": Arch((("no axis", 1),))}, "arch"),
        ({"scope": scope_for("latency_ms", space_sha256="foreign")}, "space_sha256"),
    ],
)
def test_a_row_that_cannot_be_true_is_named(changes, field):
    rows = rows_of()
    rows[4] = changed(rows[4], **changes)
    (error,) = problems(rows, SPACE)
    assert (error.row, error.field) == (4, field)
    assert f"row 4: {field} must be" in str(error)
    with pytest.raises(RowError, match="row 4"):
        Dataset(rows, SPACE)


def test_accuracy_zero_and_one_are_possible():
    assert (
        problems(
            [changed(row, scope=ACCURACY, value=v) for row, v in zip(rows_of(2), (0.0, 1.0), strict=True)],
            SPACE,
        )
        == []
    )


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_another_unit_is_named_as_such(factor):
    rows = rows_of()
    rows[2] = changed(rows[2], value=rows[2].value * factor)
    (error,) = problems(rows, SPACE)
    assert error.row == 2 and "another unit" in str(error)
    assert problems(rows_of(), SPACE) == []


def test_all_problems_are_found_in_order():
    rows = rows_of()
    rows[5] = changed(rows[5], value=-1.0)
    rows[1] = changed(rows[1], n=0)
    assert [error.row for error in problems(rows, SPACE)] == [1, 5]


def test_a_row_from_a_timing():
    arch = SPACE.min()
    timing = Timing("k", "noisy", 0.5, 0.01, 33, {"p50": 0.6}, 400, {"name": "small"}, sha256="abc")
    row = Row.from_timing(arch, LATENCY, timing)
    assert (row.value, row.spread, row.n, row.verdict) == (0.5, 0.01, 33, "noisy")
    assert row.provenance["raw_ms"] == {"p50": 0.6} and row.provenance["file"] == "abc"
    with pytest.raises(RowError, match="refused"):
        Row.from_timing(arch, LATENCY, Timing("k", "refused", error="standard error"))


def test_scopes():
    LATENCY.require(scope_for("latency_ms"))
    with pytest.raises(ScopeError, match="'tgt'.*'other'"):
        LATENCY.require(scope_for("latency_ms", target="other"))
    with pytest.raises(UnknownNameError, match="choices"):
        Scope(supernet="w", space_sha256="s", metric="speed")
    assert Scope.from_json(ACCURACY.as_json()) == ACCURACY
