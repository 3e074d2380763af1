"""A progress bar with an estimate of the time left, for anything that tells ``{done, total, eta_s}``.

Where there is no terminal a line is printed in place of it when something new is done, so that no log falls silent.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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

BESIDE = 60
"""Columns that spinner, bar, count and times take beside the words."""
Show = Callable[[Mapping[str, Any]], None]
Tell = Callable[[str, int, int], None]
WAIT = "wait"  # the step of a measuring run that waits for another one on its machine, told in seconds
LINE_EVERY_S = 60.0


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
    """Yield a function that draws a job's JSON: title or message, bar, count, time taken, time left.

    A message too long to stand beside the bar stands below it, in as many lines as it needs.
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

        def show(job: Mapping[str, Any]) -> None:
            told = job.get("progress") or {}
            message = job.get("message") or job.get("state") or ""
            words = " · ".join(word for word in (title, message) if word)
            lines(words)
            fits = len(words) + BESIDE <= progress.console.width
            progress.below = "" if fits else message
            progress.update(
                task,
                description=words if fits else title,
                completed=told.get("done", 0),
                total=told.get("total") or None,
                left=f"{duration(told.get('eta_s'))} left" if told.get("eta_s") is not None else "",
            )

        yield show


class Lines:
    """Prints, where there is no terminal, what a bar would show."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._kinds: set[str] = set()
        self._last, self._at = "", clock()

    def __call__(self, words: str) -> None:
        """Print these words, unless they only count on what was printed less than a minute ago."""
        if self._console.is_terminal or not words:
            return
        kind, now = re.sub(r"\d[\d.,]*", "#", words), self._clock()
        again = words != self._last and now - self._at >= LINE_EVERY_S
        if kind not in self._kinds or again:
            self._console.print(words, highlight=False, markup=False, soft_wrap=True)
            self._kinds.add(kind)
            self._last, self._at = words, now


def steps(show: Show) -> Tell:
    """Draw the steps of a measuring run; one that waits for another run on its machine says so."""

    def tell(step: str, done: int, total: int) -> None:
        if step == WAIT:
            words = f"another measuring run is on this machine; waiting {done} s for it"
            show({"progress": {}, "message": words})
        else:
            show({"progress": {"done": done, "total": total}, "message": step})

    return tell


def duration(seconds: float | None) -> str:
    """Seconds as people say them: ``41 s``, ``2 min 05 s``, ``3 h 12 min``."""
    if seconds is None:
        return "?"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
