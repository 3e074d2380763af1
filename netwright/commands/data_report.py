"""The data report as sections of output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netwright.commands.output import Fields, Line, Section, Table, number

SHOWN = 20
"""The most classes that are listed."""


def report_sections(report: Mapping[str, Any]) -> Iterator[Section]:
    """Classes and their counts in each split, how the images are loaded, errors and warnings."""
    splits: Mapping[str, Any] = report["splits"]
    if splits:
        names = list(next(iter(splits.values()))["classes"])
        rows = [
            (name, *(number(split["classes"].get(name, 0)) for split in splits.values()))
            for name in names[:SHOWN]
        ]
        if len(names) > SHOWN:
            rows.append((f"{len(names) - SHOWN} more classes", *("" for _ in splits)))
        rows.append(("images", *(number(split["images"]) for split in splits.values())))
        yield Table(("class", *splits), rows)
        yield Fields(_facts(report))
    for problem in report["problems"]:
        yield Line(f"{problem['level']}: {problem['message']} [{problem['code']}]")


def _facts(report: Mapping[str, Any]) -> dict[str, str | None]:
    """How the images are stored and loaded."""
    details = report.get("details") or {}
    side, kind = report["resolution"], "grey" if report["channels"] == 1 else "RGB"
    found: dict[str, str | None] = {"loaded as": None if side is None else f"{side}x{side} {kind}"}
    for name, split in report["splits"].items():
        if (pixels := split["pixels"]) is not None:
            found[f"pixels of {name}"] = (
                f"mean {pixels['mean']:.3f}, deviation {pixels['std']:.3f} of 0..1, "
                f"{pixels['distinct_values']} distinct values"
            )
    for key, word in (("modes", "modes"), ("sizes", "sizes"), ("skipped", "left out")):
        if counts := details.get(key):
            found[word] = ", ".join(f"{name}: {count:,}" for name, count in counts.items())
    if details.get("cropped"):
        found["cropped"] = f"{details['cropped']:.0%} of an image on average (fit={details['fit']})"
    if details.get("range"):
        low, high = details["range"]
        found["range"] = f"{low:g}..{high:g} become black to white"
    if made := details.get("made"):
        found["cut out of train"] = " and ".join(f"{name} ({count:,} images)" for name, count in made.items())
    return found
