"""Searches as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from netwright.client import Client
from netwright.commands.output import cell, moment, number, print_fields, print_json, print_table
from netwright.commands.points import print_front, target_names, with_names
from netwright.resources.searches import Search

Names = Mapping[str, str]
COLUMNS = ("id", "state", "feasible", "points", "evaluations", "limits", "targets", "created")
TIMES = 10.0  # a limit missed by more is said in times, not in percent
DETAILS = (
    "objectives",
    "front",
    "restrict",
    "confidence",
    "algorithm",
    "seed",
    "labels",
    "extends",
    "job",
)


def summary(search: Search, names: Names) -> list[Any]:
    """One line of the list."""
    spent = f"{search['evaluations']['done']}/{search['evaluations']['budget']}"
    if search["evaluations"].get("reused"):
        spent += f" + {search['evaluations']['reused']} reused"
    limits = [
        f"{_on(row, names)} {sign} {cell(row[side])}"
        for row in search["constraints"]
        for side, sign in (("min", ">="), ("max", "<="))
        if row.get(side) is not None
    ]
    targets = ", ".join(names.get(target, target) for target in search.data.get("targets", []))
    created = moment(search["created_at"])
    return [
        search.id,
        search.state,
        search.feasible,
        search["points"],
        spent,
        ", ".join(limits),
        targets,
        created,
    ]


def print_result(client: Client, search: Search, as_json: bool) -> None:
    """What came out of a search that has ended."""
    front = search.front()
    if as_json:
        print_json({"search": search.data, "front": front.data})
        return
    names = target_names(client)
    for warning in search["warnings"]:
        typer.echo(f"warning: {with_names(warning, names)}")
    if search.feasible is False:
        typer.echo(f"The limits cannot be met. {nearest(search, names)}")
        return
    print_front(front, names=names)


def print_search(search: Search, names: Names) -> None:
    """Everything about it but its front."""
    print_fields(dict(zip(COLUMNS, summary(search, names), strict=True)))
    print_fields(search.data, DETAILS)
    stopped = (search.data.get("provenance") or {}).get("stopped")
    if stopped:
        print_fields({"ended because of": stopped})
    _print_history(search, names)
    for warning in search["warnings"]:
        typer.echo(f"warning: {with_names(warning, names)}")
    if search["nearest"]:
        typer.echo(nearest(search, names))


def _print_history(search: Search, names: Names) -> None:
    """How the hypervolume grew; its unit is the product of the objectives' units."""
    history = search.data.get("history", [])
    for target in dict.fromkeys(row["target"] for row in history):
        reference = ", ".join(
            f"{row['metric']} {cell(row['value'])}"
            for row in search["reference_point"]
            if row["target"] == target
        )
        of = f" on {names.get(target, target)}" if target else ""
        typer.echo(f"hypervolume of the front{of}, up to {reference}")
        rows = [
            [row["evaluations"], row["seconds"], row["hypervolume"]]
            for row in history
            if row["target"] == target
        ]
        print_table(("evaluations", "seconds", "hypervolume"), rows)


def nearest(search: Search, names: Names) -> str:
    """The subnet that misses the limits least, and by how much."""
    found = search["nearest"]
    if not found:
        return "Nothing was measured that comes near."
    misses = [
        f"{_on(miss, names)} {cell(miss['value'])} where {'<=' if miss['max'] is not None else '>='} "
        f"{cell(miss['max'] if miss['max'] is not None else miss['min'])} was asked, {_by(miss)}"
        for miss in found["violations"]
    ]
    return f"The nearest subnet is {found['subnet']}: {'; '.join(misses)}"


def share_of(profile: Mapping[str, Any]) -> str:
    """Whether the limits can be met, and by how many."""
    sampled = profile["sampled"]
    if profile["satisfiable"] is None:
        return "satisfiable: not known, predictors are missing"
    if profile["satisfiable"] and profile["share"] == 0:
        return f"satisfiable: yes, but by none of {sampled} sampled subnets; a search found one that does"
    share = "-" if profile["share"] is None else f"{number(round(100 * profile['share'], 2))} %"
    return f"satisfiable: {cell(profile['satisfiable'])}, by {share} of {sampled} sampled subnets"


def unmet_limit(limit: Mapping[str, Any], names: Names) -> str:
    """A limit that nothing seen meets, and how near anything comes."""
    sides = [
        f"{sign} {cell(limit[side])}"
        for side, sign in (("min", ">="), ("max", "<="))
        if limit[side] is not None
    ]
    return f"{_on(limit, names)} {' and '.join(sides)}; the nearest subnet has {cell(limit['best'])}"


def _by(miss: Mapping[str, Any]) -> str:
    """By how much a limit is missed, in words."""
    side, excess = "over" if miss["max"] is not None else "short", float(miss["excess"])
    return (
        f"{number(round(100 * excess, 1))} % {side}" if excess < TIMES else f"{1 + excess:.3g} times as much"
    )


def _on(row: Mapping[str, Any], names: Names) -> str:
    """The metric of a limit, and the target where it is of one."""
    target = row.get("target")
    return f"{row['metric']} on {names.get(target, target)}" if target else str(row["metric"])
