"""Imported rows: what is read, what is refused and by which rule, and that the rest goes on."""

import io
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from predictors import PREDICTORS
from predictors.errors import TableError
from predictors.scope import Scope
from predictors.tables.archs import arch_columns, reader
from predictors.tables.check import REPEAT, Stored, check_rows
from predictors.tables.costs import as_config, fit_costs
from predictors.tables.read import read_table
from supernets.errors import ArchError
from supernets.families.table import TableFamily
from supernets.spaces.columns import Layout
from tests.predictors.toy import FAMILY, SPACE, archs, true_value

ROWS = 20
NOTHING = Stored(np.empty((0, SPACE.d), dtype=np.int64), np.empty(0))


def frame(n=ROWS, **columns):
    """One row an arch: its axes (empty where inactive) and its latency in ms."""
    population = archs(n)
    rows = [arch.as_dict() for arch in SPACE.decode(population)]
    table = pd.DataFrame(rows, columns=[axis.name for axis in SPACE.axes])
    table["ms"] = true_value("latency_ms", population)
    return table.assign(**columns)


def parquet(table):
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue()


def csv(table):
    return table.to_csv(index=False).encode()


def checked(content, latency="ms", unit="ms", wanted=(), stored=NOTHING, known=(), **options):
    columns = arch_columns(FAMILY, read_table(content).names, wanted)
    table = read_table(content, [*columns, latency])
    read = reader(FAMILY, columns, dict(known))
    return check_rows(table, FAMILY, read, columns, latency, unit, stored=stored, **options)


def rules(found):
    return {refusal.row: refusal.rule for refusal in found.refused}


@pytest.mark.parametrize("write", [parquet, csv])
@pytest.mark.parametrize(("unit", "factor"), [("ms", 1), ("s", 1e-3), ("us", 1e3), ("µs", 1e3), ("ns", 1e6)])
def test_good_rows_come_back_as_they_were(write, unit, factor):
    table = frame()
    found = checked(write(table.assign(ms=table.ms * factor)), unit=unit)
    assert (found.refused, found.warnings, found.accepted, found.rows) == ([], [], ROWS, ROWS)
    assert (found.population == archs(ROWS)).all()
    np.testing.assert_allclose(found.values, table.ms)
    assert set(found.counts.tolist()) == {1} and set(found.spreads) == {None}


def test_archs_as_json_or_as_ids_that_are_known():
    table, members = frame(), SPACE.decode(archs(ROWS))
    as_json = pd.DataFrame({"net": [json.dumps(arch.as_dict()) for arch in members], "ms": table.ms})
    assert (checked(csv(as_json), wanted=["net"]).population == archs(ROWS)).all()
    as_ids = pd.DataFrame({"net": [arch.id for arch in members], "ms": table.ms})
    known = {arch.id: arch.as_dict() for arch in members[1:]}
    found = checked(csv(as_ids), wanted=["net"], known=known)
    assert (found.population == archs(ROWS)[1:]).all() and rules(found) == {1: "arch"}
    assert "stored subnet" in found.refused[0].reason


def test_every_bad_row_is_named_and_the_others_go_on():
    table = frame()
    table["ms"] = table.ms.astype(object)
    table["resolution"] = table.resolution.astype(object)
    table.loc[2, "ms"] = "nan"
    table.loc[3, "ms"] = -0.1
    table.loc[4, "ms"] = "fast"
    table.loc[5, "ms"] = None
    table.loc[6, "ms"] = "inf"
    table.loc[7, "resolution"] = 999
    table.loc[8, "resolution"] = None
    table.loc[9, "ms"] = table.ms[9] * 1000
    table.loc[10, "ms"] = table.ms[10] / 1000
    found = checked(csv(table))
    value, arch, jump = "value", "arch", "unit jump"
    assert rules(found) == dict(zip(range(3, 12), [value] * 5 + [arch] * 2 + [jump] * 2, strict=True))
    assert found.accepted == ROWS - 9 and len(found.values) == ROWS - 9
    reasons = {refusal.row: refusal.reason for refusal in found.refused}
    assert "999" in reasons[8] and "about 1000x above" in reasons[10] and "about 1000x below" in reasons[11]
    summary = found.summary(3)
    assert summary["refused_count"] == 9 and len(summary["refused"]) == 3
    assert summary["refused_by_rule"] == {arch: 2, jump: 2, value: 5}
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_a_jump_can_be_accepted_and_is_also_seen_against_what_the_target_has():
    table = frame()
    low = table.assign(ms=np.where(np.arange(ROWS) == 5, table.ms / 900, table.ms))
    assert rules(checked(csv(low))) == {6: "unit jump"}
    assert checked(csv(low), accept_jumps=True).refused == []
    stored = Stored(archs(ROWS)[:10], table.ms.to_numpy()[:10])
    rest = table[10:14].assign(ms=table.ms[10:14] * 1000)
    assert set(rules(checked(csv(rest), stored=stored)).values()) == {"unit jump"}
    assert checked(csv(rest)).refused == [], "without the others nothing says that these are wrong"


def test_half_of_the_rows_in_another_unit_is_said_for_nobody_knows_which_half():
    table = frame()
    found = checked(csv(table.assign(ms=np.where(np.arange(ROWS) % 2, table.ms * 1000, table.ms))))
    assert found.refused == [] and "two units" in found.warnings[0]


def test_what_no_device_can_do_is_refused_and_what_few_do_is_doubted():
    macs = FAMILY.costs(archs(ROWS))["macs"]
    absurd = checked(csv(frame(ms=macs)))  # a thousand multiply-accumulates a second
    assert absurd.accepted == 0 and set(rules(absurd).values()) == {"device"}
    assert "unit" in absurd.refused[0].reason
    doubted = checked(csv(frame(ms=macs / 1e3)))
    assert doubted.accepted == ROWS and "is the unit right?" in doubted.warnings[0]


def test_equal_networks_are_one_arch_equal_rows_merge_repeats_count_and_contradictions_are_named():
    table = frame()
    shallow = next(i for i in range(2, ROWS) if table.loc[i].isna().any())
    same = table.loc[[shallow]].copy()
    empty = same.columns[same.isna().iloc[0]]
    same[empty] = same[empty].fillna(3)  # choices on inactive axes: another spelling of the same network
    repeat = table.loc[[0]].assign(ms=table.ms[0] * (1 + REPEAT / 2))
    contrary = table.loc[[1]].assign(ms=table.ms[1] * 2)
    found = checked(csv(pd.concat([table, same, repeat, contrary])))
    assert rules(found) == {2: "contradiction", ROWS + 3: "contradiction"}
    assert f"rows 2, {ROWS + 3}" in found.refused[0].reason
    assert found.accepted == ROWS + 1 and len(found.population) == ROWS - 1
    merged = found.population.tolist().index(archs(ROWS)[0].tolist())
    assert found.counts[merged] == 2 and found.spreads[merged] > 0
    assert found.values[merged] == pytest.approx(table.ms[0] * (1 + REPEAT / 4))
    twice = found.population.tolist().index(archs(ROWS)[shallow].tolist())
    assert found.counts[twice] == 1, "a line written twice is one measurement"


def test_rows_that_are_stored_already_are_not_taken_twice_and_must_agree():
    table = frame()
    stored = Stored(archs(ROWS)[:4], table.ms.to_numpy()[:4] * [1, 1, 1.01, 3])
    found = checked(csv(table), stored=stored)
    assert (found.known, found.accepted) == (2, ROWS - 3)
    assert rules(found) == {4: "contradiction"} and "the target has" in found.refused[0].reason
    assert "row 4 gives" in found.refused[0].reason and "another unit" not in found.refused[0].reason
    other = checked(csv(table), stored=Stored(archs(ROWS)[:4], table.ms.to_numpy()[:4] * 1000))
    assert all("1000x apart" in fault.reason for fault in other.refused if fault.rule == "contradiction")
    assert len(other.refused) >= 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"PAR1 no parquet at all", "parquet file cannot be read"),
        (parquet(frame())[:-50], "parquet file cannot be read"),
        (pickle.dumps({"ms": [1.0]}), "UTF-8|zero bytes|columns"),
        (b"a,a\n1,2\n", "must differ"),
        (b"a,ms\n1\n", "row 1 must have 2 cells"),
        (b"a,ms\n", "rows, got 0"),
        (b'a,ms\n"1,2\n', "CSV file cannot be read"),
    ],
)
def test_files_that_are_no_tables_are_refused(content, said):
    with pytest.raises(TableError, match=said):
        read_table(content, ["ms"])


def test_wrong_names_and_units_list_the_choices():
    with pytest.raises(TableError, match=r"'milliseconds'; it has \d+: .*resolution.*ms"):
        checked(csv(frame()), latency="milliseconds")
    with pytest.raises(TableError, match="ms, s, us, µs, ns, got 'minutes'"):
        checked(csv(frame()), unit="minutes")
    with pytest.raises(TableError, match="every arch needs resolution"):
        checked(csv(frame().drop(columns="resolution")))
    with pytest.raises(TableError, match=r"must be axes .*colour"):
        checked(csv(frame(colour="red")), wanted=["resolution", "colour"])


def test_bounds_hold_while_reading(monkeypatch):
    monkeypatch.setattr("predictors.tables.read.MAX_ROWS", ROWS - 1)
    for write in (csv, parquet):
        with pytest.raises(TableError, match=f"1 to {ROWS - 1} rows"):
            read_table(write(frame()), ["ms"])
    monkeypatch.setattr("predictors.tables.read.MAX_UNPACKED", 10)
    monkeypatch.setattr("predictors.tables.read.MAX_ROWS", ROWS)
    with pytest.raises(TableError, match="at most 10 bytes unpacked"):
        read_table(parquet(frame()), ["ms"])
    monkeypatch.setattr("predictors.tables.read.MAX_BYTES", 10)
    with pytest.raises(TableError, match="at most 10 bytes"):
        read_table(csv(frame()))


# --- spaces of tables --------------------------------------------------------------------------------


def chain(n=60, seed=0):
    """Nets of two widths and two to four blocks of three kinds; entries behind the depth mean nothing."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "width": rng.choice([16, 32], n),
            "depth": rng.choice([2, 3, 4], n),
            "ops": ["".join(map(str, rng.integers(0, 3, 4))) for _ in range(n)],
        }
    )
    size = [
        sum(10 + 5 * int(op) for op in ops[:depth]) for ops, depth in zip(table.ops, table.depth, strict=True)
    ]
    table["macs"] = 1000.0 * table.width * (np.array(size) + 7.0)
    return table.assign(ms=0.1 + table.macs * 1e-6)


def space_of(table):
    cells = {
        name: read_table(parquet(table), ["width", "depth", "ops"])[name]
        for name in ("width", "depth", "ops")
    }
    layout = Layout.infer(cells, dict.fromkeys(cells), "depth", typed=True)
    return layout, layout.space(cells)


def encoded(layout, space, table):
    rows = table[["width", "depth", "ops"]].to_dict("records")
    return space.encode([space.arch(layout.choices(row)) for row in rows])


def test_counts_of_a_table_become_a_closed_form_that_holds_for_archs_which_are_not_in_it():
    table, others = chain(), chain(400, seed=1)
    layout, space = space_of(table)
    fitted = fit_costs(space, layout, encoded(layout, space, table), {"macs": table.macs.to_numpy()})
    assert fitted.errors["macs"]["worst"] < 1e-6
    family = TableFamily(space, layout, fitted.tables, ("macs",))
    again = TableFamily.from_config({**family.config(), "costs": as_config(fitted)})
    told = again.costs(encoded(layout, space, others))["macs"]
    np.testing.assert_allclose(told, others.macs, rtol=1e-5)  # each part is rounded to a whole count
    with pytest.raises(TableError, match="at least 10 rows"):
        fit_costs(space, layout, encoded(layout, space, table[:5]), {"macs": table.macs.to_numpy()[:5]})


def test_counts_that_do_not_add_up_say_so():
    table = chain()
    layout, space = space_of(table)
    odd = table.macs.to_numpy() * np.exp(np.random.default_rng(0).standard_normal(len(table)))
    assert (
        fit_costs(space, layout, encoded(layout, space, table), {"macs": odd}).errors["macs"]["median"] > 0.1
    )


@pytest.mark.parametrize("with_costs", [False, True])
def test_every_latency_predictor_learns_from_the_space_of_a_table(with_costs):
    table, others = chain(), chain(100, seed=1)
    layout, space = space_of(table)
    population = encoded(layout, space, table)
    fitted = fit_costs(space, layout, population, {"macs": table.macs.to_numpy()})
    family = TableFamily(space, layout, *((fitted.tables, ("macs",)) if with_costs else ()))
    unique, first = np.unique(population, axis=0, return_index=True)
    scope = Scope(supernet="s", space_sha256=space.sha256, metric="latency_ms", target="t")
    for name, where in PREDICTORS.items():
        if ".latency." not in where or PREDICTORS.load(name).imported:
            continue
        predictor = PREDICTORS.load(name)(family, scope)
        predictor.fit(unique, table.ms.to_numpy()[first])
        mean, _ = predictor.predict(encoded(layout, space, others))
        rank = stats.spearmanr(mean, others.ms).statistic if np.ptp(mean) else 0.0
        if with_costs or name != "roofline_proxy":  # that one knows nothing but MACs and bytes
            assert rank > 0.9, (name, rank)


def test_rows_of_a_table_space_are_read_by_its_own_layout():
    table = chain()
    layout, space = space_of(table)
    family = TableFamily(space, layout)
    content = parquet(table.assign(ops=np.where(np.arange(60) == 7, "01", table.ops)))
    columns = arch_columns(family, read_table(content).names, [])
    assert columns == ["width", "depth", "ops"]
    with pytest.raises(TableError, match="arch columns of this space"):
        arch_columns(family, ["width"], ["width"])
    read = reader(family, columns, {})
    nothing = Stored(np.empty((0, space.d), dtype=np.int64), np.empty(0))
    found = check_rows(
        read_table(content, [*columns, "ms"]), family, read, columns, "ms", "ms", stored=nothing
    )
    bad = [refusal for refusal in found.refused if refusal.rule == "arch"]
    assert [refusal.row for refusal in bad] == ([8] if table.depth[7] > 2 else [])
    assert len(found.values) == len({row.tobytes() for row in found.population})


def test_decimals_are_numbers_and_booleans_are_no_latency():
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = frame()
    columns = {name: pa.array(table[name]) for name in table.columns if name != "ms"}
    buffer = io.BytesIO()
    cells = pa.array([round(value, 3) for value in table["ms"]]).cast(pa.decimal128(12, 3))
    pq.write_table(pa.table({**columns, "ms": cells, "ok": pa.array([True] * ROWS)}), buffer)
    axes = [axis.name for axis in SPACE.axes]
    found = read_table(buffer.getvalue(), [*axes, "ms", "ok"])
    read = reader(FAMILY, axes, {})
    taken = check_rows(found, FAMILY, read, axes, "ms", "ms", stored=NOTHING)
    assert taken.accepted == ROWS and not taken.refused
    refused = check_rows(found, FAMILY, read, axes, "ok", "ms", stored=NOTHING)
    assert refused.accepted == 0 and "must be a number, got bool True" in refused.refused[0].reason


def test_rows_that_lost_their_leading_zeros_say_so():
    cells = {"ops": ["012", "120", "201", "111"] * 5}
    layout = Layout.infer(cells, {"ops": "digits"}, None, typed=False)
    family = TableFamily(layout.space(cells), layout, None)
    read = reader(family, ["ops"], {})
    assert read({"ops": "012"}).as_dict() == {"ops0": 0, "ops1": 1, "ops2": 2}
    with pytest.raises(ArchError, match="must have 3 digits, got '12': leading zeros"):
        read({"ops": "12"})
