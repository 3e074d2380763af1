"""The progress bar on narrow and on wide terminals."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from netwright.progress import bar

LONG = (
    "epoch 1.2 | loss max 2.292 random1 2.303 random2 2.303 min 2.303 | accuracy smallest 0.2 | 31.5 passes/s"
)


def drawn(width: int, message: str) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with bar("training mine", console) as show:
        show({"progress": {"done": 5, "total": 20, "eta_s": 75}, "message": message})
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_word_of_a_long_message_is_lost(width: int) -> None:
    lines = " ".join(drawn(width, LONG).split())
    assert "…" not in lines
    for words in (LONG, "training mine", "5/20", "1 min 15 s left", "━━━"):
        assert words in lines


def test_a_short_message_stands_beside_the_bar() -> None:
    assert "training mine · evaluating ━" in drawn(100, "evaluating")
