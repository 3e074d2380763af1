"""The report card of a predictor, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from netwright.commands.output import print_fields, print_table, stdout, words
from netwright.resources.predictors import Predictor

Json = Mapping[str, Any]
HEAD = ("id", "metric", "unit", "kind", "supernet", "target", "state", "rows", "stale", "version")
FIGURES = {
    "n": "held-out rows",
    "spearman": "Spearman",
    "kendall": "Kendall",
    "noise_ceiling": "noise ceiling",
    "mape": "mean error",
    "median_ape": "median error",
    "bias": "bias",
    "coverage90": "90 % interval covers",
    "width90": "and is wide",
    "interval_score": "interval score",
    "note": "note",
}
PERCENT = ("mape", "median_ape", "bias", "coverage90", "width90")


def print_card(predictor: Predictor) -> None:
    """What it is, how good it is on rows it has not seen, why this kind, where it errs, how many rows are enough."""
    print_fields(predictor.data, HEAD)
    card: Json = predictor["report"] or {}
    print_fields({label: figure(card, name) for name, label in FIGURES.items() if card.get(name) is not None})
    if card.get("choice"):
        _print_choice(card["choice"])
    if card.get("worst"):
        rows = [
            (percent(row["error"]), row["predicted"], row["measured"], words(row["arch"]))
            for row in card["worst"]
        ]
        say("furthest off")
        print_table(("error", "predicted", "measured", "arch"), rows)
    if card.get("learning_curve"):
        _print_curve(card)


def figure(card: Json, name: str) -> Any:
    """A figure of a card; errors and shares in percent."""
    value = card[name]
    return percent(value) if name in PERCENT else value


def percent(value: float | None) -> str | None:
    """``0.0213`` as ``2.1 %``, ``0.0004`` as ``0.04 %``."""
    if value is None:
        return None
    return f"{100 * value:.1f} %" if abs(value) >= 0.01 else f"{100 * value:.2f} %"


def _print_choice(choice: Json) -> None:
    rows = [
        (
            each["kind"],
            each["interval_score"],
            each["standard_error"],
            each["spearman"],
            percent(each["mape"]),
            percent(each["coverage90"]),
            each["note"],
        )
        for each in choice["candidates"]
    ]
    columns = ("kind", "interval score", "±", "Spearman", "mean error", "covers", "note")
    say(choice["reason"])
    print_table(columns, rows)


def say(line: str) -> None:
    """A line of its own: a table's title would be folded to the table's width."""
    stdout().print(escape(line), soft_wrap=True, highlight=False)


def _print_curve(card: Json) -> None:
    rows = [
        (step["rows"], percent(step["mape"]), percent(step["mape_error"]), step["spearman"])
        for step in card["learning_curve"]
    ]
    enough = card.get("enough_rows")
    if enough is not None:
        say(f"{enough} rows are enough: more brought error and interval down by less than a tenth")
    elif len(rows) > 1:
        say("the error still falls: more rows would help")
    else:
        say("too few rows to say whether more would help")
    print_table(("rows", "mean error", "±", "Spearman"), rows)
