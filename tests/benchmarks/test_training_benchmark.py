"""Training methods at equal cost: what a unit costs, that it is done once, and what the table makes of units."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.training import alone, at_cost, cut, markdown, table, toy_family, unit
from supernets.data import DataSet, load_data
from supernets.families.mobilenet_v3 import MobileNetV3
from supernets.recipes.recipe import Recipe, built_in
from supernets.report_card.card import panel
from supernets.spaces.space import Arch
from supernets.training.estimate import Rehearsal
from supernets.training.loop import train_step
from tests.small import start


@pytest.fixture(scope="module")
def data() -> DataSet:
    return cut(load_data("digits"), 300)


@pytest.fixture(scope="module")
def family(data: DataSet) -> MobileNetV3:
    return toy_family(data, 8)


@pytest.fixture(scope="module")
def archs(family: MobileNetV3) -> list[Arch]:
    return panel(family.build(), size=3)


OTHERS = ("gradient_split", "self_expanding")
FITTING = [name for name in built_in() if name not in OTHERS and Recipe.read(name).pruner is None]


@pytest.mark.parametrize("name", FITTING)
def test_every_arm_costs_what_it_may_and_hardly_less(name: str, family: MobileNetV3) -> None:
    billed = Rehearsal(at_cost(name, family, 300, 8), family).run().billed
    assert 0.97 * 300 <= billed <= 300


def test_an_arm_that_cannot_be_had_is_refused(family: MobileNetV3) -> None:
    with pytest.raises(SystemExit, match="gradient_split cannot be had for 60 passes"):
        at_cost("gradient_split", family, 60, 8)


def test_a_stand_alone_net_takes_the_sandwichs_steps_and_a_pass_a_step(
    data: DataSet, family: MobileNetV3, archs: list[Arch]
) -> None:
    base = at_cost("sandwich", family, 400, 8)
    single = alone(archs[1], base, family)
    training = start(single, family, data, 0)
    assert single.steps == base.steps == 100 and training.space.size() == 1
    assert training.space.max() == archs[1]
    assert list(train_step(training)) == ["max"] and training.billed == 1


def test_a_unit_is_done_once_and_never_mixed_with_another(
    data: DataSet, family: MobileNetV3, archs: list[Arch], tmp_path: Path
) -> None:
    recipe = at_cost("sandwich", family, 16, 8)
    unit("sandwich", recipe, family, data, 1, archs, tmp_path)
    path = tmp_path / "sandwich-1.json"
    result, written = json.loads(path.read_text()), path.stat().st_mtime_ns
    assert result["steps"] == 4 and result["billed"] == 16 and len(result["accuracy"]) == len(archs)
    unit("sandwich", recipe, family, data, 1, archs, tmp_path)
    assert path.stat().st_mtime_ns == written
    with pytest.raises(SystemExit, match="another recipe"):
        unit("sandwich", at_cost("random", family, 16, 8), family, data, 1, archs, tmp_path)


def test_the_table_pairs_seeds_and_compares_with_nets_alone(
    family: MobileNetV3, archs: list[Arch], tmp_path: Path
) -> None:
    def put(arm: str, seed: int, accuracy: list[float]) -> None:
        known = [arch.as_dict() for arch in archs]
        row = {"arm": arm, "seed": seed, "family": family.config(), "archs": known, "accuracy": accuracy}
        text = json.dumps({**row, "train_seconds": 1.0, "billed": 10.0})
        (tmp_path / f"{arm}-{seed}.json").write_text(text)

    for seed, base in enumerate((0.5, 0.6, 0.7)):
        put("sandwich", seed, [base] * 5)
        if seed < 2:
            put("random", seed, [base + 0.1 + 0.02 * seed + 0.01 * k for k in range(5)])
    for place, value in ((0, 0.55), (2, 0.65), (4, 0.75)):
        put(f"alone{place}", 0, [value])
    found = table(tmp_path)
    random = found["arms"]["random"]
    assert random["seeds"] == [0, 1] and random["mean"]["panel"] == pytest.approx(0.68)
    assert random["minus_base"]["panel"]["mean"] == pytest.approx(
        0.13
    )  # of 0.12 and 0.14: paired, not 0.68 - 0.6
    assert random["minus_base"]["panel"]["spread"] == pytest.approx(0.02 / 2**0.5)
    assert random["mean"]["kendall_alone"] == pytest.approx(1.0)
    assert random["mean"]["minus_alone"] == pytest.approx(0.68 - 0.65)
    lines = markdown(found).splitlines()
    assert lines[2].startswith("| random | 2 | 10 |") and "| +.1300 ± .0141 | +.0300 | 1.00 |" in lines[2]
    assert lines[3].startswith("| sandwich | 3 |") and "| −.0500 |" in lines[3]
    assert lines[-1] == "3 stand-alone nets of the panel: mean accuracy .6500."
