"""Jobs that a test can watch, kill and cancel; run as a module it is a worker that knows them."""

import os
import sys
import time

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


async def count(run):
    """``steps`` steps of ``seconds`` each; each stores what it was given."""
    steps = run.params["steps"]
    for number in range(steps):
        run.window(number, number + 1, steps)
        task = {"number": number, "seconds": run.params["seconds"], "log": run.params.get("log")}
        result = await run.step(f"count {number}", "tests.service.small_jobs:count_task", task)
        assert result["number"] == number


def count_task(payload, progress):
    if payload["log"]:
        with open(payload["log"], "a") as file:
            file.write(f"{payload['number']} {os.getpid()}\n")
    sys.stdout.write(f"counting {payload['number']}\n")
    sys.stdout.flush()
    for part in range(10):
        time.sleep(payload["seconds"] / 10)
        progress(part + 1, 10, f"part {part}")
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
    from service.jobs.worker import Worker

    Worker(Settings(), JOBS).serve()
