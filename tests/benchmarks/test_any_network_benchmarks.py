"""The benchmarks of converted networks: what is removed is found by value, arms are done once and compared."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmarks import any_network_nets, any_network_removed, any_network_training
from tests.convert.networks import CONVERTED, built


def test_what_is_removed_is_compared_with_the_original_by_value() -> None:
    case = next(each for each in CONVERTED if each.name == "residual")
    net = SimpleNamespace(
        name=case.name, build=lambda: built(case), inputs=case.inputs, out=lambda y: y, heads=()
    )
    found = any_network_removed.compared(net, any_network_removed.ours)
    assert isinstance(found["removed"], float) and isinstance(found["difference"], float)
    assert 0.3 <= found["removed"] <= 0.6 and found["difference"] <= 1e-4
    failed = any_network_removed.compared(net, lambda _: nn.Linear(3, 3))
    assert set(failed) == {"failed"}
    text = any_network_removed.table({"residual": {"Netwright": found, "other": failed}})
    assert f"| residual | .{round(1000 * found['removed']):03d} | " in text


def test_parts_that_are_not_of_the_original_are_recognised() -> None:
    before = torch.arange(12.0).reshape(3, 4)
    kept = any_network_removed._kept(before, before[1:, ::2].clone())
    assert kept is not None and kept.tolist() == [[0, 0, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]]
    assert any_network_removed._kept(before, before + 0.5) is None


def test_macs_of_the_base_are_those_of_its_layers() -> None:
    net = any_network_nets.resnet(1)
    first = 32 * 32 * 3 * 16 * 9
    block = 2 * 32 * 32 * 16 * 16 * 9
    second = 16 * 16 * (16 * 32 * 9 + 32 * 32 * 9 + 16 * 32)
    third = 8 * 8 * (32 * 64 * 9 + 64 * 64 * 9 + 32 * 64)
    assert any_network_nets.macs(net) == first + block + second + third + 640


def test_a_done_arm_is_not_done_again_and_other_settings_are_refused(tmp_path: Path) -> None:
    settings = {"steps": 4, "passes": 8, "batch_size": 2, "blocks": 1}
    given = argparse.Namespace(json=tmp_path, net="resnet", **settings)
    row = {"accuracy": 0.5, "macs": 10.0}
    result = {"arm": "base", "seed": 0, "settings": settings, "nets": [row], "cpu_seconds": 1.0}
    (tmp_path / "base-0.json").write_text(json.dumps(result))
    sliced = {**result, "arm": "sliced", "nets": [{**row, "accuracy": 0.25}] * 5}
    (tmp_path / "sliced-0.json").write_text(json.dumps(sliced))
    setup = any_network_training.Setup(None, 0, given)  # type: ignore[arg-type]
    any_network_training.unit("base", setup)
    text = any_network_training.table(tmp_path)
    assert "| base | 1 | .5000 at 1.00" in text and "| sliced | 1 | .2500 | .2500" in text
    other = {**sliced, "seed": 1, "nets": [{**row, "accuracy": 0.75}] * 5}
    (tmp_path / "sliced-1.json").write_text(json.dumps(other))
    text = any_network_training.table(tmp_path)
    assert "| sliced | 2 | .5000 |" in text and "| .5000 (.2500 to .7500) |" in text
    given.passes = 9
    with pytest.raises(SystemExit, match="other settings"):
        any_network_training.unit("base", setup)
