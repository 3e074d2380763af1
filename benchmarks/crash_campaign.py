"""Kill workers and the API at random moments while jobs run: nothing may be lost, doubled or repeated.

    python -m benchmarks.crash_campaign --kills 100 --database sqlite|postgresql --workers 2 [--seed 0] [--json OUT]

A service and its workers run as processes on loopback. Searches, measurements, evaluations, exports and trainings are
posted all the time. Whenever the API answers and every worker has a job, SIGKILL ends one of the processes after a
random pause, and it is started again. With PostgreSQL the database server itself, a cluster made for this run, is
stopped without notice after every tenth kill. Then every job is waited for, and what is stored is checked: an
accepted job has succeeded, a finished step was not executed again, a subnet has one row for a metric of a step, and
every artifact has the content of its hash.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.crash_processes import Cluster, Fleet
from benchmarks.crash_record import Record, check
from netwright.client import Client
from netwright.errors import ApiError, UnreachableError
from service.run import migrate
from service.settings import Settings
from supernets.metrics import ACCURACY, LATENCY

PAUSE_S = (0.0, 6.0)
WORK_S = 180.0
START_S = 120.0
END_S = 3600.0
MOST_OPEN = 6
CLUSTER_EVERY = 10
EVALUATED = 8
SUPERNET, TARGET = "digits", "cpu"


class Campaign:
    """Posts jobs, kills processes, and remembers what was accepted."""

    def __init__(self, fleet: Fleet, cluster: Cluster | None, seed: int) -> None:
        self.fleet, self.cluster, self.rng = fleet, cluster, random.Random(seed)
        self.client = Client(fleet.url, timeout=10.0)
        self.accepted: list[str] = []
        self.expected_rows: dict[str, int] = {}
        self.kills: Counter[str] = Counter()
        self.unanswered = 0
        self.idle = 0
        """Kills before which not every worker had a job within the time."""
        self._made = 0
        self._subnets: list[str] = []

    def prepare(self) -> None:
        """A supernet, a target and what predictors need, before the first kill."""
        self._until_answered(self.client.ready)
        self.client.supernets.add(SUPERNET)
        target = self.client.targets.add(name=TARGET)
        target.measure(SUPERNET, count=20).wait(END_S)
        self.client.supernets.get(SUPERNET).evaluate(count=20).wait(END_S)
        self.client.predictors.fit(SUPERNET, metric=LATENCY, target=TARGET).wait(END_S)
        self.client.predictors.fit(SUPERNET, metric=ACCURACY).wait(END_S)
        front = self.client.searches.create(SUPERNET, target=TARGET, budget=10).wait(END_S).front()
        self._subnets = [point.id for point in front]

    def post(self) -> None:
        """Start a job of a random kind; a request that the API did not survive is not an accepted job."""
        seed, self._made = self._made, self._made + 1
        kinds: dict[str, Callable[[], str]] = {
            "measure": lambda: self.client.targets.get(TARGET).measure(SUPERNET, count=6, seed=seed).id,
            "evaluate": lambda: self._evaluation(seed),
            "search": lambda: (
                self.client.searches.create(SUPERNET, target=TARGET, budget=10, seed=seed).job.id
            ),
            "export": lambda: self.client.exports.create(self.rng.choice(self._subnets)).job.id,
            "train": lambda: (
                self.client.trainings.create(
                    f"trained-{seed}", data=SUPERNET, family=SUPERNET, recipe="random", steps=200
                ).id
            ),
        }
        try:
            self.accepted.append(kinds[self.rng.choice(list(kinds))]())
        except (UnreachableError, ApiError) as error:
            if isinstance(error, ApiError) and error.status < 500:
                raise
            self.unanswered += 1

    def _evaluation(self, seed: int) -> str:
        job = self.client.supernets.get(SUPERNET).evaluate(count=EVALUATED, seed=seed)
        self.expected_rows[job.id] = EVALUATED
        return job.id

    def kill(self) -> None:
        """End a random process; sometimes the database server."""
        name = self.rng.choice(self.fleet.names)
        self.fleet.kill(name)
        self.kills[name] += 1
        if self.cluster is not None and self.kills.total() % CLUSTER_EVERY == 0:
            self.cluster.restart(self.rng.uniform(*PAUSE_S))

    def at_work(self) -> bool:
        """Wait until the API answers and every worker has a job; posts jobs, so that there are enough."""
        deadline = time.monotonic() + WORK_S
        while time.monotonic() < deadline:
            if self.open() < MOST_OPEN:
                self.post()
            elif self.fleet.busy() >= self.fleet.workers:
                return True
            time.sleep(0.1)
        return False

    def open(self) -> int:
        """How many accepted jobs have not ended; as many as may be while the API does not answer."""
        try:
            return sum(len(self.client.jobs.list(state=state)) for state in ("queued", "running"))
        except (UnreachableError, ApiError):
            return MOST_OPEN

    def finish(self) -> None:
        """Wait until no job is left."""
        deadline = time.monotonic() + END_S
        self._until_answered(self.client.ready)
        while self.open() and time.monotonic() < deadline:
            time.sleep(1.0)

    def _until_answered(self, ask: Callable[[], object]) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                ask()
                return
            except (UnreachableError, ApiError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


def run(
    kills: int, database: str, workers: int, seed: int, folder: Path
) -> tuple[Campaign, Record, list[str]]:
    """The whole campaign; returns it with what was found, and processes that ended by themselves."""
    cluster = Cluster(folder / "cluster") if database == "postgresql" else None
    settings = Settings(home=folder / "home", database_url=cluster.url if cluster else "")
    migrate(settings)
    fleet = Fleet(settings.home, settings.database_url, workers)
    ended: list[str] = []
    try:
        campaign = Campaign(fleet, cluster, seed)
        campaign.prepare()
        with _bar() as bar:
            task = bar.add_task("kills", total=kills)
            while campaign.kills.total() < kills:
                campaign.idle += not campaign.at_work()
                time.sleep(campaign.rng.uniform(*PAUSE_S))
                ended += fleet.ended()
                campaign.kill()
                bar.advance(task)
        campaign.finish()
        return campaign, check(settings, campaign.accepted, campaign.expected_rows), ended
    finally:
        fleet.close()
        if cluster is not None:
            cluster.stop()


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts; exit status 1 where anything was lost, doubled, repeated or damaged."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the figures")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the cluster belongs to another user
        began = time.monotonic()
        campaign, record, ended = run(asked.kills, asked.database, asked.workers, asked.seed, Path(folder))
        figures = {
            "kills": campaign.kills.total(),
            "killed": dict(campaign.kills),
            "database": asked.database,
            "accepted": len(campaign.accepted),
            "unanswered": campaign.unanswered,
            "kills_while_a_worker_was_idle": campaign.idle,
            "ended_by_themselves": ended,
            "minutes": round((time.monotonic() - began) / 60, 1),
            **record.as_json(),
        }
    text = json.dumps(figures, indent=1)
    print(text)
    if asked.json is not None:
        asked.json.write_text(text + "\n")
    bad = record.lost + record.doubled + record.repeated_steps + record.bad_artifacts + len(record.failures)
    return 1 if bad or ended else 0


if __name__ == "__main__":
    sys.exit(main())
