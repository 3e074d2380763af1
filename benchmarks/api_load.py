"""Load on the HTTP API: latency and throughput of two processes, memory over time, and many listeners to events.

    python -m benchmarks.api_load [--seconds 20] [--memory-seconds 600] [--listeners 1000] [--json OUT]

Everything runs on loopback and ends by itself. Two API processes serve one SQLite database; ``--clients`` connections
ask them as fast as they answer, alternating between a route of the service and a bare FastAPI route in two processes of
its own that returns as many bytes. Then one process holds ``--listeners`` event streams of a job that goes on, while a
plain route is timed, and at last one is asked at a low rate for ``--memory-seconds`` while its memory is read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from netwright.processes import free_port
from service.db.session import Database
from service.ids import DEFAULT_PROJECT
from service.run import migrate
from service.runtime import job_queries
from service.settings import Settings

HOST, START_S = "127.0.0.1", 60.0
ROUTES = {"job": "/v1/jobs/{job}", "list of 50 jobs": "/v1/jobs?page_size=50", "healthz": "/healthz"}
JOBS = 200
BARE = """
import sys
import uvicorn
from fastapi import FastAPI, Response

app = FastAPI()
body = b"x" * int(sys.argv[2])

@app.get("/")
def root() -> Response:
    return Response(body, media_type="application/json")

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
"""


@dataclass(frozen=True)
class Served:
    """A process that answers on loopback."""

    url: str
    pid: int

    def memory_mb(self) -> float:
        """Its resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def served(*command: str, port: int, path: str, **environment: str) -> Iterator[Served]:
    """A process, from its first answer on; it is ended at the end."""
    process = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **environment}, stdin=subprocess.DEVNULL
    )
    url, deadline = f"http://{HOST}:{port}", time.monotonic() + START_S
    try:
        while True:
            try:
                httpx.get(url + path, timeout=5.0)
                break
            except httpx.TransportError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield Served(url, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def service(settings: Settings) -> AbstractContextManager[Served]:
    """An API process on these settings."""
    port = free_port()
    environment = {
        "NETWRIGHT_HOME": str(settings.home),
        "NETWRIGHT_PORT": str(port),
        "NETWRIGHT_LOG_LEVEL": "WARNING",
    }
    return served("-m", "netwright", "serve", port=port, path="/healthz", **environment)


def bare(size: int) -> AbstractContextManager[Served]:
    """A bare FastAPI route that returns a given number of bytes."""
    port = free_port()
    return served("-c", BARE, str(port), str(size), port=port, path="/")


# --- latency and throughput --------------------------------------------------------------------------


async def ask(urls: Sequence[str], clients: int, seconds: float) -> list[float]:
    """Seconds of every request of some connections, which share the URLs and send one request after another."""
    times: list[float] = []
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(timeout=30.0, limits=limits, verify=False) as client:
        for _ in range(2):  # opens the connections
            await asyncio.gather(*(client.get(urls[number % len(urls)]) for number in range(clients)))
        end = time.monotonic() + seconds

        async def one(url: str) -> None:
            while time.monotonic() < end:
                began = time.perf_counter()
                (await client.get(url, headers={"Accept-Encoding": "identity"})).raise_for_status()
                times.append(time.perf_counter() - began)

        await asyncio.gather(*(one(urls[number % len(urls)]) for number in range(clients)))
    return times


def summary(times: Sequence[float], seconds: float) -> dict[str, float]:
    """p50 and p99 in ms, and requests per second."""
    ordered = sorted(times)
    return {
        "p50_ms": round(1000 * ordered[len(ordered) // 2], 2),
        "p99_ms": round(1000 * ordered[int(0.99 * (len(ordered) - 1))], 2),
        "requests_per_s": round(len(ordered) / seconds, 1),
    }


def throughput(settings: Settings, job: str, clients: int, seconds: float) -> dict[str, object]:
    """Each route beside the bare one with as many bytes, in alternating slices of the time."""
    found: dict[str, object] = {}
    slices = 4
    with ExitStack() as stack:
        ours = [stack.enter_context(service(settings)) for _ in range(2)]
        for name, pattern in ROUTES.items():
            path = pattern.format(job=job)
            size = len(httpx.get(ours[0].url + path, headers={"Accept-Encoding": "identity"}).content)
            with ExitStack() as inner:
                theirs = [inner.enter_context(bare(size)) for _ in range(2)]
                times: dict[str, list[float]] = {"service": [], "bare": []}
                for _ in range(slices):
                    times["service"] += asyncio.run(
                        ask([each.url + path for each in ours], clients, seconds / slices)
                    )
                    times["bare"] += asyncio.run(
                        ask([each.url + "/" for each in theirs], clients, seconds / slices)
                    )
            rows = {kind: summary(values, seconds) for kind, values in times.items()}
            found[name] = {"bytes": size, **rows}
            sys.stderr.write(f"{name}: {rows}\n")
    return found


# --- memory ------------------------------------------------------------------------------------------


def memory(settings: Settings, job: str, seconds: float) -> dict[str, object]:
    """Resident memory of a process that is asked about ten times a second, after a tenth of the time and at the end."""
    rows: list[tuple[float, float]] = []
    requests = 0
    with service(settings) as process, httpx.Client(base_url=process.url, timeout=30.0) as client:
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            for pattern in ROUTES.values():
                client.get(pattern.format(job=job)).raise_for_status()
                requests += 1
            rows.append((round(elapsed, 1), round(process.memory_mb(), 1)))
            time.sleep(0.3)
    late = [megabytes for at, megabytes in rows if at >= seconds / 10]
    half = len(late) // 2
    return {
        "seconds": seconds,
        "requests": requests,
        "after_a_tenth_mb": late[0],
        "end_mb": late[-1],
        "first_half_median_mb": statistics.median(late[: half or 1]),
        "second_half_median_mb": statistics.median(late[half:]),
    }


# --- listeners ---------------------------------------------------------------------------------------


async def listen(settings: Settings, job: str, count: int, url: str, seconds: float) -> dict[str, object]:
    """Latency of a plain route while a number of streams are open and the job writes an event a second."""
    database = Database(settings.database)
    received = [0] * count
    opened = asyncio.Semaphore(50)
    limits = httpx.Limits(max_connections=None)
    plain: list[float] = []
    async with httpx.AsyncClient(base_url=url, timeout=60.0, limits=limits, verify=False) as client:

        async def one(number: int, ready: asyncio.Event) -> None:
            async with opened:
                request = client.build_request("GET", f"/v1/jobs/{job}/events")
                answer = await client.send(request, stream=True)
                answer.raise_for_status()
            ready.set()
            try:
                async for line in answer.aiter_lines():
                    received[number] += line.startswith("id:")
            finally:
                await answer.aclose()

        events = [asyncio.Event() for _ in range(count)]
        tasks = [asyncio.create_task(one(number, ready)) for number, ready in enumerate(events)]
        await asyncio.wait_for(asyncio.gather(*(ready.wait() for ready in events)), 120.0)
        before, end, number = list(received), time.monotonic() + seconds, 0
        while time.monotonic() < end:
            with database.write() as session:
                number += 1
                job_queries.set_progress(session, job, number, 1000, None, f"event {number}")
            for _ in range(5):
                began = time.perf_counter()
                (await client.get("/healthz")).raise_for_status()
                plain.append(time.perf_counter() - began)
                await asyncio.sleep(0.2)
        await asyncio.sleep(3.0)
        got = [after - start for after, start in zip(received, before, strict=True)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    database.dispose()
    return {
        "listeners": count,
        "events_written": number,
        "fewest_received": min(got),
        "plain_route": summary(plain, seconds),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="for each route")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--memory-seconds", type=float, default=600.0)
    parser.add_argument("--listeners", type=int, default=1000)
    parser.add_argument("--listener-seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path, help="file for the figures")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home")
        migrate(settings)
        job = _fill(settings)
        figures: dict[str, object] = {
            "clients": asked.clients,
            "routes": throughput(settings, job, asked.clients, asked.seconds),
        }
        with service(settings) as process:
            figures["events"] = asyncio.run(
                listen(settings, job, asked.listeners, process.url, asked.listener_seconds)
            )
        figures["memory"] = memory(settings, job, asked.memory_seconds)
    text = json.dumps(figures, indent=1)
    print(text)
    if asked.json is not None:
        asked.json.write_text(text + "\n")
    return 0


def _fill(settings: Settings) -> str:
    """Some jobs; returns the id of one that runs."""
    database = Database(settings.database)
    with database.write() as session:
        for number in range(JOBS):
            job = job_queries.create_job(session, DEFAULT_PROJECT, "measure", {})
            job_queries.set_state(session, job, "succeeded" if number < JOBS - 1 else "running")
    database.dispose()
    return job.id


if __name__ == "__main__":
    sys.exit(main())
