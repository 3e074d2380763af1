"""A supernet and its report card, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netwright.commands.output import moment, number, print_fields, print_table, with_error
from netwright.progress import duration

Json = Mapping[str, Any]
PANEL = ("smallest", "largest")


def print_supernet(data: Json) -> None:
    """What it is, what it was trained on and for how long, and how its subnets do; all of it with ``--json``."""
    splits = (data.get("data") or {}).get("splits") or {}
    training, report = data.get("training") or {}, data.get("report") or {}
    recipe = (data.get("recipe") or {}).get("name")
    print_fields(
        {
            "id": data["id"],
            "name": data["name"],
            "family": data.get("family"),
            "source": data.get("source"),
            "created": moment(data["created_at"]) if data.get("created_at") else None,
            "quality": data.get("quality"),
            "subnets": number(float(data["space_size"])) if data.get("space_size") else None,
            "data": (data.get("data") or {}).get("name"),
            "images": ", ".join(f"{number(float(split['n']))} {name}" for name, split in splits.items())
            or None,
            "classes": len(data.get("classes") or []) or None,
            "recipe": recipe,
            "training": _cost(training),
            "weights": data.get("weights_sha256"),
            "licence": data.get("licence"),
        }
    )
    if report.get("summary"):
        _print_summary(report["summary"], str(data.get("quality")))
    if report.get("panel"):
        _print_panel(report["panel"])
    if report.get("random"):
        found = report["random"]
        print_fields(
            {
                "Spearman of MACs and quality": found.get("spearman_macs_quality"),
                "of random subnets": found.get("n"),
                "noise ceiling": found.get("noise_ceiling"),
            }
        )


def _cost(training: Json) -> str | None:
    if not training.get("steps"):
        return None
    passes = f", {number(float(training['passes']))} subnet passes" if training.get("passes") else ""
    taken = f", {duration(training['seconds'])}" if training.get("seconds") else ""
    return f"{number(float(training['steps']))} steps{passes}{taken}"


def _print_summary(summary: Json, quality: str) -> None:
    rows = [
        (split, *(_value(found.get(name)) for name in PANEL), found.get("panel_mean"))
        for split, found in summary.items()
    ]
    print_table((f"{quality} on", *PANEL, "panel mean"), rows)


def _print_panel(panel: list[Json]) -> None:
    rows = [
        (
            number(float(row["macs"])),
            number(float(row["params"])),
            _value(row.get("validation")),
            _value(row.get("test")),
        )
        for row in sorted(panel, key=lambda row: row["macs"])
    ]
    print_table(("MACs", "params", "on validation", "on test"), rows)


def _value(found: Json | None) -> str:
    return with_error(found["value"], found.get("standard_error")) if found else "-"
