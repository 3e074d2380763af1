"""``netwright targets …``."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer

from netwright.commands.bring import import_table
from netwright.commands.output import Json, Timeout, client_of, print_json, print_table, words
from netwright.commands.points import target_names
from netwright.commands.predictors import print_predictors
from netwright.commands.target_card import print_target, settings_of
from netwright.resources.jobs import DEFAULT_TIMEOUT_S
from netwright.resources.measurements import Measurement
from netwright.resources.resource import Resource

app = typer.Typer(
    no_args_is_help=True,
    help="Hardware targets: list, add, show, refresh, measure, import, measurements, predictors.",
)
app.command("import")(import_table)
COUNT, COUNT_UNTIL = 30, 200
Target = Annotated[str, typer.Argument(help="Id or name of a target.")]


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """All targets."""
    rows = list(client_of(context).targets.list())
    if as_json:
        print_json([row.data for row in rows])
        return
    print_table(
        ("id", "name", "kind", "settings", "metrics", "agents", "stale"),
        [
            (
                r.id,
                r["name"],
                r["kind"],
                settings_of(r),
                " ".join(r["metrics"]),
                _connected(r),
                "yes" if r["stale"] else None,
            )
            for r in rows
        ],
    )


def _connected(target: Resource) -> str | None:
    """How many agents are there, of a target that has agents."""
    if target["kind"] != "agent":
        return None
    return f"{sum(agent['connected'] for agent in target['agents'])} connected"


@app.command()
def add(
    context: typer.Context,
    kind: Annotated[
        str,
        typer.Argument(
            help="cpu is the machine of the server's worker, agent another one, where an agent runs."
        ),
    ] = "cpu",
    name: Annotated[str | None, typer.Option(help="Your own name for it.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, e.g. threads=1; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Register a target."""
    target = client_of(context).targets.add(
        kind, name=name, settings=dict(_setting(text) for text in set_ or [])
    )
    print_json(target.data) if as_json else print_target(target.data)


def _setting(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise typer.BadParameter(f"a setting must look like threads=1, got {text!r}", param_hint="--set")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@app.command()
def show(context: typer.Context, target: Target, as_json: Json = False) -> None:
    """One target: device, runtime, settings, agents, and whether what was measured still holds."""
    found = client_of(context).targets.get(target)
    print_json(found.data) if as_json else print_target(found.data)


@app.command()
def refresh(context: typer.Context, target: Target, as_json: Json = False) -> None:
    """Start anew with the runtime that is there now; what was measured before is stale from then on."""
    found = client_of(context).targets.get(target).refresh()
    print_json(found.data) if as_json else print_target(found.data)


@app.command()
def measure(
    context: typer.Context,
    target: Target,
    supernet: Annotated[str, typer.Option(help="Id or name of the supernet whose subnets are measured.")],
    count: Annotated[
        int | None,
        typer.Option(min=1, help="How many subnets, at most: 30, or 200 with --until, if not given."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help='Stop when a predictor is good enough: "mape<3%", the mean error on held-out rows.'
        ),
    ] = None,
    choose: Annotated[
        str | None,
        typer.Option(
            help="information (what tells most, given other targets; the default where some are known) or spread."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random draw.")] = 0,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Beside latency_ms: peak_memory_mb, energy_mj, where the target can; may be repeated."
        ),
    ] = None,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Measure subnets on a target, and wait."""
    client = client_of(context)
    metrics = list(dict.fromkeys(["latency_ms", *(metric or [])]))
    found = client.targets.get(target)
    below = None if until is None else _below(until)
    count = count or (COUNT if below is None else COUNT_UNTIL)
    job = found.measure(supernet, count=count, seed=seed, choose=choose, until=below, metrics=metrics)
    job.wait(timeout, not as_json)
    rows = list(client.measurements.list(job=job.id))
    print_json([row.data for row in rows]) if as_json else print_measurements(rows)
    if below is not None and not as_json:
        typer.echo(job.data.get("message") or "")


def _below(text: str) -> float:
    """``mape<3%`` and ``mape<0.03`` as 0.03."""
    found = re.fullmatch(r"\s*mape\s*<\s*([0-9.]+)\s*(%?)\s*", text)
    try:
        below = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    except ValueError:
        below = 0.0
    if not 0 < below < 1:
        raise typer.BadParameter(
            f'it must look like "mape<3%" or "mape<0.03", got {text!r}', param_hint="--until"
        )
    return below


@app.command()
def measurements(
    context: typer.Context,
    target: Target,
    supernet: Annotated[str | None, typer.Option(help="Id or name of a supernet.")] = None,
    as_json: Json = False,
) -> None:
    """Everything measured on a target."""
    client = client_of(context)
    of = client.supernets.get(supernet).id if supernet else None
    rows = list(client.measurements.list(target=client.targets.get(target).id, supernet=of))
    print_json([row.data for row in rows]) if as_json else print_measurements(rows)


def print_measurements(rows: list[Measurement]) -> None:
    """Value and spread first; raw p50 and p90 always stand beside the value."""
    table = []
    for row in rows:
        raw = row["details"].get("raw", {})
        table.append(
            (
                row["subnet"],
                f"{row['metric']} [{row['unit']}]",
                row["value"],
                row["spread"],
                raw.get("p50"),
                raw.get("p90"),
                row["n"],
                row["verdict"],
                words(row["arch"]),
            )
        )
    print_table(("subnet", "metric", "value", "±", "raw p50", "raw p90", "n", "verdict", "arch"), table)


@app.command()
def predictors(context: typer.Context, target: Target, as_json: Json = False) -> None:
    """The predictors of a target, with their report cards."""
    client = client_of(context)
    rows = list(client.predictors.list(target=client.targets.get(target).id))
    print_json([row.data for row in rows]) if as_json else print_predictors(rows, target_names(client))
