"""``netwright serve | worker | migrate | train | card | demo``: what runs on a server, with its packages installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from netwright.errors import NetwrightError


def need_server() -> None:
    """Raise where the server's packages are not installed."""
    missing = [name for name in ("torch", "fastapi", "dbos") if importlib.util.find_spec(name) is None]
    if missing:
        raise NetwrightError(
            f"this command needs the server's packages, {', '.join(missing)} not found; "
            f"install them with: pip install 'netwright[server]'"
        )


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; NETWRIGHT_HOST if not given.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; NETWRIGHT_PORT if not given.")] = None,
) -> None:
    """Run the HTTP service. Settings: NETWRIGHT_* (docs/settings.md)."""
    need_server()
    from netwright import server_commands

    server_commands.serve(host, port)


def worker() -> None:
    """Run a worker: it does the jobs that the service queues."""
    need_server()
    from netwright import server_commands

    server_commands.worker()


def migrate() -> None:
    """Bring the database to this version's schema."""
    need_server()
    from netwright import server_commands

    server_commands.migrate()


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a .toml file.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, metrics and the finished supernet.")],
    family: Annotated[
        Path | None,
        typer.Option(help="TOML file that sizes the family, e.g. zoo/digits/family.toml; or that of --from."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="digits, fashion_mnist, cifar10, folder:PATH, parquet:PATH, stream:PATH, hub:NAME; or that of --from."
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
    steps: Annotated[int | None, typer.Option(min=1, help="Replace the recipe's number of steps.")] = None,
    until_step: Annotated[
        int | None, typer.Option(min=1, help="Stop here; the same command goes on later.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of every random draw: 0, or with --from that of the last stage + 1."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")] = False,
) -> None:
    """Train a supernet here, with a progress bar; the same command resumes what it left."""
    need_server()
    from netwright import train_commands

    plan = train_commands.TrainingPlan(
        out=out,
        name=name or out.resolve().name,
        data=data,
        recipe=recipe,
        family=family,
        source=source,
        momentum=momentum,
        teacher=teacher,
        steps=steps,
        until_step=until_step,
        seed=seed,
        threads=threads,
        device=device,
        dry_run=dry_run,
    )
    train_commands.train(plan)


def card(
    folder: Annotated[Path, typer.Argument(help="A supernet's folder, e.g. what `netwright train` wrote.")],
    data: Annotated[str | None, typer.Option(help="As of `netwright train`; that of its training.")] = None,
    subnets: Annotated[int, typer.Option(min=3, help="How many, spread over the space.")] = 30,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the runtime that is measured.")] = 1,
) -> None:
    """Measure a supernet's subnets on this machine: the front of latency and accuracy, into its report card."""
    need_server()
    from netwright import train_commands

    train_commands.card(folder, data, subnets, threads)


def demo(
    supernet: Annotated[str, typer.Option(help="A supernet of the zoo.")] = "digits",
    out: Annotated[
        Path, typer.Option(help="Folder for the database, the front, the plot and the ONNX file.")
    ] = Path("demo-out"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the service; 0 takes a free one.")] = 0,
) -> None:
    """The whole job on this machine: constraints, front, verified ONNX subnet."""
    need_server()
    from netwright.demo import run_demo

    raise typer.Exit(run_demo(supernet, out, port))
