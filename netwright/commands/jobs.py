"""``netwright jobs …``."""

from __future__ import annotations

from typing import Annotated

import typer

from netwright.client.jobs import DEFAULT_TIMEOUT_S
from netwright.commands.options import PRIORITY_HELP, Log, State
from netwright.output.cards import job_card, jobs_table
from netwright.output.printing import Json, Timeout, client_of, show, show_all
from netwright.trackers import log_training, open_tracker

app = typer.Typer(no_args_is_help=True, help="Durable work: list, show, watch, update, cancel, resume.")
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job.")]


@app.command("list")
def list_(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="E.g. search, measure, fit, export, train.")] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """All jobs, newest first."""
    jobs = client_of(context).jobs.list(kind=kind, state=state)
    show_all(jobs, [jobs_table(jobs)], as_json)


@app.command("show")
def show_(context: typer.Context, job: JobId, as_json: Json = False) -> None:
    """One job, with its error and its log."""
    found = client_of(context).jobs.get(job)
    show(found.to_dict(), job_card(found), as_json)


@app.command()
def watch(
    context: typer.Context,
    job: JobId,
    log: Log = None,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Wait for a job with a progress bar; exit status 4 if it fails. --log takes the progress of a training."""
    found = client_of(context).jobs.get(job)
    if log is not None:
        with open_tracker(log, job) as tracker:
            log_training(tracker, found.events())
    found.wait(timeout, not as_json)
    show(found.to_dict(), job_card(found), as_json)


@app.command()
def update(
    context: typer.Context,
    job: JobId,
    priority: Annotated[int, typer.Option(min=-100, max=100, help=PRIORITY_HELP)],
    as_json: Json = False,
) -> None:
    """Change the priority of a job; of one that runs it counts when the job is queued again."""
    found = client_of(context).jobs.get(job).update(priority=priority)
    show(found.to_dict(), job_card(found), as_json)


@app.command()
def cancel(context: typer.Context, job: JobId, as_json: Json = False) -> None:
    """Stop a job; its finished steps are kept."""
    found = client_of(context).jobs.get(job).cancel()
    show(found.to_dict(), job_card(found), as_json)


@app.command()
def resume(context: typer.Context, job: JobId, as_json: Json = False) -> None:
    """Continue a failed or cancelled job after its last finished step."""
    found = client_of(context).jobs.get(job).resume()
    show(found.to_dict(), job_card(found), as_json)
