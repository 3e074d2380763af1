"""``netwright export …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.commands.output import Json, Timeout, cell, client_of, print_json
from netwright.resources.jobs import DEFAULT_TIMEOUT_S


def export(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="Id of a subnet, or of a search (its best point is taken).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to save the file.")] = Path("subnet.onnx"),
    max_latency_ms: Annotated[
        float | None, typer.Option(help="Of a search: the best point within this.")
    ] = None,
    min_accuracy: Annotated[
        float | None, typer.Option(help="Of a search: only points at least this accurate.")
    ] = None,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Save a subnet as a verified ONNX file; the server makes it first if need be."""
    client = client_of(context)
    if what.startswith("sea_"):
        limits = {"max_latency_ms": max_latency_ms, "min_accuracy": min_accuracy}
        given: dict[str, Any] = {name: limit for name, limit in limits.items() if limit is not None}
        what = client.fronts.of_search(what).pick(**given).id
    record = client.subnets.download_onnx(what, out, timeout=timeout, progress=not as_json)
    if as_json:
        print_json({**record.data, "path": str(out)})
        return
    parity = record["parity"] or {}
    typer.echo(f"{out}: {record['bytes']:,} bytes, sha256 {record['sha256']}")
    typer.echo(
        f"equal to the supernet's own answer within {cell(parity.get('max_error'))} on {parity.get('n')} real images"
    )
