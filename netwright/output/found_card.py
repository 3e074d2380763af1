"""What was found in a network that is converted, for people."""

from __future__ import annotations

from collections.abc import Iterator

from netwright.client.http.models import Object
from netwright.output.printing import Line, Section, Table, number

MOST_SHOWN = 40


def found_sections(found: Object) -> Iterator[Section]:
    """Axes, what stays and why, the costs of the smallest and the largest network, and about how long they take."""
    axes, frozen = found["axes"], found["frozen"]
    rows = [
        (
            axis["name"],
            axis["kind"],
            " ".join(str(each["kept"]) for each in axis["choices"]),
            axis["removing"],
        )
        for axis in axes[:MOST_SHOWN]
    ]
    title = f"{len(axes)} axes, {found['subnets']:.4g} subnets"
    yield Table(("axis", "kind", "keeps", "removing"), rows, title)
    yield from _more(axes)
    if frozen:
        stays = [
            (each["module"], f"{each['count']} of {each['of']}", _reason(each))
            for each in frozen[:MOST_SHOWN]
        ]
        yield Table(("module", "channels", "reason"), stays, "what stays")
        yield from _more(frozen)
    costs: Object = found["costs"]
    names = list(dict.fromkeys(name for each in costs.values() for name in each))
    yield Table(
        ("", *names), [(end, *(number(each.get(name)) for name in names)) for end, each in costs.items()]
    )
    for each in found.get("latency") or []:
        error = f", {each['error']:.0%} off for other spaces" if each["error"] is not None else ""
        yield Line(
            f"about {each['smallest']:.3g} to {each['largest']:.3g} ms on {each['name']} (from the costs of "
            f"{each['rows']} measured subnets of other supernets{error})"
        )


def _reason(each: Object) -> str:
    return f"{each['reason']} at {each['line']}" if each.get("line") else str(each["reason"])


def _more(things: list[Object]) -> Iterator[Section]:
    if len(things) > MOST_SHOWN:
        yield Line(f"and {len(things) - MOST_SHOWN} more")
