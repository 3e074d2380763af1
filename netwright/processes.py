"""A service and a worker of one's own for as long as a ``with`` block lasts, and not a moment longer."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.client import Client
from netwright.errors import NetwrightError, ServerError, UnreachableError

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S, STOP_TIMEOUT_S = 120.0, 15.0
TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Server:
    """Where the service answers, and where it and its worker write their logs."""

    url: str
    home: Path


@contextmanager
def running_server(home: Path, port: int = 0) -> Iterator[Server]:
    """Migrate the SQLite database below ``home``, run a service and a worker, and end both on every way out."""
    home.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    environment = _environment(home, port)
    _run_to_end("migrate", home, environment)
    with terminating_signals(), contextlib.ExitStack() as stack:
        children = {
            name: stack.enter_context(_child(name, home, environment)) for name in ("serve", "worker")
        }
        url = f"http://{LOOPBACK}:{port}"
        _await_ready(url, children, home)
        yield Server(url, home)


def free_port() -> int:
    """A port of the loopback address that is free at the moment."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])


def _environment(home: Path, port: int) -> dict[str, str]:
    """This environment; settings of another installation are left out, the data folder is kept."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NETWRIGHT_") or k == "NETWRIGHT_DATA"}
    ours = {"NETWRIGHT_HOME": str(home.resolve()), "NETWRIGHT_HOST": LOOPBACK, "NETWRIGHT_PORT": str(port)}
    if kept.get("NETWRIGHT_DATA"):
        kept["NETWRIGHT_DATA"] = str(Path(kept["NETWRIGHT_DATA"]).resolve())
    return {**kept, **ours}


def _command(name: str) -> list[str]:
    return [sys.executable, "-m", "netwright", name]


def _run_to_end(name: str, home: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        _command(name), env=dict(environment), capture_output=True, text=True, timeout=START_TIMEOUT_S
    )
    (home / f"{name}.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise NetwrightError(
            f"`netwright {name}` ended with status {done.returncode}:\n{_tail(home / f'{name}.log')}"
        )


@contextmanager
def _child(name: str, home: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, so that a Ctrl-C reaches us first; ended by a signal, then killed."""
    with (home / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            _command(name),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        try:
            yield child
        finally:
            end(child)


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent is gone, even if that was killed."""
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and kill its group if it does not."""
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(STOP_TIMEOUT_S)


@contextmanager
def terminating_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack like Ctrl-C does, so that ``finally`` blocks run."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def first_signal_asks(words: str) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether the user requested an end.

    The first Ctrl-C, or SIGTERM, only requests one and prints ``words``; the next one has its usual effect.
    """
    asked: list[int] = []
    before: dict[int, object] = {}

    def ask(number: int, _: object) -> None:
        asked.append(number)
        sys.stderr.write(f"\n{words}\n")
        _restore(before)

    before |= {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        _restore(before)


def _restore(handlers: Mapping[Any, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _await_ready(url: str, children: Mapping[str, subprocess.Popen[bytes]], home: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    with Client(url, timeout=5.0) as client:
        while time.monotonic() < deadline:
            for name, child in children.items():
                if child.poll() is not None:
                    log = _tail(home / f"{name}.log")
                    raise NetwrightError(f"`netwright {name}` ended with status {child.returncode}:\n{log}")
            with contextlib.suppress(UnreachableError, ServerError):
                if client.ready().workers > 0:
                    return
            time.sleep(0.2)
    logs = "\n".join(_tail(home / f"{name}.log") for name in children)
    raise NetwrightError(
        f"service and worker must be ready within {START_TIMEOUT_S:g} s, they were not:\n{logs}"
    )


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-TAIL_LINES:])
