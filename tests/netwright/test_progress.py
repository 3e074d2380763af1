"""The progress bar on narrow and on wide terminals."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from netwright.progress import WAIT, Lines, Shown, bar, steps

LONG = (
    "epoch 1.2 | loss max 2.292 random1 2.303 random2 2.303 min 2.303 | accuracy smallest 0.2 | 31.5 passes/s"
)


def drawn(width: int, message: str) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with bar("training mine", console) as show:
        show(Shown(message, 5, 20, 75))
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


AGENTLESS = "30 nets wait for an agent of target 'board', none is connected; `netwright agent` on the device starts one"


def log_console() -> Console:
    return Console(file=io.StringIO(), width=100)


def printed(console: Console) -> list[str]:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_in_a_log_every_new_thing_is_a_line_and_counting_is_not() -> None:
    log, time = log_console(), [0.0]
    lines = Lines(log, lambda: time[0])
    for word in (
        "",
        "queued",
        "writing net 1 of 30",
        "writing net 2 of 30",
        AGENTLESS,
        "writing net 3 of 30",
    ):
        lines(word)
    assert printed(log) == ["queued", "writing net 1 of 30", AGENTLESS]
    time[0] = 61.0
    lines(AGENTLESS)
    assert printed(log)[3:] == []
    lines("writing net 4 of 30")
    lines("writing net 5 of 30")
    assert printed(log)[3:] == ["writing net 4 of 30"]


def test_a_bar_in_a_log_says_what_it_waits_for_before_it_ends() -> None:
    log = log_console()
    with bar("report card", log) as show:
        tell = steps(show)
        tell("writing", 1, 4)
        tell(WAIT, 1, 3600)
        tell(WAIT, 2, 3600)
        words = "report card · another measuring run is on this machine; waiting 1 s for it"
        assert printed(log) == ["report card · writing · 1/4", words]


def test_a_log_has_count_and_time_left() -> None:
    log, time = log_console(), [0.0]
    lines = Lines(log, lambda: time[0])
    for step, eta_s in ((1, 130.0), (2, 65.0), (3, 1.0)):
        lines("training mine · epoch 0.1", Shown("epoch 0.1", step, 40, eta_s))
        time[0] += 61.0
    assert printed(log) == [
        "training mine · epoch 0.1 · 1/40, 2 min 10 s left",
        "training mine · epoch 0.1 · 2/40, 1 min 05 s left",
        "training mine · epoch 0.1 · 3/40, 1 s left",
    ]
