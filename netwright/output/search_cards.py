"""What is shown of searches and profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netwright.client.http.models import ComparedFront, ConstraintBody, ProfileView, Unmet, Violation
from netwright.client.resource import counted
from netwright.client.searches import Comparison, Search
from netwright.errors import Action
from netwright.output.front_cards import front_card, with_names
from netwright.output.hints import as_command
from netwright.output.printing import Fields, Line, Section, Table, cell, number, percent

Names = Mapping[str, str]
COLUMNS = ("id", "supernet", "state", "feasible", "points", "evaluations", "limits", "targets", "created")
TIMES = 10.0  # a limit missed by more is reported as a factor, not in percent


def searches_table(searches: Sequence[Search], targets: Names, supernets: Names) -> Table:
    """A line a search."""
    return Table(COLUMNS, [_summary(search, targets, supernets) for search in searches])


def _summary(search: Search, targets: Names, supernets: Names) -> list[object]:
    spent = f"{search.evaluations.done}/{search.evaluations.budget}"
    if search.evaluations.reused:
        spent += f" + {search.evaluations.reused} reused"
    limits = [f"{_on(row, targets)} {side}" for row in search.constraints for side in _sides(row)]
    return [
        search.id,
        supernets.get(search.supernet, search.supernet),
        search.state,
        search.feasible,
        search.points,
        spent,
        ", ".join(limits),
        ", ".join(targets.get(target, target) for target in search.targets),
        search.created_at,
    ]


def search_card(search: Search, targets: Names, supernets: Names) -> Iterator[Section]:
    """Everything about it but its front."""
    yield Fields(dict(zip(COLUMNS, _summary(search, targets, supernets), strict=True)))
    yield Fields(
        {
            "objectives": " ".join(search.objectives),
            "front": search.front_kind,
            "restrict": search.restrict or None,
            "confidence": search.confidence,
            "algorithm": search.algorithm,
            "seed": search.seed,
            "labels": search.labels or None,
            "elsewhere": _elsewhere(search, supernets),
            "extends": search.extends,
            "job": search.job_id,
            "ended because of": search.provenance.get("stopped"),
        }
    )
    yield from _history(search, targets)
    for warning in search.warnings:
        yield Line(with_names(warning, targets), warning=True)
    if search.nearest:
        yield Line(_nearest(search, targets))


def _elsewhere(search: Search, supernets: Names) -> str | None:
    """Evaluations by other supernets that were a prior of quality, with their weights."""
    used = [
        f"{supernets.get(each.supernet, each.supernet)} ({each.rows} evaluations, weight {each.weight:.2f})"
        for each in search.elsewhere
    ]
    return ", ".join(used) or None


def result_card(search: Search, targets: Names) -> Iterator[Section]:
    """The front of a search that has ended, or the nearest subnet."""
    yield Line(f"search {search.id}")
    front = search.front() if search.feasible is not False else None
    # Warnings state the noise of each target's front; of a single front it is a note under the table.
    apart = search.front_kind == "per_target" and len(search.targets) > 1
    for warning in search.warnings:
        if front is None or warning != front.noise:
            yield Line(with_names(warning, targets), warning=True)
    if front is None:
        yield Line(_without_front(search, targets))
    else:
        yield from front_card(front, targets, noise=not apart)


def _history(search: Search, targets: Names) -> Iterator[Section]:
    """How the hypervolume grew; its unit is the product of the objectives' units."""
    for target in dict.fromkeys(row.target for row in search.history):
        reference = ", ".join(
            f"{row.metric} {cell(row.value)}" for row in search.reference_point if row.target == target
        )
        of = f" on {targets.get(target, target)}" if target else ""
        rows = [
            (row.evaluations, row.seconds, row.hypervolume) for row in search.history if row.target == target
        ]
        title = f"hypervolume of the front{of}, up to {reference}"
        yield Table(("evaluations", "seconds", "hypervolume"), rows, title)


def _without_front(search: Search, targets: Names) -> str:
    """Why a search has no front: nothing could be judged, or what was judged misses a limit."""
    if search.nearest is None:
        return (
            "No subnet could be judged: none has a usable value of every limit and objective. "
            f"`netwright search extend {search.id}` measures again"
        )
    return f"The limits cannot be met. {_nearest(search, targets)}"


def _nearest(search: Search, targets: Names) -> str:
    """The subnet that misses the limits least, and by how much."""
    assert search.nearest is not None
    misses = [
        f"{_on(miss, targets)} {cell(miss.value)}, the limit is {' and '.join(_sides(miss))} ({_by(miss)})"
        for miss in search.nearest.violations
    ]
    return f"The nearest subnet is {search.nearest.subnet}: {'; '.join(misses)}"


def comparison_card(comparison: Comparison) -> Iterator[Section]:
    """Hypervolumes side by side, then the new points of each front."""
    reference = ", ".join(f"{name} {cell(value)}" for name, value in comparison.reference_point.items())
    rows = [
        (
            each.search,
            len(each.points),
            each.hypervolume,
            percent(each.share),
            each.best,
            each.new,
            each.common,
        )
        for each in comparison.fronts
    ]
    columns = ("search", "points", "hypervolume", "share of all", "best of all", "new", "common")
    yield Table(columns, rows, f"hypervolume up to {reference}" if reference else None)
    for each in comparison.fronts[1:]:
        yield Line(_common(comparison, each))
        new = [point for point in each.points if point.new]
        cells = [
            (
                *(point.values.get(name) for name in comparison.objectives),
                "yes" if point.best else None,
                point.subnet,
            )
            for point in new
        ]
        heads = (*comparison.objectives, "best of all", "subnet")
        yield Table(heads, cells, f"{counted(len(new), 'new point')} of {each.search}")


def _common(comparison: Comparison, front: ComparedFront) -> str:
    """How many subnets of a front the base has too, and how far their values differ."""
    base = comparison.fronts[0]
    known = {point.subnet: point.values for point in base.points}
    pairs = [
        (point.values[name], known[point.subnet][name])
        for point in front.points
        if point.subnet in known
        for name in comparison.objectives
    ]
    largest = max((abs(ours - theirs) / (abs(theirs) or 1.0) for ours, theirs in pairs), default=0.0)
    text = (
        f"{front.common} of the {counted(len(front.points), 'subnet')} of {front.search} "
        f"{'is' if front.common == 1 else 'are'} on the front of {base.search} too"
    )
    if largest > 0:
        text += f"; their values differ by up to {percent(largest)}, the noise of measuring the same subnets again"
    return text


def profile_card(profile: ProfileView, targets: Names) -> Iterator[Section]:
    """The range of every metric, and whether the limits can be met."""
    columns = ("metric", "target", "unit", "smallest", "centroid", "largest", "best", "worst", "source")
    rows = [
        (
            *(row.metric, targets.get(row.target or "", row.target), row.unit, row.smallest, row.centroid),
            *(row.largest, row.best, row.worst, row.source),
        )
        for row in profile.metrics
    ]
    yield Table(columns, rows)
    yield Line(_satisfiable(profile))
    for unmet in profile.unmet:
        sides = " and ".join(_sides(unmet))
        yield Line(f"cannot be met: {_on(unmet, targets)} {sides}; the nearest subnet has {cell(unmet.best)}")
    for action in profile.missing:
        yield Line(f"missing: {as_command(Action(action.method, action.path, action.body or {}))}")


def _satisfiable(profile: ProfileView) -> str:
    sampled = profile.sampled
    if profile.satisfiable is None:
        return "satisfiable: not known, predictors are missing"
    if profile.satisfiable and profile.share == 0:
        return f"satisfiable: yes, but by none of {sampled} sampled subnets; a search found one that is"
    share = "-" if profile.share is None else f"{number(round(100 * profile.share, 2))} %"
    return f"satisfiable: {cell(profile.satisfiable)}, by {share} of {sampled} sampled subnets"


def _sides(limit: ConstraintBody | Unmet | Violation) -> list[str]:
    """``>= 0.9``, ``<= 20``, or both."""
    return [
        f"{sign} {cell(value)}" for sign, value in ((">=", limit.min), ("<=", limit.max)) if value is not None
    ]


def _by(miss: Violation) -> str:
    """By how much a limit is missed."""
    if miss.excess >= TIMES:
        return f"{1 + miss.excess:.3g} times as much"
    return f"{number(round(100 * miss.excess, 1))} % {'over' if miss.max is not None else 'short'}"


def _on(row: ConstraintBody | Unmet | Violation, targets: Names) -> str:
    """The metric of a limit, and its target where it has one."""
    return f"{row.metric} on {targets.get(row.target, row.target)}" if row.target else row.metric
