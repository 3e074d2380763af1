"""Spaces from the columns of a table."""

import pytest

from supernets.errors import ArchError, SpaceError
from supernets.families.table import TableFamily
from supernets.spaces import columns as module
from supernets.spaces.columns import Layout

GPT = {
    "width": [192, 384, 192, 768],
    "depth": [2, 3, 2, 3],
    "heads": ["4-8-12", "8-8-4", "4-8-4", "12-4-8"],
    "ratio": ["234", "432", "232", "222"],
    "bias": [True, False, True, False],
}


def layout_of(cells, depth=None, typed=True, **readings):
    return Layout.infer(cells, {name: readings.get(name) for name in cells}, depth, typed=typed)


def row(cells, index):
    return {name: column[index] for name, column in cells.items()}


def test_words_digits_and_values_become_axes():
    layout = layout_of(GPT, depth="depth")
    assert [column.read for column in layout.columns] == ["value", "value", "words", "digits", "value"]
    space = layout.space(GPT)
    names = [axis.name for axis in space.axes]
    assert names == [
        "width",
        "depth",
        "bias",
        *(f"{kind}{i}" for kind in ("heads", "ratio") for i in range(3)),
    ]
    assert space.axes[0].choices == (192, 384, 768) and space.axes[2].choices == (0, 1)
    third = space.axes[space.column("heads2")]
    assert (third.kind, third.parent, third.active_when, third.choices) == ("heads", "depth", (3,), (4, 8))
    assert Layout.from_json(layout.as_json()) == layout


def test_entries_behind_the_depth_do_not_make_another_network():
    layout = layout_of(GPT, depth="depth")
    space = layout.space(GPT)
    archs = [space.arch(layout.choices(row(GPT, index))) for index in range(4)]
    assert archs[0] == archs[2] and len({arch.id for arch in archs}) == 3
    assert "heads2" not in archs[0].as_dict() and archs[1]["heads2"] == 4


def test_a_depth_is_found_where_lengths_differ_and_asked_for_where_nothing_says_it():
    cells = {"n": [2, 3, 2, 3], "ops": ["12", "211", "10", "001"]}
    layout = layout_of(cells)
    assert layout.depth == "n" and layout.space(cells).axes[3].active_when == (3,)
    with pytest.raises(
        SpaceError, match=r"'ops' must have as many entries .* depth\s+axis\), got 2 to 3 entries"
    ):
        layout_of({"ops": cells["ops"]})
    with pytest.raises(SpaceError, match=r"plain arch columns \['n'\], got 'ops'"):
        layout_of(cells, depth="ops")


def test_text_of_a_file_without_types_is_read_as_what_it_must_be():
    cells = {"ops": ["0123", "1123"], "width": ["192", "384"], "act": ["relu", "gelu"], "r": ["0.5", "1"]}
    layout = layout_of(cells, typed=False)
    assert [column.read for column in layout.columns] == ["digits", "value", "value", "value"]
    space = layout.space(cells)
    assert {axis.name: axis.choices for axis in space.axes if axis.kind != "ops"} == {
        "width": (192, 384), "act": ("gelu", "relu"), "r": (0.5, 1)
    }  # fmt: skip
    forced = layout_of({"width": ["192", "384"]}, typed=False, width="digits")
    assert forced.space({"width": ["192", "384"]}).d == 3


def test_rows_that_break_the_rule_of_nearly_all_others_make_no_axis_and_no_choice():
    cells = {"ops": [*["0123", "1120"] * 30, "012", "01231", "01x3", None], "n": [*[1, 2] * 30, 1, 1, 1, 1]}
    layout = layout_of(cells)
    space = layout.space(cells)
    assert space.d == 5 and space.axes[3].choices == (2,)
    for index, said in (
        (60, "ops3.* needs a choice"),
        (61, "unknown axes"),
        (62, "must be one of"),
        (63, "empty"),
    ):
        with pytest.raises(ArchError, match=said):
            space.arch(layout.choices(row(cells, index)))
    with pytest.raises(ArchError, match="must be text"):
        layout.choices({"ops": 123, "n": 1})


def test_a_column_that_is_no_arch_column_is_recognised_by_its_many_values(monkeypatch):
    with pytest.raises(SpaceError, match=r"every row of 'flops' is different"):
        cells = {"flops": [index / 7 for index in range(1, 301)]}
        layout_of(cells).space(cells)
    monkeypatch.setattr(module, "MAX_AXES", 2)
    with pytest.raises(SpaceError, match="at most 2 axes"):
        layout_of({"ops": ["0123"]}).space({"ops": ["0123"]})
    with pytest.raises(SpaceError, match="at least one row"):
        layout_of({"ops": [None]}).space({"ops": [None]})


@pytest.mark.parametrize(
    "change",
    [
        {"costs": {"known": ["speed"], "segments": []}},
        {"costs": {"known": ["macs"], "segments": [{"axes": ["n"], "params": [1.0], "macs": [1.0]}]}},
        {"costs": {"known": ["macs"]}},
        {"layout": {"columns": [["n", "sideways"]], "depth": None}},
        {"layout": None},
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(change):
    cells = {"n": [1, 2]}
    layout = layout_of(cells)
    config = TableFamily(layout.space(cells), layout).config()
    with pytest.raises(SpaceError):
        TableFamily.from_config({**config, **change})


def test_lost_leading_zeros_are_named_instead_of_a_depth():
    ops = [f"{i // 25 % 5}{i // 5 % 5}{i % 5}{i * 7 % 5}" for i in range(120)]
    lost = [str(int(text)) for text in ops]
    space = layout_of({"ops": ops}).space({"ops": ops})
    assert [len(axis.choices) for axis in space.axes] == [5, 5, 5, 5]
    for typed, cells in ((False, lost), (True, [int(text) for text in lost])):
        with pytest.raises(SpaceError, match="leading zeros may have been lost"):
            layout_of({"ops": cells}, typed=typed)
    with pytest.raises(SpaceError, match="1 to 4 digits and none starts with 0"):
        layout_of({"ops": lost}, ops="digits", typed=False)
    with pytest.raises(SpaceError, match="must be text to be read as digits"):
        cells = {"ops": [int(text) for text in lost]}
        layout_of(cells, ops="digits").space(cells)


def test_a_column_in_which_every_row_differs_is_no_axis():
    with pytest.raises(SpaceError, match="every row of 'id' is different"):
        layout_of({"id": [f"net{i}" for i in range(17)]})
    assert layout_of({"width": list(range(16))}).space({"width": list(range(16))}).size() == 16


def test_booleans_and_digit_groups_are_no_numbers():
    assert [module.number(cell) for cell in (True, "1_000", "1e3", " 2 ", None)] == [
        None,
        None,
        1000,
        2,
        None,
    ]
    assert module.choice(True) == 1
