"""How reads of the HTTP API slow down as a database grows from 10^4 to 10^6 measurements, on both databases.

    python -m benchmarks.api_scale [--rows 10000 1000000] [--postgres URL] [--repeats 15] [--json OUT]

The databases of both sizes are open at once and every read alternates between them, so that a busy machine slows both.
A ratio is the median of the larger database by that of the smaller one; the goal is at most 1.5 for every read.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.app import create_app
from service.db import queries
from service.db.session import Database
from service.db.tables import (
    Job,
    MeasuredCount,
    MeasuredSubnet,
    Measurement,
    Predictor,
    Search,
    Subnet,
    now,
)
from service.ids import DEFAULT_PROJECT, new_id
from service.run import migrate
from service.settings import Settings

GOAL = 1.5
CHUNK = 5000
SUPERNETS, TARGETS = 3, 6
PER_SUBNET, PER_JOB, PER_PREDICTOR = 5, 100, 1000  # measurements
METRICS = ("latency_ms", "peak_memory_mb")
SPEC = {
    "targets": [],
    "front": "shared",
    "objectives": ["accuracy", "latency_ms"],
    "constraints": [],
    "restrict": {},
    "confidence": 0.95,
    "budget": {"evaluations": 10, "seconds": None},
    "stall": {"evaluations": None, "gain": 0.001},
    "algorithm": "surrogate",
    "seed": 0,
}
Rows = Iterator[dict[str, Any]]


class Filled:
    """A database with so many measurements, and ids to ask for."""

    def __init__(self, client: TestClient, database: Database, rows: int) -> None:
        self.client, self._database, self._rows = client, database, rows
        space = client.post("/v1/supernets", json={"zoo": "digits", "name": "net 0"}).json()
        self.supernets = [space["id"]]
        for number in range(1, SUPERNETS):
            answer = client.post("/v1/supernets", json={"zoo": "digits", "name": f"net {number}"})
            self.supernets.append(answer.json()["id"])
        self.targets = [
            client.post("/v1/targets", json={"kind": "table", "name": f"device {number}"}).json()["id"]
            for number in range(TARGETS)
        ]
        self._arch = client.get(f"/v1/supernets/{self.supernets[0]}/space").json()["largest"]
        self._start = now() - timedelta(days=30)
        self._fill()
        middle = self._start + timedelta(seconds=rows / 2)
        self.token = queries._encode_token(middle, new_id("mea"))

    def _fill(self) -> None:
        count = self._rows
        self._insert(Job, self._jobs(max(200, count // PER_JOB)))
        self._insert(Subnet, self._subnets(count // PER_SUBNET))
        self._insert(Measurement, self._measurements(count))
        self._insert(Predictor, self._predictors(max(200, count // PER_PREDICTOR)))
        self._insert(Search, self._searches(max(200, count // PER_PREDICTOR)))
        with self._database.write() as session:
            key = [getattr(Measurement, name) for name in ("project_id", "supernet_id", "metric", "scope")]
            names = [column.name for column in key]
            distinct = sa.select(*key, Measurement.subnet_id).distinct()
            session.execute(sa.insert(MeasuredSubnet).from_select([*names, "subnet_id"], distinct))
            counted = sa.select(*key, sa.func.count(sa.distinct(Measurement.subnet_id))).group_by(*key)
            session.execute(sa.insert(MeasuredCount).from_select([*names, "subnets"], counted))
        with self._database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")

    def _insert(self, table: Any, rows: Rows) -> None:
        chunk: list[dict[str, Any]] = []
        for row in rows:
            chunk.append({"project_id": DEFAULT_PROJECT, **row})
            if len(chunk) == CHUNK:
                self._write(table, chunk)
        self._write(table, chunk)

    def _write(self, table: Any, chunk: list[dict[str, Any]]) -> None:
        if chunk:
            with self._database.write() as session:
                session.execute(sa.insert(table.__table__), chunk)
            chunk.clear()

    def _at(self, number: int) -> dict[str, Any]:
        return {"created_at": self._start + timedelta(seconds=number)}

    def _jobs(self, count: int) -> Rows:
        for number in range(count):
            yield {
                **self._at(number),
                "id": f"job_{number:016d}",
                "kind": ("measure", "evaluate", "search", "fit")[number % 4],
                "state": "failed" if number % 50 == 0 else "succeeded",
                "params": {},
                "workflow_id": f"run {number}",
                "done": 1,
                "total": 1,
                "attempts": 1,
            }

    def _subnets(self, count: int) -> Rows:
        for number in range(count):
            yield {
                **self._at(number),
                "id": f"sub_{number:016d}",
                "supernet_id": self.supernets[number % SUPERNETS],
                "arch_id": f"{number:016x}",
                "arch": self._arch,
                "costs": {"params": 1.0, "macs": 1.0, "activation_mb": 1.0, "size_mb": 1.0},
            }

    def _measurements(self, count: int) -> Rows:
        for number in range(count):
            subnet = number % max(1, count // PER_SUBNET)
            target = None if number % 7 == 6 else self.targets[number % 7]
            yield {
                **self._at(number),
                "id": f"mea_{number:016d}",
                "job_id": f"job_{number // PER_JOB:016d}",
                "step": "measure",
                "supernet_id": self.supernets[subnet % SUPERNETS],
                "subnet_id": f"sub_{subnet:016d}",
                "target_id": target,
                "metric": "accuracy" if target is None else METRICS[number % 50 == 0],
                "scope": "split:validation" if target is None else f"target:{target}",
                "split": "validation" if target is None else None,
                "value": 0.5,
                "spread": 0.01,
                "n": 20,
                "statistic": "made",
                "precision": "fp32",
                "protocol_version": "2",
                "verdict": "good",
                "details": {"raw": {"p50": 1.0, "p90": 1.1, "n": 20}},
            }

    def _predictors(self, count: int) -> Rows:
        for number in range(count):
            yield {
                **self._at(number),
                "id": f"prd_{number:016d}",
                "supernet_id": self.supernets[number % SUPERNETS],
                "target_id": self.targets[number % TARGETS],
                "metric": "latency_ms",
                "kind": "bayesian_linear",
                "version": "0" * 64,
                "rows": 30,
                "job_id": f"job_{number % 100:016d}",
                "report": {"n": 30, "spearman": 0.9},
            }

    def _searches(self, count: int) -> Rows:
        for number in range(count):
            labels = {"team": str(number % 7)}
            yield {
                **self._at(number),
                "id": f"sea_{number:016d}",
                "supernet_id": self.supernets[number % SUPERNETS],
                "spec": {**SPEC, "supernet": self.supernets[number % SUPERNETS], "labels": labels},
                "job_id": f"job_{number % 100:016d}",
                "evaluations": 10,
                "reused": 0,
                "reference": [],
                "history": [],
                "warnings": [],
                "provenance": {},
            }

    def reads(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """What is asked: a name to path and query."""
        supernet, target = self.supernets[1], self.targets[2]
        measurements: dict[str, dict[str, Any]] = {
            "": {},
            " deep": {"page_token": self.token},
            " supernet": {"supernet": supernet},
            " target": {"target": target},
            " rare metric": {"metric": "peak_memory_mb"},
            " split": {"split": "validation"},
            " supernet, metric": {"supernet": supernet, "metric": "latency_ms"},
            " supernet, target, metric": {"supernet": supernet, "target": target, "metric": "latency_ms"},
            " subnet": {"subnet": f"sub_{7:016d}"},
            " job": {"job": f"job_{7:016d}"},
            " nothing": {"metric": "energy_mj"},
        }
        return {
            "supernets": ("/v1/supernets", {}),
            "supernet": (f"/v1/supernets/{supernet}", {}),
            "targets": ("/v1/targets", {}),
            "target": (f"/v1/targets/{target}", {}),
            **{f"measurements{name}": ("/v1/measurements", query) for name, query in measurements.items()},
            "predictors": ("/v1/predictors", {}),
            "predictors supernet, metric": (
                "/v1/predictors",
                {"supernet": supernet, "metric": "latency_ms"},
            ),
            "predictor": (f"/v1/predictors/prd_{7:016d}", {}),
            "searches": ("/v1/searches", {}),
            "searches supernet": ("/v1/searches", {"supernet": supernet}),
            "searches label": ("/v1/searches", {"label": "team=3"}),
            "searches state": ("/v1/searches", {"state": "succeeded"}),
            "search": (f"/v1/searches/sea_{7:016d}", {}),
            "fronts": ("/v1/fronts", {"supernet": supernet}),
            "subnet": (f"/v1/subnets/sub_{7:016d}", {}),
            "jobs": ("/v1/jobs", {}),
            "jobs kind": ("/v1/jobs", {"kind": "search"}),
            "jobs state": ("/v1/jobs", {"state": "failed"}),
            "jobs kind, state": ("/v1/jobs", {"kind": "measure", "state": "failed"}),
            "job": (f"/v1/jobs/job_{7:016d}", {}),
            "readyz": ("/readyz", {}),
        }


def compare(filled: Sequence[Filled], repeats: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of every read, smaller and larger database, and their ratio."""
    found = {}
    for name in filled[0].reads():
        times: list[list[float]] = [[] for _ in filled]
        for _ in range(repeats):
            for index, each in enumerate(filled):
                path, query = each.reads()[name]
                started = time.perf_counter()
                answer = each.client.get(path, params=query)
                times[index].append(1000 * (time.perf_counter() - started))
                assert answer.status_code in (200, 503 if name == "readyz" else 200), answer.text
        small, large = (statistics.median(each) for each in times)
        found[name] = {
            "small_ms": round(small, 2),
            "large_ms": round(large, 2),
            "ratio": round(large / small, 2),
        }
        print(f"{name:42} {small:8.1f} ms {large:8.1f} ms  x {large / small:.2f}", flush=True)
    return found


def measure(urls: Sequence[str], rows: Sequence[int], folder: Path, repeats: int) -> dict[str, Any]:
    """Fill one database for each size at these URLs, and compare them."""
    with ExitStack() as stack:
        filled = []
        for url, count in zip(urls, rows, strict=True):
            settings = Settings(home=folder / f"home-{count}", database_url=url)
            migrate(settings)
            app = create_app(settings)
            client = stack.enter_context(TestClient(app, base_url="http://127.0.0.1"))
            started = time.perf_counter()
            filled.append(Filled(client, app.state.services.database, count))
            print(f"{count} rows were written in {time.perf_counter() - started:.0f} s", flush=True)
        return compare(filled, repeats)


def _made(server: str, stack: ExitStack) -> str:
    """A database of its own on a PostgreSQL server, dropped at the end."""
    name = new_id("netwright_scale")
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')

    def drop() -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        engine.dispose()

    stack.callback(drop)
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def main(arguments: Sequence[str] | None = None) -> Mapping[str, Any]:
    """Run, print a line for each read, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs=2, default=[10_000, 1_000_000])
    parser.add_argument("--postgres", help="URL of a server; without it only SQLite is measured")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    found: dict[str, Any] = {"rows": given.rows, "repeats": given.repeats, "goal": GOAL}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        lite = [f"sqlite:///{folder}/{count}.db" for count in given.rows]
        found["sqlite"] = measure(lite, given.rows, Path(folder) / "sqlite", given.repeats)
        if given.postgres:
            urls = [_made(given.postgres, stack) for _ in given.rows]
            found["postgresql"] = measure(urls, given.rows, Path(folder) / "postgresql", given.repeats)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return found


if __name__ == "__main__":
    main()
