"""``netwright serve | worker | migrate | train | card | demo``: what runs on a server, with its packages installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.commands.options import Log
from netwright.installed import server_packages
from netwright.output.printing import Json, Line, show


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on, 0.0.0.0 for all; by default NETWRIGHT_HOST.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; by default NETWRIGHT_PORT.")] = None,
) -> None:
    """Run the HTTP service. Settings: NETWRIGHT_* (docs/settings.md)."""
    with server_packages():
        from service import run
        from service.settings import Settings

        overrides: dict[str, Any] = {"host": host, "port": port}
        run.serve(Settings(**{name: value for name, value in overrides.items() if value is not None}))


def worker() -> None:
    """Run a worker, which runs the jobs that the service queues."""
    with server_packages():
        from service import run
        from service.settings import Settings

        run.worker(Settings())


def migrate(as_json: Json = False) -> None:
    """Create the database, or bring it to this version's schema."""
    with server_packages():
        from service import run
        from service.db.used import path_of
        from service.settings import Settings, without_password

        settings = Settings()
        note = run.other_database(settings)
        schema = run.migrate(settings)
        key = run.first_key(settings)
        where = str(path_of(settings.database) or without_password(settings.database))
    sections = [Line(f"the database {where} has schema {schema}")]
    if key:
        sections.append(Line(f"the first key, with the scope admin, shown this once: {key}"))
    if note:
        sections.append(Line(note, warning=True))
    show({"database": where, "schema": schema, "key": key, "warning": note}, sections, as_json)


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a .toml file.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, metrics and the finished supernet.")],
    family: Annotated[
        Path | None,
        typer.Option(
            help="TOML file that sizes the family, or a supernet of the zoo, e.g. digits; or that of --from."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="digits, fashion_mnist, cifar10, folder:PATH, parquet:PATH, stream:PATH, hub:NAME, "
            "text:PATH, corpus:PATH, python_source; or that of --from."
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Train this further: a supernet's folder, or one that training left."),
    ] = None,
    momentum: Annotated[
        bool, typer.Option("--momentum", help="With --from: take over the optimizer's momentum too.")
    ] = False,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Learn from the largest net of this supernet's folder, or from this exported file."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the supernet; the folder's if not given.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Replace the recipe's number of steps; fewer shorten its warm-ups too."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="Of a pruning recipe: share of a metric that is kept, e.g. macs=0.4, or with --predictor "
            "latency_ms=0.5."
        ),
    ] = None,
    predictor: Annotated[
        Path | None,
        typer.Option(
            help="With --keep latency_ms=…: file of a predictor fitted for the supernet of --from, as `netwright "
            "predictors show ID --save FILE` writes it."
        ),
    ] = None,
    until_step: Annotated[
        int | None, typer.Option(min=1, help="Stop here; the same command goes on later.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of every random draw: 0, or with --from that of the last stage + 1."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="image_classification, image_regression, self_supervised_images, text_classification, "
            "language_modelling; or that of --from."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")] = False,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights, e.g. MIT; exported files state it.")
    ] = None,
    log: Log = None,
) -> None:
    """Train a supernet here, with a progress bar; the same command resumes what it left."""
    from netwright import train_commands

    command = train_commands.TrainCommand(
        out=out,
        name=name or out.resolve().name,
        data=data,
        recipe=recipe,
        family=family,
        source=source,
        momentum=momentum,
        teacher=teacher,
        steps=steps,
        keep=keep,
        predictor=predictor,
        until_step=until_step,
        seed=seed,
        task=task,
        threads=threads,
        device=device,
        dry_run=dry_run,
        log=log,
        licence=licence,
    )
    train_commands.train(command)


def card(
    folder: Annotated[Path, typer.Argument(help="A supernet's folder, e.g. what `netwright train` wrote.")],
    data: Annotated[str | None, typer.Option(help="As of `netwright train`; that of its training.")] = None,
    subnets: Annotated[int, typer.Option(min=3, help="How many, spread over the space.")] = 30,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the runtime that is measured.")] = 1,
) -> None:
    """Measure a supernet's subnets on this machine: the front of latency and accuracy, into its report card."""
    from netwright import train_commands

    train_commands.card(folder, data, subnets, threads)


def demo(
    supernet: Annotated[str, typer.Option(help="A supernet of the zoo.")] = "digits",
    out: Annotated[
        Path, typer.Option(help="Folder for the database, the front, the plot and the ONNX file.")
    ] = Path("demo-out"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the service; 0 takes a free one.")] = 0,
) -> None:
    """The whole path on this machine: constraints, front, verified ONNX subnet."""
    with server_packages():
        pass
    from netwright.demo import run_demo

    raise typer.Exit(run_demo(supernet, out, port))
