"""``netwright agent``: what runs on a device."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from netwright.errors import NetwrightError
from netwright.output.printing import Where
from netwright.progress import Show, Shown, bar

WORK = Path("~/.cache/netwright/agent")
INTERRUPTED = 130


def agent(
    context: typer.Context,
    target: Annotated[str, typer.Option(help="Id or name of a target of kind agent.")],
    server: Annotated[
        str | None, typer.Option(help="Address of the server; by default that of --url or NETWRIGHT_URL.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="A key with the scope agent; by default that of NETWRIGHT_KEY.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of this agent; by default that of this machine.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=64, help="Networks measured in one run, at most.")] = 16,
    poll: Annotated[float, typer.Option(min=0.1, help="Seconds between two requests for work.")] = 5.0,
    patience: Annotated[
        float,
        typer.Option(min=0, help="Seconds without an answer from the server after which the agent ends."),
    ] = 86_400.0,
    work: Annotated[
        Path, typer.Option(help="Folder for networks, and for rows that were not sent yet.")
    ] = WORK,
    once: Annotated[bool, typer.Option("--once", help="End after one batch, or when there is none.")] = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when there is nothing to do.")
    ] = False,
) -> None:
    """Measure networks for a server on this machine, until Ctrl-C.

    Needs the extra "agent" of this package (ONNX Runtime), not the server's packages.
    """
    if once and until_idle:
        raise typer.BadParameter("give one of --once and --until-idle", param_hint="--once")
    from netwright.agent.loop import Agent, Plan
    from netwright.processes import terminating_signals

    known = context.find_object(Where) or Where(None, None)
    plan = Plan(
        target=target,
        work=work.expanduser(),
        name=name,
        batch=batch,
        poll_s=poll,
        patience_s=patience,
        once=once,
        until_idle=until_idle,
    )
    console = Console(stderr=True)
    where = Where(server or known.url, key or known.key)
    with where.client() as client, _calm(console) as show, terminating_signals():
        try:
            Agent(client, plan, lambda line: _say(console, line), show).run()
        except KeyboardInterrupt:
            _say(console, "stopped")
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            raise NetwrightError(f"the agent's folder {plan.work} must be writable: {error}") from error


def _say(console: Console, line: str) -> None:
    console.print(f"{time.strftime('%H:%M:%S')} {line}", highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _calm(console: Console) -> Iterator[Show]:
    """One moving line on a terminal, none in a log."""
    if not sys.stderr.isatty():
        yield _silent
        return
    with bar("", console) as show:
        yield show


def _silent(_: Shown) -> None:
    pass
