"""Entry of a child process: reads tasks as JSON lines, writes progress and results as JSON lines.

``{"task": "module:function", "payload": {...}}`` → ``{"progress": {...}}``* then ``{"result": {...}}`` or
``{"error": {"code", "message"}}``. A task is ``function(payload, progress) -> dict``; what it prints goes
to the job's log. When the parent is gone, standard input ends, and so does this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any, TextIO

from service.errors import classify

Report = Callable[..., None]


def main() -> None:
    """Serve tasks until the parent is gone."""
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is log, never protocol
    tasks: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    while True:
        _serve(json.loads(tasks.get()), output)


def _listen(tasks: queue.Queue[str]) -> None:
    for line in sys.stdin:
        tasks.put(line)
    # The parent is gone: nobody wants the result, and nothing may keep running.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _serve(request: dict[str, Any], output: TextIO) -> None:
    def progress(
        done: int, total: int, message: str | None = None, metrics: dict[str, Any] | None = None
    ) -> None:
        told = {"done": int(done), "total": int(total), "message": message, "metrics": metrics}
        _send(output, {"progress": told})

    try:
        module, _, name = request["task"].partition(":")
        function = getattr(import_module(module), name)
        _send(output, {"result": function(request["payload"], progress)})
    except Exception as error:
        _, code = classify(error)
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
        _send(output, {"error": {"code": code, "message": str(error) or type(error).__name__}})


def _send(output: TextIO, message: dict[str, Any]) -> None:
    output.write(json.dumps(message, allow_nan=False) + "\n")
    output.flush()


if __name__ == "__main__":
    main()
