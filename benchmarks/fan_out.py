"""One evaluation by one worker and by two: wall time, and whether the results are equal.

    python -m benchmarks.fan_out [--supernet fashion_mnist] [--count 24] [--images 2000] [--runs 3] [--json OUT]

Each run starts a service on loopback with one worker, evaluates subnets, starts a second worker, and evaluates the same
subnets again. The evaluation before each lets the workers load the supernet and its data; it is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.crash_processes import Fleet
from netwright.client import Client
from netwright.errors import NetwrightError
from service.run import migrate
from service.settings import Settings

START_S, JOB_S = 120.0, 1800.0
Values = list[tuple[str, float]]


def evaluate(client: Client, supernet: str, count: int, images: int) -> tuple[float, Values]:
    """Seconds of a job that evaluates, and its values by subnet."""
    began = time.monotonic()
    job = client.supernets.get(supernet).evaluate(count=count, images=images).wait(JOB_S)
    seconds = time.monotonic() - began
    rows = client.measurements.list(job=job.id)
    return seconds, sorted((row.subnet, row.value) for row in rows)


def run(supernet: str, count: int, images: int, url: str, folder: Path) -> dict[str, object]:
    """Both evaluations in one service."""
    settings = Settings(home=folder / "home", database_url=url)
    migrate(settings)
    first = Fleet(settings.home, url, 1)
    more = None
    try:
        client = Client(first.url, timeout=30.0)
        _until_alive(client, 1)
        client.supernets.add(supernet)
        evaluate(client, supernet, count, images)
        one, values = evaluate(client, supernet, count, images)
        more = Fleet(settings.home, url, 1, api=False)
        _until_alive(client, 2)
        evaluate(client, supernet, count, images)
        two, again = evaluate(client, supernet, count, images)
        return {"one_s": round(one, 2), "two_s": round(two, 2), "equal": values == again}
    finally:
        for fleet in (first, more):
            if fleet is not None:
                fleet.close()


def _until_alive(client: Client, workers: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            if client.ready().workers >= workers:
                return
        except NetwrightError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"{workers} workers must be alive after {START_S:g} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; exit status 1 where the results differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--supernet", default="fashion_mnist", help="name of a supernet of the zoo")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--database-url", default="", help="an empty PostgreSQL database; SQLite if absent")
    parser.add_argument("--json", type=Path, help="file for the figures")
    asked = parser.parse_args(arguments)
    runs = []
    for _ in range(asked.runs):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(run(asked.supernet, asked.count, asked.images, asked.database_url, Path(folder)))
    medians = {
        name: statistics.median(float(str(each[name])) for each in runs) for name in ("one_s", "two_s")
    }
    equal = all(each["equal"] for each in runs)
    figures = {"count": asked.count, "images": asked.images, "runs": runs, "median": medians, "equal": equal}
    text = json.dumps(figures, indent=1)
    print(text)
    if asked.json is not None:
        asked.json.write_text(text + "\n")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
