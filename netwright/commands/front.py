"""``netwright front …`` and ``netwright export``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from netwright.client import Client
from netwright.client.fronts import Front
from netwright.client.http.requests import ExportOptions
from netwright.client.jobs import DEFAULT_TIMEOUT_S
from netwright.client.searches import Search
from netwright.client.subnets import change_of
from netwright.commands.options import Limits, Log, SomeTarget, SupernetOption, front_limits
from netwright.hub import Change
from netwright.output.front_cards import front_card
from netwright.output.printing import Json, Line, Timeout, cell, client_of, show
from netwright.plot import Bound, plot_fronts
from netwright.trackers import log_front, open_tracker

app = typer.Typer(
    no_args_is_help=True, help="Non-dominated subnets: of one search, or the best of everything stored."
)
SearchId = Annotated[str, typer.Argument(metavar="SEARCH", help="Id of a search.")]
Archs = Annotated[bool, typer.Option("--arch", help="Show the arch of every point too.")]
Csv = Annotated[Path | None, typer.Option(help="Save all points as CSV here.")]
Parquet = Annotated[Path | None, typer.Option(help="Save all points as parquet here.")]
Plot = Annotated[Path | None, typer.Option(help="Save the front as a picture (PNG) here.")]
Pick = Annotated[
    str | None,
    typer.Option("--pick", help="Only the choice of knee, best, buckets or spread, with reasons."),
]
How = Annotated[
    str, typer.Option("--how", help="best, knee, buckets (the best of each part of a budget) or spread.")
]
Count = Annotated[int | None, typer.Option("--k", min=1, help="How many points to pick.")]
By = Annotated[str | None, typer.Option(help="Metric whose range the buckets divide.")]


@app.command("show")
def show_(
    context: typer.Context,
    search: SearchId,
    target: SomeTarget = None,
    pick: Pick = None,
    k: Count = None,
    csv: Csv = None,
    parquet: Parquet = None,
    plot: Plot = None,
    log: Log = None,
    arch: Archs = False,
    as_json: Json = False,
) -> None:
    """The front of a search: for each point what was predicted and what was measured."""
    client = client_of(context)
    front = client.fronts.of_search(search, pick=pick, k=k, target=target)
    if plot is not None:
        names = client.targets.names()
        plot_fronts({search: front}, plot, list(_bounds_of(client.searches.get(search), names)))
    if log is not None:
        with open_tracker(log, search) as tracker:
            log_front(tracker, front)
    _show(client, front, csv, parquet, arch, as_json)


@app.command("pick")
def pick_(
    context: typer.Context,
    search: SearchId,
    how: How = "best",
    k: Count = None,
    by: By = None,
    target: SomeTarget = None,
    limit: Limits = None,
    arch: Archs = False,
    as_json: Json = False,
) -> None:
    """Choose points of a front by their true values, with reasons. Exit status 3: none meets the limits."""
    client = client_of(context)
    limits = front_limits(client, limit)
    found = client.fronts.of_search(search).picks(how, k, by=by, target=target, **limits)
    _show(client, found, None, None, arch, as_json)


@app.command()
def best(
    context: typer.Context,
    supernet: SupernetOption,
    target: SomeTarget = None,
    limit: Limits = None,
    pick: Pick = None,
    k: Count = None,
    by: By = None,
    csv: Csv = None,
    parquet: Parquet = None,
    plot: Plot = None,
    arch: Archs = False,
    as_json: Json = False,
) -> None:
    """The best of everything stored, over all searches. Exit status 3: no subnet meets the limits.

    Without a target the worst one that a subnet was measured on counts.
    """
    client = client_of(context)
    found = client.fronts.best(supernet, target, **front_limits(client, limit))
    if pick is not None:
        found = found.picks(pick, k, by=by)
    elif limit and not found.points:
        found.pick()  # raises the error that states the nearest value
    if plot is not None:
        signs = {"min": ">=", "max": "<="}
        sides = ((*name.split("_", 1), value) for name, value in front_limits(client, limit).items())
        bounds = [Bound(metric, signs[side], float(value)) for side, metric, value in sides]
        plot_fronts({f"all of {supernet}": found}, plot, bounds)
    _show(client, found, csv, parquet, arch, as_json)


def _bounds_of(search: Search, names: Mapping[str, str]) -> Iterator[Bound]:
    """The limits of a search."""
    for row in search.constraints:
        on = names.get(row.target, row.target) if row.target and len(search.targets) > 1 else None
        for side, value in (("<=", row.max), (">=", row.min)):
            if value is not None:
                yield Bound(row.metric, side, value, on)


def _show(
    client: Client, front: Front, csv: Path | None, parquet: Path | None, archs: bool, as_json: bool
) -> None:
    for path, format in ((csv, "csv"), (parquet, "parquet")):
        if path is not None:
            front.save(path, format=format)
    show(front.to_dict(), front_card(front, client.targets.names(), archs=archs), as_json)


def export(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="Id of a subnet, or of a search (its best point is exported).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to save the file.")] = Path("subnet.onnx"),
    limit: Limits = None,
    format: Annotated[str, typer.Option(help="onnx, or pt2 (torch.export).")] = "onnx",
    precision: Annotated[
        str | None,
        typer.Option(
            help="fp32, fp16 or int8; what it changes is measured. By default fp32, or with --target the one that was "
            "measured to be fastest there."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Id or name of the target that the file is for (of a search: whose front)."),
    ] = None,
    opset: Annotated[int, typer.Option(help="Version of the ONNX operators, 17 to 21.")] = 18,
    batch: Annotated[
        int | None, typer.Option(min=1, help="The one batch of the file; any if absent.")
    ] = None,
    ir_version: Annotated[
        int | None,
        typer.Option(help="Version of the ONNX file format; the lowest that the opset allows if absent."),
    ] = None,
    finetune: Annotated[
        str | None, typer.Option(help="Id of a fine-tune of the subnet, whose weights the file gets.")
    ] = None,
    hub: Annotated[
        Path | None,
        typer.Option(help="Also save it as this folder in the layout of the Hugging Face hub, with a card."),
    ] = None,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Save a subnet as a verified file; the server exports it first where that was not done yet.

    Limits are of a search: its best point within them. Exit status 3: no point meets them.
    """
    client = client_of(context)
    if what.startswith("sea_"):
        what = client.fronts.of_search(what).pick(target=target, **front_limits(client, limit)).id
    form: ExportOptions = {
        "format": format,
        "precision": precision,
        "target": target,
        "opset": opset,
        "ir_version": ir_version,
        "finetune": finetune,
    }
    if batch is not None:
        form["batch"] = batch
    record = client.subnets.get(what).download_onnx(out, timeout=timeout, progress=not as_json, **form)
    parity = record.parity or {}
    lines = [
        Line(f"{out}: {record.bytes or 0:,} bytes, sha256 {record.sha256}"),
        Line(
            f"equal to the {'supernet' if finetune is None else 'fine-tuned subnet'}'s own output within "
            f"{cell(parity.get('max_error'))} on {parity.get('n')} real examples"
        ),
    ]
    if (change := change_of(record)) is not None:
        lines = [lines[0], Line(_changed(change, record.precision))]
    if hub is not None:
        record.save_hub(hub)
        lines.append(Line(f"{hub}: the same file with a model card, in the layout of the Hugging Face hub"))
    show({**record.to_dict(), "path": str(out)}, lines, as_json)


def _changed(change: Change, precision: str) -> str:
    """What a reduced precision changes, in one line."""
    times, kind = change.latency_ms, change.activation or precision
    return (
        f"{change.metric} {change.quality['fp32']:.4f} -> {change.quality[precision]:.4f} on {change.n} test examples, "
        f"{times['fp32']:.2f} ms -> {times[kind]:.2f} ms on the worker{_note(change)}, "
        f"{change.bytes['fp32']:,} -> {change.bytes[precision]:,} bytes"
    )


def _note(change: Change) -> str:
    """Why int8 is slow where the processor is the reason."""
    slow = change.activation is not None and change.dot_products is False
    return ", which has no instruction for 8-bit dot products" if slow else ""
