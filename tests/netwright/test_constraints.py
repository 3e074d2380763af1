from __future__ import annotations

from typing import Any

import pytest

from netwright.constraints import as_constraints, parse_limit
from netwright.errors import NetwrightError


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
        ({"min_bleu": 30}, [{"metric": "bleu", "min": 30}]),
        ([{"metric": "x", "max": 1, "target": "t"}], [{"metric": "x", "max": 1, "target": "t"}]),
        ({}, []),
        ((), []),
    ],
)
def test_shorthand(shorthand: Any, rows: list[dict[str, Any]]) -> None:
    assert as_constraints(shorthand) == rows


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("latency_ms=20", {"metric": "latency_ms", "max": 20.0}),
        ("latency_ms <= 2e-2", {"metric": "latency_ms", "max": 0.02}),
        ("accuracy>=0.9", {"metric": "accuracy", "min": 0.9}),
        ("accuracy=0.9", {"metric": "accuracy", "min": 0.9}),
        ("bleu>=30", {"metric": "bleu", "min": 30.0}),
        ("latency_ms@pi=20", {"metric": "latency_ms", "target": "pi", "max": 20.0}),
        ("latency_ms@tgt_1 >= 2", {"metric": "latency_ms", "target": "tgt_1", "min": 2.0}),
    ],
)
def test_typed_limits(text: str, row: dict[str, Any]) -> None:
    assert parse_limit(text) == row


@pytest.mark.parametrize(
    "text", ["", "latency_ms", "latency_ms=fast", "latency_ms<=", "latency_ms>3", "latency_ms@=3"]
)
def test_a_limit_that_cannot_be_read_shows_how(text: str) -> None:
    with pytest.raises(NetwrightError, match="must look like latency_ms=20"):
        parse_limit(text)


def test_an_unknown_direction_is_not_guessed() -> None:
    with pytest.raises(NetwrightError, match=r"max_bleu or min_bleu.*accuracy, activation_mb"):
        as_constraints({"bleu": 30}, quality="bleu")
