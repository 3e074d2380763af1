"""A progress bar with an estimate of the time left, for anything that tells ``{done, total, eta_s}``."""

from __future__ import annotations

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

        def show(job: Mapping[str, Any]) -> None:
            told = job.get("progress") or {}
            message = job.get("message") or job.get("state") or ""
            words = " · ".join(word for word in (title, message) if word)
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
