"""The data report as sections of output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netwright.client.http.decode import read
from netwright.client.http.models import DataReport, Details
from netwright.client.resource import counted
from netwright.output.printing import Fields, Line, Section, Table, number

SHOWN = 20
"""The most classes that are listed."""


def report_sections(answer: Mapping[str, object]) -> Iterator[Section]:
    """Classes and their counts in each split, how the examples are loaded, errors and warnings."""
    report = read(DataReport, answer)
    splits = report.splits
    if splits:
        names = list(next(iter(splits.values())).classes)
        rows = [
            (name, *(number(split.classes.get(name, 0)) for split in splits.values()))
            for name in names[:SHOWN]
        ]
        if len(names) > SHOWN:
            rows.append((f"{len(names) - SHOWN} more classes", *("" for _ in splits)))
        rows.append((_noun(report) + "s", *(number(split.images) for split in splits.values())))
        yield Table(("class", *splits), rows)
        yield Fields(_facts(report))
    for problem in report.problems:
        yield Line(f"{problem.level}: {problem.message} [{problem.code}]")


def _noun(report: DataReport) -> str:
    return "text" if report.details is not None and report.details.reads == "text" else "image"


def _facts(report: DataReport) -> dict[str, str | None]:
    """How the images are stored and loaded."""
    details = report.details or Details()
    side, kind = report.resolution, "grey" if report.channels == 1 else "RGB"
    found: dict[str, str | None] = {"loaded as": None if side is None else f"{side}x{side} {kind}"}
    if details.tokens:
        found = {"tokens": ", ".join(f"{name} {count:,}" for name, count in details.tokens.items())}
    for name, split in report.splits.items():
        if (pixels := split.pixels) is not None:
            found[f"pixels of {name}"] = (
                f"mean {pixels.mean:.3f}, deviation {pixels.std:.3f} of 0..1, "
                f"{pixels.distinct_values} distinct values"
            )
    for word, counts in (("modes", details.modes), ("sizes", details.sizes), ("left out", details.skipped)):
        if counts:
            found[word] = ", ".join(f"{name}: {count:,}" for name, count in counts.items())
    if details.cropped:
        found["cropped"] = f"{details.cropped:.0%} of an image on average (fit={details.fit})"
    if details.range:
        low, high = details.range
        found["range"] = f"{low:g}..{high:g} become black to white"
    if made := details.made:
        found["cut out of train"] = " and ".join(
            f"{name} ({counted(count, _noun(report))})" for name, count in made.items()
        )
    return found
