"""A progress bar with an estimate of the time left.

Without a terminal a line is printed instead: when something new starts, and once a minute with count and time left.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

OTHER_COLUMNS = 60
"""Columns that spinner, bar, count and times take next to the words."""
WAIT = "wait"  # the step of a measuring run that waits for another one on its machine; its count is seconds
LINE_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a progress bar shows; ``eta_s`` is the time left in seconds, None where it is not known."""

    message: str = ""
    done: int = 0
    total: int = 0
    eta_s: float | None = None

    @property
    def left(self) -> str:
        """The time left in words."""
        return "" if self.eta_s is None else f"{duration(self.eta_s)} left"


Show = Callable[[Shown], None]
OnStep = Callable[[str, int, int], None]


class _Drawn(Progress):
    """A bar with words ``below`` it."""

    below = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, then the words."""
        yield from super().get_renderables()
        if self.below:
            yield Padding(Text(self.below), (0, 0, 0, 2))


@contextmanager
def bar(title: str = "", console: Console | None = None) -> Iterator[Show]:
    """Yield a function that draws a :class:`Shown`: title and message, bar, count, time taken, time left.

    A message that is too long for the bar's line is shown below it.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with _Drawn(*columns, console=console or Console(stderr=True), transient=False) as progress:
        task = progress.add_task(title or "waiting", total=None, left="")
        lines = Lines(progress.console)

        def show(shown: Shown) -> None:
            words = " · ".join(word for word in (title, shown.message) if word)
            lines(words, shown)
            fits = len(words) + OTHER_COLUMNS <= progress.console.width
            progress.below = "" if fits else shown.message
            progress.update(
                task,
                description=words if fits else title,
                completed=shown.done,
                total=shown.total or None,
                left=shown.left,
            )

        yield show


class Lines:
    """Prints, where there is no terminal, what a bar would show."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._kinds: set[str] = set()
        self._last, self._at = "", clock()

    def __call__(self, words: str, shown: Shown | None = None) -> None:
        """Print these words; those that differ from earlier ones in their numbers only, at most once a minute."""
        if self._console.is_terminal or not words:
            return
        kind, now = re.sub(r"\d[\d.,]*", "#", words), self._clock()
        if shown is not None and shown.total:
            words = ", ".join(filter(None, [f"{words} · {shown.done}/{shown.total}", shown.left]))
        again = words != self._last and now - self._at >= LINE_EVERY_S
        if kind not in self._kinds or again:
            self._console.print(words, highlight=False, markup=False, soft_wrap=True)
            self._kinds.add(kind)
            self._last, self._at = words, now


class TrainingBar:
    """Draws the events of a training job: epoch, losses by role, quality of the extremes, speed, time left.

    The quality, which is evaluated seldom, stays in sight.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._quality: dict[str, float] = {}
        self._shown = Shown()

    def __call__(self, type: str, data: Mapping[str, Any]) -> None:
        """Draw an event of this type."""
        if type == "state":
            self._shown = Shown(str(data.get("state") or ""))
        elif type == "progress":
            metrics = data.get("metrics") or {}
            self._quality.update(metrics.get("quality") or {})
            message = self._words(metrics) if metrics.get("losses") else data.get("message")
            eta_s = metrics.get("eta_s", data.get("eta_s"))
            message = message or self._shown.message
            self._shown = Shown(message, data.get("done") or 0, data.get("total") or 0, eta_s)
        self._show(self._shown)

    def _words(self, metrics: Mapping[str, Any]) -> str:
        parts = [
            f"epoch {metrics['epoch']:.1f}" if metrics.get("epoch") is not None else "",
            "loss " + " ".join(f"{role} {loss:.3f}" for role, loss in metrics["losses"].items()),
            f"{metrics.get('metric', 'quality')} "
            + " ".join(f"{end} {value:.3f}" for end, value in self._quality.items())
            if self._quality
            else "",
            f"{metrics['passes_per_second']:.1f} passes/s" if metrics.get("passes_per_second") else "",
        ]
        return " | ".join(part for part in parts if part)


def steps(show: Show) -> OnStep:
    """Draw the steps of a measuring run, and its wait for another run on the same machine."""

    def on_step(step: str, done: int, total: int) -> None:
        if step == WAIT:
            show(Shown(f"another measuring run is on this machine; waiting {done} s for it"))
        else:
            show(Shown(step, done, total))

    return on_step


def duration(seconds: float | None) -> str:
    """Seconds in words: ``41 s``, ``2 min 05 s``, ``3 h 12 min``."""
    if seconds is None:
        return "?"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
