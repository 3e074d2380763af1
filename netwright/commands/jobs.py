"""``netwright jobs …``."""

from __future__ import annotations

from typing import Annotated

import typer

from netwright.commands.output import (
    Json,
    Timeout,
    cell,
    client_of,
    moment,
    print_fields,
    print_json,
    print_table,
)
from netwright.progress import duration
from netwright.resources.jobs import DEFAULT_TIMEOUT_S, Job

app = typer.Typer(no_args_is_help=True, help="Durable work: list, show, watch, cancel, resume.")
TIMES = ("created", "started", "finished")
JobId = Annotated[str, typer.Argument(help="Id of a job.")]


@app.command("list")
def list_(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="E.g. search, measure, fit, export, train.")] = None,
    state: Annotated[
        str | None, typer.Option(help="queued, running, succeeded, failed, cancelling, cancelled.")
    ] = None,
    as_json: Json = False,
) -> None:
    """All jobs, newest first."""
    rows = list(client_of(context).jobs.list(kind=kind, state=state))
    if as_json:
        print_json([row.data for row in rows])
        return
    table = [(r.id, r["kind"], r["state"], _progress(r), r["message"], moment(r["created_at"])) for r in rows]
    print_table(("id", "kind", "state", "progress", "message", "created"), table)


def _progress(job: Job) -> str:
    told = job["progress"]
    left = f", {duration(told['eta_s'])} left" if told["eta_s"] is not None and not job.finished else ""
    return f"{told['done']}/{told['total']}{left}"


def _print(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job.data)
        return
    error, resource = job.data.get("error") or {}, job.data.get("resource") or {}
    print_fields(
        {
            "id": job.id,
            "kind": job["kind"],
            "state": job.state,
            "progress": _progress(job),
            "message": job.data.get("message"),
            "error": f"{error.get('message')} [{error.get('code')}]" if error else None,
            "makes": f"{resource.get('type')} {resource.get('id')}" if resource else None,
            "result": job.data.get("result"),
            "attempts": job.data.get("attempts"),
            **{name: moment(job.data[f"{name}_at"]) for name in TIMES if job.data.get(f"{name}_at")},
        }
    )
    for line in job.data.get("log") or ():
        typer.echo(f"  {cell(line)}")


@app.command()
def show(context: typer.Context, job: JobId, as_json: Json = False) -> None:
    """One job, with its error and its log."""
    _print(client_of(context).jobs.get(job), as_json)


@app.command()
def watch(
    context: typer.Context, job: JobId, timeout: Timeout = DEFAULT_TIMEOUT_S, as_json: Json = False
) -> None:
    """Wait for a job with a progress bar; exit status 4 if it fails."""
    _print(client_of(context).jobs.get(job).wait(timeout, not as_json), as_json)


@app.command()
def cancel(context: typer.Context, job: JobId, as_json: Json = False) -> None:
    """Stop a job; what it has finished stays."""
    _print(client_of(context).jobs.cancel(job), as_json)


@app.command()
def resume(context: typer.Context, job: JobId, as_json: Json = False) -> None:
    """Let a failed or cancelled job go on after its last finished step."""
    _print(client_of(context).jobs.resume(job), as_json)
