"""Spaces from columns, the figures, and the protocol of the latency benchmark."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from benchmarks import latency_transfer
from benchmarks.latency_figures import Answer, choose_finalists, figures, pick_figures
from benchmarks.tables import TableFamily, device_family, encode
from supernets.errors import SpaceError


def gpt(n=40, seed=0):
    rng = np.random.default_rng(seed)
    depth = rng.integers(2, 5, n)
    depth[:3] = 2, 3, 4
    return pd.DataFrame(
        {
            "embed_dim": rng.choice([192, 384], n),
            "n_layer": depth,
            "n_head": ["-".join(rng.choice(["4", "8", "12"], k)) for k in depth],
            "mlp_ratio": ["".join(rng.choice(["2", "4"], k)) for k in depth],
            "bias": rng.random(n) < 0.5,
        }
    )


def test_transformer_rows_have_active_entries_only():
    table = gpt()
    columns = list(table.columns)
    family = TableFamily.from_table(table, columns)
    space, archs = family.space(), encode(family.space(), table, columns)
    for arch, (_, row) in zip(space.decode(archs), table.iterrows(), strict=True):
        heads = [arch[f"n_head{i}"] for i in range(row["n_layer"])]
        assert "-".join(map(str, heads)) == row["n_head"]
        assert arch.get(f"n_head{row['n_layer']}") is None
        blocks = sum(layer.name == "qkv" for layer in family.layers(arch))
        assert blocks == row["n_layer"]
    assert TableFamily.from_config(family.config()).space() == space


def test_text_of_changing_length_needs_a_column_that_says_so():
    with pytest.raises(SpaceError, match="no column with their number"):
        TableFamily.from_table(gpt(), ["n_head"])


# Stem, two reductions of three layers, classifier.
ENDS = range(8)


def test_edges_that_join_nothing_have_no_layers():
    ops = pd.DataFrame(
        {"ops": [str(digit) * 6 for digit in range(5)] + ["300000", "300030", "300003", "030003"]}
    )
    family = TableFamily.from_table(ops, ["ops"])
    counts = [
        (len(family.layers(arch)) - len(ENDS)) // 3
        for arch in family.space().decode(encode(family.space(), ops, ["ops"]))
    ]
    assert counts == [0, 6, 6, 6, 6, 0, 2, 0, 2]
    assert (family.costs(encode(family.space(), ops, ["ops"]))["macs"] > 0).all()


@pytest.mark.parametrize(
    ("column", "family"),
    [
        ("lat_help_1080ti_32", "1080ti"),
        ("energy_hw360_pi5_onnx_c100", "pi5"),
        ("lat_cpu_a6000_ms", "a6000"),
        ("lat_help_samsung_s7", "samsung"),
    ],
)
def test_device_families(column, family):
    assert device_family(column) == family


def test_figures_of_a_perfect_and_a_constant_answer():
    truth = np.linspace(1, 2, 50)
    perfect = figures(Answer(truth, 0.9 * truth, 1.1 * truth), truth)
    assert (perfect["spearman"], perfect["mape"], perfect["coverage90"]) == (pytest.approx(1), 0, 1)
    assert figures(Answer(truth * 0 + 1, truth * 0, truth * 0 + 1.5), truth)["spearman"] == 0
    points = 100 * truth
    picks = pick_figures(Answer(truth, 0.9 * truth, 1.001 * truth), truth, points)
    assert max(picks["overshoots"] + picks["measured_overshoots"]) <= 0 and max(picks["measured_lost"]) < 3
    late = pick_figures(Answer(truth / 1.2, truth / 1.3, truth / 1.1), truth, points)
    assert max(late["overshoots"]) > 0.05


def test_finalists_are_bold_and_safe():
    points = np.array([95.0, 94.0, 93.0, 92.0, 91.0, 90.0, 80.0, 20.0])
    score = np.array([-0.5, -0.5, -0.4, 0.0, 0.5, 3.0, 9.0, -30.0])
    chosen = choose_finalists(score, points).tolist()
    assert len(chosen) == len(set(chosen)) == 5
    assert {5, 6} <= set(chosen) and set(chosen) & {0, 1, 2, 3} and 7 not in chosen
    # Where all are far below the limit, the best is among them, and nothing impossible.
    assert 0 in choose_finalists(np.full(8, 20.0), points)
    assert 0 not in choose_finalists(np.array([-30.0, *score[1:]]), points)


@pytest.mark.data
def test_the_known_rows_and_the_test_rows_are_apart(tmp_path):
    if not os.environ.get("NETWRIGHT_DATA"):
        pytest.skip("NETWRIGHT_DATA names no folder with fbnet_open.parquet")
    out = tmp_path / "out.json"
    latency_transfer.main(
        "--table fbnet_open.parquet --arch ops --known lat_help_pixel3 lat_help_gold_6240 lat_help_titanx_1 "
        f"--target lat_help_titanx_32 --samples 10 --seeds 1 --methods flops ours --protocol help --json {out}".split()
    )
    result = json.loads(out.read_text())
    rows = {row["method"]: row for row in result["rows"]}
    assert set(rows) == {"ceiling", "flops", "ours"}
    assert rows["ours"]["spearman_mean"] > rows["flops"]["spearman_mean"]
    wanted = {"share_of_ceiling", "mape_mean", "coverage90", "interval_width_rel", "picks_within"}
    assert wanted <= set(rows["ours"])
    joined = tmp_path / "joined.json"
    latency_transfer.main(
        "--table fbnet_open.parquet --arch ops --known lat_* --target lat_help_titanx_32 --samples 10 "
        f"--protocol help --json {joined} --join {out} {out}".split()
    )
    again = json.loads(joined.read_text())
    assert again["rows"] == result["rows"] and again["meta"]["means"] == result["meta"]["means"]
    assert again["meta"]["targets_done"] == 1
