"""Limits in measured latency: what is chosen within a limit, how it is searched, and the tables."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import any_network_latency as latency
from supernets.convert import convert
from supernets.metrics import MACS
from supernets.spaces.space import Arch

SETTINGS = {"supernet": "elastic", "limits": "magnitude", "measured": 8, "evaluated": 10, "rounds": 1}


def _timing(ms: float | None) -> dict[str, Any]:
    return {"latency_ms": ms, "standard_error_ms": None if ms is None else 0.01, "verdict": "good"}


def test_the_best_subnet_measured_within_the_limit_is_chosen() -> None:
    times = {"subnet 1": _timing(1.0), "subnet 2": _timing(2.0), "subnet 3": _timing(None)}
    accuracy = [0.9, 0.5, 0.7, 0.8]
    assert latency.best_within(times, accuracy, 2.0) == 2
    assert latency.best_within(times, accuracy, 1.5) == 1
    assert latency.best_within(times, accuracy, 0.5) is None


def test_search_proposes_subnets_within_each_limit() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip
    family = convert(net, torch.randn(2, 3, 8, 8), widths=[k / 16 for k in range(4, 17)], multiple=1).family
    space = family.space()

    def macs(arch: Arch) -> float:
        return float(family.costs(space.encode([arch]))[MACS][0])

    largest = macs(space.max())
    seed: Any = SimpleNamespace(
        family=family,
        slices=[space.min()],
        seed=0,
        given=argparse.Namespace(rounds=1, finalists=2),
        quality=lambda arch, split: macs(arch) / largest if split == "validation" else 0.0,
    )
    rows = np.unique(space.sample(np.random.default_rng(0), 40), axis=0)
    known = latency.Known(np.zeros((0, space.d), dtype=np.int64), np.zeros(0), [])
    known.add(seed, rows)
    known.latency = np.array([macs(arch) / 1e5 for arch in space.decode(rows)])
    limits = [0.7 * largest / 1e5, 0.4 * largest / 1e5]
    latency.search(seed, known, limits)
    found = space.decode(known.rows[len(rows) + 1 :])
    assert len(found) == 4 and len(known.accuracy) == len(known.rows)
    for limit, (one, two) in zip(limits, (found[:2], found[2:]), strict=True):
        best = max(macs(arch) / 1e5 for arch in (one, two))
        assert 0.7 * limit <= best <= 1.02 * limit
    again = latency.Known.read(json.loads(json.dumps(known.as_json())))
    assert np.array_equal(again.rows, known.rows) and again.accuracy == known.accuracy


def test_tables_hold_latency_beside_accuracy_and_a_done_seed_is_not_done_again(tmp_path: Path) -> None:
    peers = [{"share": s, "accuracy": 0.5, **_timing(2 * s)} for s in latency.SHARES]
    own = [
        {"limit_ms": 2 * s, "chosen": {"w": 1}, "accuracy": 0.52, **_timing(1.9 * s)} for s in latency.SHARES
    ]
    own[-1] = {"limit_ms": 0.4, "chosen": None}
    settings = {**SETTINGS, "finalists": 2}
    result = {"seed": 0, "settings": settings, "arms": {"magnitude": peers}, "limits": own}
    (tmp_path / "latency").mkdir()
    (tmp_path / "latency" / "0.json").write_text(json.dumps(result))
    text = latency.tables(tmp_path)
    assert "| magnitude | 1 | 1.500 ± .010 ms, .5000 | 1.200 ± .010 ms, .5000 |" in text
    assert "| .75 of the MACs | 1 | 1.500 ± .010 ms | .5000 | 1.425 ± .010 ms | .5200 | +2.0 points |" in text
    assert "no finalist was within the limit" in text
    given = argparse.Namespace(**settings)
    latency.unit(latency.Seed(tmp_path, 0, None, given), None)  # type: ignore[arg-type]
    given.finalists = 3
    with pytest.raises(SystemExit, match="other settings"):
        latency.unit(latency.Seed(tmp_path, 0, None, given), None)  # type: ignore[arg-type]
