"""A child process that does the heavy part of a job, and can be killed at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.errors import JobError

LINE_LIMIT = 64 << 20
TAIL = 4000
LOG_WIDTH = 2000
Progress = Callable[[int, int, str | None, dict[str, Any] | None], None]
Log = Callable[[str], None]


class Child:
    """One child process: it takes one task at a time, and dies with its parent.

    The child keeps what it imported and loaded from task to task, and from job to job of a worker.
    """

    def __init__(self, threads: int = 1) -> None:
        self.log: Log = lambda _line: None
        self._environment = {**os.environ, **thread_settings(threads)}
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: asyncio.Task[None] | None = None
        self._tail = ""

    @property
    def pid(self) -> int | None:
        """Its process id while it lives; it leads a process group of its own."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def run(self, task: str, payload: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Do ``task`` (``module:function``) and return its result; cancelling kills the process."""
        process = await self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps({"task": task, "payload": payload}).encode() + b"\n")
            with contextlib.suppress(ConnectionError):  # a child that died says so on its output, below
                await process.stdin.drain()
            while line := await process.stdout.readline():
                message = json.loads(line)
                if "progress" in message:
                    step = message["progress"]
                    progress(step["done"], step["total"], step.get("message"), step.get("metrics"))
                elif "error" in message:
                    raise JobError(message["error"]["code"], message["error"]["message"])
                else:
                    result: dict[str, Any] = message["result"]
                    return result
        except asyncio.CancelledError:
            await self.kill()
            raise
        code = await process.wait()
        await self.kill()
        raise JobError(
            "child_died", f"the process of {task} ended with status {code}: {self._tail.strip()[-400:]}"
        )

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "service.runtime.child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                cwd=str(Path(__file__).resolve().parents[2]),
                start_new_session=True,
                limit=LINE_LIMIT,
            )
            self._stderr = asyncio.create_task(self._read_stderr(self._process))
        return self._process

    async def _read_stderr(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        rest = ""
        while text := await process.stderr.read(4096):
            decoded = text.decode(errors="replace")
            self._tail = (self._tail + decoded)[-TAIL:]
            *lines, rest = (rest + decoded.replace("\r", "\n")).split("\n")
            for line in lines:
                if line.strip():
                    self.log(line.rstrip()[:LOG_WIDTH])

    async def kill(self) -> None:
        """End the process and everything it started."""
        process, self._process = self._process, None
        if process is None:
            return
        kill_group(process.pid)
        await process.wait()
        if self._stderr is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({self._stderr}, timeout=1)
            self._stderr.cancel()
            self._stderr = None


def kill_group(pid: int) -> None:
    """Kill a process group, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def thread_settings(threads: int) -> dict[str, str]:
    """Environment that bounds the threads of every numerical library."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {name: str(threads) for name in names}
