"""Jobs that a test can watch, hold, kill and cancel; run as a module it is a worker that knows them."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from service.errors import InvalidError
from service.runtime.task import Progress, StepData
from service.settings import Settings
from supernets.registry import Registry

JOBS = Registry(
    "job kind",
    {
        "count": "tests.service.small_jobs:count",
        "fail": "tests.service.small_jobs:fail",
        "crash": "tests.service.small_jobs:crash",
        "leak": "tests.service.small_jobs:leak",
        "starve": "tests.service.small_jobs:starve",
        "spread": "tests.service.small_jobs:spread",
    },
)
HELD_S = 300


class CountIn(StepData):
    number: int
    folder: str | None


class Counted(StepData):
    number: int


class Nothing(StepData):
    pass


async def count(run):
    """``steps`` steps; step ``n > 0`` waits in ``folder`` for a file called ``n``, if there is a folder."""
    steps = run.params["steps"]
    for number in range(steps):
        run.window(number, number + 1, steps)
        request = CountIn(number=number, folder=run.params.get("folder"))
        result = await run.step(f"count {number}", count_task, request)
        assert result.number == number


def count_task(payload: CountIn, progress: Progress) -> Counted:
    sys.stdout.write(f"counting {payload.number}\n")
    sys.stdout.flush()
    if payload.folder is not None:
        folder = Path(payload.folder)
        with (folder / "log").open("a") as file:
            file.write(f"{payload.number} {os.getpid()}\n")
        deadline = time.monotonic() + HELD_S
        while payload.number and not (folder / str(payload.number)).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    progress(1, 1, "counted")
    return Counted(number=payload.number)


class SpreadIn(StepData):
    numbers: list[int]
    folder: str
    seconds: float | None = None

    def shares(self, workers):
        return [SpreadIn(numbers=[number], folder=self.folder) for number in self.numbers]

    @property
    def limit_s(self):
        return self.seconds


class Spread(StepData):
    squares: list[int]

    @classmethod
    def joined(cls, parts):
        return cls(squares=[square for part in parts for square in part.squares])


async def spread(run):
    """One step in as many parts as there are ``numbers``, each held until ``folder`` has a file of its name."""
    request = SpreadIn(
        numbers=run.params["numbers"], folder=run.params["folder"], seconds=run.params.get("seconds")
    )
    run.window(0, 1, 1)
    result = await run.step("spread", spread_task, request)
    run.outcome = " ".join(map(str, result.squares))


def spread_task(payload: SpreadIn, progress: Progress) -> Spread:
    for number in payload.numbers:
        with (Path(payload.folder) / "log").open("a") as file:
            file.write(f"{number} {os.getppid()}\n")
        deadline = time.monotonic() + HELD_S
        while not (Path(payload.folder) / str(number)).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return Spread(squares=[number**2 for number in payload.numbers])


async def fail(run):
    await run.step("fail", fail_task, Nothing())


def fail_task(payload: Nothing, progress: Progress) -> Nothing:
    raise InvalidError("size", -1, ">= 0")


async def crash(run):
    await run.step("crash", crash_task, Nothing())


def crash_task(payload: Nothing, progress: Progress) -> Nothing:
    os._exit(3)


SECRET = "psycopg.OperationalError: postgresql://me:hunter2@db/x [SQL: SELECT secret]"


async def leak(run):
    await run.step("leak", leak_task, Nothing())


def leak_task(payload: Nothing, progress: Progress) -> Nothing:
    """Writes all that a library may write, and fails with a text that is not for the public."""
    sys.stderr.write("/srv/inside/lib.py:7: UserWarning: careful\n")
    sys.stderr.flush()
    thread = threading.Thread(target=_raise)
    thread.start()
    thread.join()
    sys.stderr.write("still going\n")
    try:
        _raise()
    except RuntimeError as error:
        raise KeyError(SECRET) from error


def _raise():
    raise RuntimeError(SECRET)


class StarveIn(StepData):
    folder: str
    kills: int
    nets: int = 8

    NEEDS_LESS = "fewer nets"

    def smaller(self):
        return self.model_copy(update={"nets": self.nets // 2}), f"with {self.nets // 2} nets at once"


async def starve(run):
    """A step whose process is killed from outside the first ``kills`` times."""
    request = StarveIn(folder=run.params["folder"], kills=run.params["kills"])
    await run.step("starve", starve_task, request)


def starve_task(request: StarveIn, progress: Progress) -> Nothing:
    log = Path(request.folder) / "log"
    before = len(log.read_text().splitlines()) if log.exists() else 0
    with log.open("a") as file:
        file.write(f"{before} {os.getpid()}\n")
    Path(request.folder, f"nets {before}").write_text(str(request.nets))
    if before < request.kills:
        os.kill(os.getpid(), signal.SIGKILL)
    return Nothing()


if __name__ == "__main__":
    from service.runtime.worker import Worker

    Worker(Settings(), JOBS).serve()
