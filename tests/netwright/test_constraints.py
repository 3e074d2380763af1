from __future__ import annotations

from typing import Any

import pytest

from netwright.client.constraints import as_constraints, parse_limit
from netwright.errors import NetwrightError

LOWER = ("latency_ms", "macs", "params", "activation_mb")
DIRECTIONS: Any = {**dict.fromkeys(LOWER, "max"), "accuracy": "min", "bleu": "min", "max_depth": "max"}


@pytest.mark.parametrize(
    ("shorthand", "rows"),
    [
        ({"latency_ms": 20}, [{"metric": "latency_ms", "max": 20}]),
        ({"accuracy": 0.9}, [{"metric": "accuracy", "min": 0.9}]),
        ({"max_macs": 5e6, "min_macs": 1e6}, [{"metric": "macs", "max": 5e6, "min": 1e6}]),
        (
            {"latency_ms@pi": 20, "min_latency_ms@pi": 5, "latency_ms": 30},
            [
                {"metric": "latency_ms", "target": "pi", "max": 20, "min": 5},
                {"metric": "latency_ms", "max": 30},
            ],
        ),
        ({"bleu": 30}, [{"metric": "bleu", "min": 30}]),
        ({"max_depth": 30, "min_max_depth": 2}, [{"metric": "max_depth", "max": 30, "min": 2}]),
        (
            [{"metric": "latency_ms", "max": 1, "target": "t"}],
            [{"metric": "latency_ms", "max": 1, "target": "t"}],
        ),
        ({}, []),
        ((), []),
    ],
)
def test_shorthand(shorthand: Any, rows: list[dict[str, Any]]) -> None:
    assert as_constraints(shorthand, DIRECTIONS) == rows


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("latency_ms=20", {"metric": "latency_ms", "max": 20.0}),
        ("latency_ms <= 2e-2", {"metric": "latency_ms", "max": 0.02}),
        ("latency_ms>=2", {"metric": "latency_ms", "min": 2.0}),
        ("accuracy>=0.9", {"metric": "accuracy", "min": 0.9}),
        ("accuracy=0.9", {"metric": "accuracy", "min": 0.9}),
        ("latency_ms@pi=20", {"metric": "latency_ms", "target": "pi", "max": 20.0}),
        ("latency_ms@tgt_1 >= 2", {"metric": "latency_ms", "target": "tgt_1", "min": 2.0}),
    ],
)
def test_typed_limits(text: str, row: dict[str, Any]) -> None:
    assert parse_limit(text, DIRECTIONS) == row


@pytest.mark.parametrize(
    "text", ["", "latency_ms", "latency_ms=fast", "latency_ms<=", "latency_ms>3", "latency_ms@=3", "=3"]
)
def test_a_limit_that_cannot_be_read_shows_how(text: str) -> None:
    with pytest.raises(NetwrightError, match="must look like latency_ms=20"):
        parse_limit(text, DIRECTIONS)


@pytest.mark.parametrize("text", ["latncy_ms=3", "latncy_ms<=3", "max_latncy_ms=3", "Latency_MS@pi=3"])
def test_an_unknown_metric_suggests_the_nearest(text: str) -> None:
    with pytest.raises(NetwrightError, match=r"did you mean 'latency_ms'\?\); metrics: accuracy"):
        parse_limit(text, DIRECTIONS)
    with pytest.raises(NetwrightError, match="no metric .zzz.; metrics: "):
        as_constraints([{"metric": "zzz", "max": 1}], DIRECTIONS)
