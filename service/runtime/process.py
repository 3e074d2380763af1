"""A child process that does the heavy part of a job, and can be killed at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
from collections.abc import Callable, Mapping

from service.errors import INTERNAL, TABLE, JobError
from service.runtime.task import In, Out, Task, output_type, run_task
from supernets.child import COMMAND, ROOT, ChildFailedError, call_line, environment, read_answer

log = logging.getLogger("netwright.worker")
LINE_LIMIT = 64 << 20
LOG_WIDTH = 2000
OnProgress = Callable[[int, int, str | None, Mapping[str, object] | None], None]
Log = Callable[[str], None]


class ChildKilledError(JobError):
    """The child ended by a signal from outside, as when the machine runs out of memory."""

    def __init__(self, message: str) -> None:
        super().__init__("child_killed", message)


class Child:
    """One child process: it runs one task at a time, and ends with its parent.

    The child keeps what it imported and loaded from task to task, and from job to job of a worker.
    """

    def __init__(self, threads: int = 1) -> None:
        self.log: Log = lambda _line: None
        self._environment = environment(threads)
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it lives; it leads a process group of its own."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def run(self, task: Task[In, Out], request: In, on_progress: OnProgress) -> Out:
        """Run a task and return its output; cancelling kills the process.

        Raises:
            ChildKilledError: a signal ended the process.
            JobError: the task failed, with its error's code, or the process ended by itself.
        """
        name = f"{task.__module__}:{task.__qualname__}"
        process = await self._started()
        assert process.stdin is not None and process.stdout is not None

        def report(
            done: int, total: int, message: str | None = None, metrics: Mapping[str, object] | None = None
        ) -> None:
            on_progress(int(done), int(total), message, metrics)

        try:
            call = {"task": name, "request": request.model_dump(mode="json")}
            process.stdin.write(call_line(run_task, call).encode())
            with contextlib.suppress(ConnectionError):  # a child that ended is noticed on its output, below
                await process.stdin.drain()
            while line := await process.stdout.readline():
                answer = read_answer(line, report)
                if answer is not None:
                    return output_type(task).model_validate(answer.result)
        except ChildFailedError as error:
            log.warning("%s failed: %s", name, error.trace.rstrip())
            raise JobError(_code(error), str(error)) from None
        except asyncio.CancelledError:
            await self.kill()
            raise
        status = await process.wait()
        await self.kill()
        message = (
            f"the process of {name} ended with status {status}; its last lines are in the log of the job"
        )
        if status < 0:
            raise ChildKilledError(message)
        raise JobError("child_died", message)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                cwd=str(ROOT),
                start_new_session=True,
                limit=LINE_LIMIT,
            )
            self._stderr = asyncio.create_task(self._read_stderr(self._process))
        return self._process

    async def _read_stderr(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        rest, public = "", PublicLines()
        while text := await process.stderr.read(4096):
            decoded = text.decode(errors="replace")
            *lines, rest = (rest + decoded.replace("\r", "\n")).split("\n")
            for line in lines:
                shown = public.of(line.rstrip())
                if shown != line.rstrip():
                    log.warning("a child wrote: %s", line.rstrip())
                if shown.strip():
                    self.log(shown[:LOG_WIDTH])

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
    """Kill a process group, if it still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _code(error: ChildFailedError) -> str:
    """The error code of what the task raised."""
    for kind, _, code in TABLE:
        if error.is_a(kind):
            return error.code or code
    return error.code if error.is_a(JobError) and error.code is not None else INTERNAL


HIDDEN = "an error in the program; the log of the worker has its text"
BEGINS = re.compile(r"\s*(Traceback \(most recent call last\):|Fatal Python error|Exception (in|ignored in) |"
                    r"(Current )?[Tt]hread 0x|Stack \(most recent call)")  # fmt: skip
BETWEEN = re.compile(r"(During handling of the above exception|The above exception was the direct cause)")
AFTER = re.compile(r"\[SQL|\[parameters|\(Background on this error")  # further lines of a database's error
FOLDERS = re.compile(r"(?<![\w.:/\\])/(?:[^\s/:'\",;()\[\]<>]+/)+")


class PublicLines:
    """Line by line: a traceback, with all that belongs to it, becomes one line; paths keep only their names."""

    def __init__(self) -> None:
        self._inside = False

    def of(self, line: str) -> str:
        """The line as it may be shown; empty for a part of a traceback but its first."""
        if BEGINS.match(line):
            first, self._inside = not self._inside, True
            return HIDDEN if first else ""
        if BETWEEN.match(line):
            self._inside = True
            return ""
        if AFTER.match(line):
            return ""
        if self._inside:
            # The frames are indented; the exception, which ends them, is not, and may hold paths or SQL too.
            self._inside = line.startswith((" ", "\t")) or not line
            return ""
        return FOLDERS.sub("", line)
