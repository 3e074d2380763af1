"""Jobs that a test can watch, hold, kill and cancel; run as a module it is a worker that knows them."""

import os
import sys
import time
from pathlib import Path

from service.errors import InvalidError
from service.settings import Settings
from supernets.registry import Registry

JOBS = Registry(
    "job kind",
    {
        "count": "tests.service.small_jobs:count",
        "fail": "tests.service.small_jobs:fail",
        "crash": "tests.service.small_jobs:crash",
    },
)
HELD_S = 300


async def count(run):
    """``steps`` steps; step ``n > 0`` waits in ``folder`` for a file called ``n``, if there is a folder."""
    steps = run.params["steps"]
    for number in range(steps):
        run.window(number, number + 1, steps)
        task = {"number": number, "folder": run.params.get("folder")}
        result = await run.step(f"count {number}", "tests.service.small_jobs:count_task", task)
        assert result["number"] == number


def count_task(payload, progress):
    sys.stdout.write(f"counting {payload['number']}\n")
    sys.stdout.flush()
    if payload["folder"] is not None:
        folder = Path(payload["folder"])
        with (folder / "log").open("a") as file:
            file.write(f"{payload['number']} {os.getpid()}\n")
        deadline = time.monotonic() + HELD_S
        while payload["number"] and not (folder / str(payload["number"])).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    progress(1, 1, "counted")
    return {"number": payload["number"]}


async def fail(run):
    await run.step("fail", "tests.service.small_jobs:fail_task", {})


def fail_task(payload, progress):
    raise InvalidError("size", -1, ">= 0")


async def crash(run):
    await run.step("crash", "tests.service.small_jobs:crash_task", {})


def crash_task(payload, progress):
    os._exit(3)


if __name__ == "__main__":
    from service.runtime.worker import Worker

    Worker(Settings(), JOBS).serve()
