"""What was found in a network that is converted, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netwright.client.http.models import ConversionView, RoughLatency, StaysRecord
from netwright.output.printing import Line, Section, Table, number

MOST_SHOWN = 40


def found_sections(found: ConversionView) -> Iterator[Section]:
    """Axes, what stays and why, the costs of the smallest and the largest network, and about how long they take."""
    rows = [
        (axis.name, axis.kind, " ".join(str(each.kept) for each in axis.choices), axis.unit, axis.removing)
        for axis in found.axes[:MOST_SHOWN]
    ]
    title = f"{len(found.axes)} axes, {found.subnets:.4g} subnets; kept by {found.importance}"
    yield Table(("axis", "kind", "keeps", "at a time", "removing"), rows, title)
    yield from _more(found.axes)
    if found.frozen:
        stays = [
            (each.module, f"{each.count} of {each.of}", _reason(each)) for each in found.frozen[:MOST_SHOWN]
        ]
        yield Table(("module", "channels", "reason"), stays, "what stays")
        yield from _more(found.frozen)
    names = list(dict.fromkeys(name for each in found.costs.values() for name in each))
    costs = [
        (end, *(number(each[name]) for name in names if name in each)) for end, each in found.costs.items()
    ]
    yield Table(("", *names), costs)
    for each in found.latency:
        yield _latency(each)


def _latency(each: RoughLatency) -> Line:
    error = f", {each.error:.0%} off for other spaces" if each.error is not None else ""
    return Line(
        f"about {each.smallest:.3g} to {each.largest:.3g} ms on {each.name} (from the costs of "
        f"{each.rows} measured subnets of other supernets{error})"
    )


def _reason(each: StaysRecord) -> str:
    return f"{each.reason} at {each.line}" if each.line else each.reason


def _more(things: Sequence[object]) -> Iterator[Section]:
    if len(things) > MOST_SHOWN:
        yield Line(f"and {len(things) - MOST_SHOWN} more")
