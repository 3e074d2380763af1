"""Call a function in a child process that can be killed: the one protocol between a process and its children.

The child (``python -m supernets.child``) reads calls from standard input and writes answers to standard output,
one JSON object a line: ``{"call": "module:function", "request": …}``, then any number of ``{"progress": [...]}`` and
one ``{"result": …}`` or ``{"error": {"types", "code", "message", "trace"}}``. A function takes ``(request, progress)``
and returns JSON. Whatever it prints goes to standard error. A child ends when its parent does: its standard input is
closed then. Only the standard library is imported here, so that an agent on a small device can use it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO, TypeVar

from supernets.errors import SupernetError
from supernets.json_types import JsonObject, JsonValue

Progress = Callable[..., None]
Request = TypeVar("Request")
Result = TypeVar("Result")
COMMAND = (sys.executable, "-m", "supernets.child")
ROOT = Path(__file__).resolve().parents[1]
END_S = 5.0
TAIL = 2000


class Answer(NamedTuple):
    """What a function returned, as JSON; its type is that of the function, which the line does not state."""

    result: Any


class ChildError(SupernetError, RuntimeError):
    """A call to a child process gave no result."""


class ChildFailedError(ChildError):
    """The function raised an exception; ``types`` are the names of its class and that class' bases.

    ``trace`` is the traceback in the child, for a log that only the operator reads.
    """

    def __init__(self, types: tuple[str, ...], code: str | None, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.types, self.code, self.trace = types, code, trace

    def is_a(self, kind: type[BaseException]) -> bool:
        """Whether the exception in the child was an instance of ``kind``."""
        return _name(kind) in self.types


class ChildDiedError(ChildError):
    """The process ended without an answer, as when a library crashes or memory runs out."""


class ChildTimeoutError(ChildError):
    """The process reported no progress for too long, and was stopped."""


def call(
    function: Callable[[Request, Progress], Result],
    request: Request,
    on_progress: Progress | None = None,
    *,
    timeout_s: float = 3600.0,
) -> Result:
    """Result of ``function(request, progress)`` in a new process, which ends with this call however that ends.

    ``timeout_s`` bounds the time between two reports of progress, and before the first. What ``on_progress`` raises
    stops the child and is raised here.

    Raises:
        ChildFailedError: the function raised an exception.
        ChildDiedError: the process ended without an answer.
        ChildTimeoutError: ``timeout_s`` passed without progress.
    """
    with (
        tempfile.TemporaryFile("w+", errors="replace") as log,
        subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(),
        ) as child,
    ):
        lines: queue.Queue[str | None] = queue.Queue()
        assert child.stdin is not None
        threading.Thread(target=_read, args=(child.stdout, lines), daemon=True).start()
        try:
            with contextlib.suppress(BrokenPipeError):  # a child that died: its status is reported below
                child.stdin.write(call_line(function, request))
                child.stdin.flush()
            while (line := lines.get(timeout=timeout_s)) is not None:
                answer = read_answer(line, on_progress)
                if answer is not None:
                    result: Result = answer.result
                    return result
            status = child.wait(END_S)
        except queue.Empty:
            raise ChildTimeoutError(
                f"{_name(function)} must report progress within {timeout_s:g} s; it was stopped"
            ) from None
        finally:
            child.kill()
            with contextlib.suppress(OSError):  # what a dead child did not read
                child.stdin.close()
        log.seek(0)
        tail = log.read()[-TAIL:].strip() or "no message"
        raise ChildDiedError(f"the process of {_name(function)} ended with status {status}: {tail}")


def call_line(function: Callable[[Request, Progress], Result], request: Request) -> str:
    """The line that makes a child call a function of a module."""
    if "<" in function.__qualname__ or function.__module__ == "__main__":
        raise ValueError(f"a child calls functions of modules only, got {_name(function)}")
    name = f"{function.__module__}:{function.__qualname__}"
    return json.dumps({"call": name, "request": request}) + "\n"


def read_answer(line: str | bytes, on_progress: Progress | None = None) -> Answer | None:
    """The result of a call, or None for a line of progress, which is passed on.

    Raises:
        ChildFailedError: the function raised an exception.
    """
    match json.loads(line):
        case {"error": {"types": types, "code": code, "message": message, "trace": trace}}:
            raise ChildFailedError(tuple(types), code, message, trace)
        case {"progress": report}:
            if on_progress is not None:
                on_progress(*report)
            return None
        case {"result": result}:
            return Answer(result)
    raise ChildDiedError(f"a child process must answer with result, progress or error, got {line[:TAIL]!r}")


def environment(threads: int = 1) -> dict[str, str]:
    """This environment, with our packages found where these were, and numerical libraries bound to ``threads``."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **thread_settings(threads)}


def thread_settings(threads: int) -> Mapping[str, str]:
    """Environment variables that bound the threads of every numerical library."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {name: str(threads) for name in names}


def _read(stream: TextIO, lines: queue.Queue[str | None]) -> None:
    with contextlib.suppress(ValueError):  # closed while it was read
        for line in stream:
            lines.put(line)
    lines.put(None)


def _name(thing: Callable[..., object]) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


# --- in the child ----------------------------------------------------------------------------------


def main() -> None:
    """Answer calls until the parent has ended."""
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not be read as an answer
    calls: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(calls,), daemon=True).start()
    while True:
        _answer(calls.get(), output)


def _listen(calls: queue.Queue[str]) -> None:
    for line in sys.stdin:
        calls.put(line)
    # The parent has ended or closed the pipe: what this process started must end with it.
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _answer(line: str, output: TextIO) -> None:
    def progress(*report: JsonValue) -> None:
        _send(output, {"progress": report})

    try:
        match json.loads(line):
            case {"call": str(path), "request": request}:
                module, _, name = path.partition(":")
                function = getattr(import_module(module), name)
                _send(output, {"result": function(request, progress)})
            case other:
                raise ValueError(f"a call must have call and request, got {other!r}")
    except Exception as error:
        sys.stderr.flush()
        code = getattr(error, "code", None)
        failure = {
            "types": [_name(kind) for kind in type(error).__mro__],
            "code": code if isinstance(code, str) else None,
            "message": _message(error),
            "trace": "".join(traceback.format_exception(error)),
        }
        _send(output, {"error": failure})


def _message(error: Exception) -> str:
    return str(error) or type(error).__name__


def _send(output: TextIO, answer: JsonObject) -> None:
    output.write(json.dumps(answer, allow_nan=False, default=_number) + "\n")
    output.flush()


class _Scalar(Protocol):
    """A NumPy number; NumPy is not imported here."""

    def item(self) -> int | float: ...


def _number(value: _Scalar) -> int | float:
    """A NumPy number as Python's."""
    return value.item()


if __name__ == "__main__":
    main()
