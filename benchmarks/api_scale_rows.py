"""Databases of any size for ``benchmarks.api_scale``: rows are copied in bulk, and indexed afterwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np
import sqlalchemy as sa
from fastapi.testclient import TestClient

from search.fronts.front import non_dominated
from service.db import queries
from service.db.session import Database
from service.db.tables import (
    BestPoint,
    Job,
    MeasuredCount,
    MeasuredSubnet,
    Measurement,
    Point,
    Predictor,
    Search,
    SearchLabel,
    Subnet,
    now,
)
from service.ids import DEFAULT_PROJECT, new_id
from service.search.fronts import cells
from service.search.fronts.cells import Scope
from service.search.fronts.pages import PointRow

SUPERNETS, TARGETS = 3, 6
PER_SUBNET, PER_JOB, PER_PREDICTOR = 5, 100, 1000  # measurements
PER_SEARCH = 10  # points
ON_FRONT = (
    50 * SUPERNETS
)  # the oldest subnets, better than all others: fronts of one size in databases of any size
METRICS = ("latency_ms", "peak_memory_mb")
CHUNK = 10_000
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
SIDES = {"max_latency_ms": "latency", "min_latency_ms": "latency", "min_accuracy": "accuracy"}
SIDES |= {f"{side}_{name}": name for side in ("min", "max") for name in ("params", "macs")}
SIDES["max_accuracy"] = "accuracy"


class Filled:
    """A database with ``rows`` measurements and a fifth as many subnets and points of fronts, and ids to request."""

    def __init__(self, client: TestClient, database: Database, rows: int, only: str = "") -> None:
        """Without measurements and predictors where ``only`` fronts are read."""
        self.client, self._database, self._rows = client, database, rows
        self._skipped = (Measurement, Predictor) if only.startswith("fronts") else ()
        self.supernets = [
            client.post("/v1/supernets", json={"zoo": "digits", "name": f"net {number}"}).json()["id"]
            for number in range(SUPERNETS)
        ]
        self.targets = [
            client.post("/v1/targets", json={"kind": "table", "name": f"device {number}"}).json()["id"]
            for number in range(TARGETS)
        ]
        self._arch = client.get(f"/v1/supernets/{self.supernets[0]}/space").json()["largest"]
        self._start = now() - timedelta(days=30)
        self._values = _values(rows // PER_SUBNET)
        self._fill()
        middle = self._start + timedelta(seconds=rows / 2)
        self.token = queries._encode_token(middle, new_id("mea"))

    def check_front(self, answer: Mapping[str, Any], query: Mapping[str, Any]) -> None:
        """Raise unless a front is that of every point within the limits, or ``max_points`` of it."""
        supernet = self.supernets.index(query["supernet"])
        chosen = np.arange(supernet, len(self._values["latency"]), SUPERNETS)
        if "target" in query:
            chosen = chosen[_target_of(chosen) == self.targets.index(query["target"])]
        for name, limit in query.items():
            if name in SIDES:
                sign = 1 if name.startswith("max") else -1
                chosen = chosen[sign * self._values[SIDES[name]][chosen] <= sign * limit]
        scores = np.stack([-self._values["accuracy"][chosen], self._values["latency"][chosen]], axis=1)
        expected = {f"sub_{number:016d}" for number in chosen[non_dominated(scores)]}
        found = {point["subnet"] for point in answer["points"]}
        count = min(len(expected), query.get("max_points", len(expected)))
        right = answer["total"] == len(expected) and len(found) == count and found <= expected
        assert right, f"{query}: {len(found)} points of {answer['total']}, expected {len(expected)}"

    def _fill(self) -> None:
        count = self._rows
        few, searches = max(200, count // PER_PREDICTOR), count // PER_SUBNET // PER_SEARCH
        for table, rows in (
            (Job, self._jobs(max(200, count // PER_JOB))),
            (Subnet, self._subnets(count // PER_SUBNET)),
            (Measurement, self._measurements(count)),
            (Predictor, self._predictors(few)),
            (Search, self._searches(searches)),
            (SearchLabel, self._labels(searches)),
            (Point, self._points(count // PER_SUBNET, searches)),
            (BestPoint, self._best_points(count // PER_SUBNET)),
        ):
            if table not in self._skipped:
                _copy(self._database, table.__table__, rows)
        self._analyze()  # PostgreSQL's plan for a table of unknown size reads whole scopes for each cell
        self._fill_cells()
        with self._database.write() as session:
            key = [getattr(Measurement, name) for name in ("project_id", "supernet_id", "metric", "scope")]
            names = [column.name for column in key]
            distinct = sa.select(*key, Measurement.subnet_id).distinct()
            session.execute(sa.insert(MeasuredSubnet).from_select([*names, "subnet_id"], distinct))
            counted = sa.select(*key, sa.func.count(sa.distinct(Measurement.subnet_id))).group_by(*key)
            session.execute(sa.insert(MeasuredCount).from_select([*names, "subnets"], counted))
        self._analyze()

    def _analyze(self) -> None:
        with self._database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")

    def _fill_cells(self) -> None:
        """The trees over the best points; their cells are noted in bulk."""
        for supernet in self.supernets:
            for scope in (Scope(DEFAULT_PROJECT, supernet, name) for name in ("any", *self.targets)):
                with self._database.write() as session:
                    columns = (BestPoint.subnet_id, BestPoint.quality, BestPoint.figures)
                    query = sa.select(*columns).where(*scope.of(BestPoint))
                    rows = [
                        PointRow(subnet_id=row.subnet_id, quality=row.quality, figures=row.figures)
                        for row in session.execute(query)
                    ]
                    cells.move(session, scope, cells.build(session, scope, rows))

    def _common(self, number: int, prefix: str) -> dict[str, Any]:
        return {
            "id": f"{prefix}_{number:016d}",
            "project_id": DEFAULT_PROJECT,
            "created_at": self._start + timedelta(seconds=number),
        }

    def _jobs(self, count: int) -> Rows:
        for number in range(count):
            yield {
                **self._common(number, "job"),
                "kind": ("measure", "evaluate", "search", "fit")[number % 4],
                "state": "failed" if number % 50 == 0 else "succeeded",
                "params": {},
                "priority": 0,
                "done": 1,
                "total": 1,
                "attempts": 1,
                "deaths": 0,
                "short": False,
                "waited_s": 0.0,
            }

    def _subnets(self, count: int) -> Rows:
        for number in range(count):
            yield {
                **self._common(number, "sub"),
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
                **self._common(number, "mea"),
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
                **self._common(number, "prd"),
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
            supernet = self.supernets[number % SUPERNETS]
            yield {
                **self._common(number, "sea"),
                "supernet_id": supernet,
                "spec": {
                    **SPEC,
                    "supernet": supernet,
                    "labels": {"team": str(number % 3), **({"run": "7"} if number >= count - 30 else {})},
                },
                "job_id": f"job_{number % 100:016d}",
                "evaluations": 10,
                "reused": 0,
                "reference": [],
                "history": [],
                "warnings": [],
                "provenance": {},
            }

    def _labels(self, count: int) -> Rows:
        for number in range(count):
            for name, value in (
                ("team", str(number % 3)),
                *((("run", "7"),) if number >= count - 30 else ()),
            ):
                yield {**self._common(number, "sea"), "name": name, "value": value}

    def _points(self, count: int, searches: int) -> Rows:
        """One point for each subnet, of the search that is its turn."""
        for number in range(count):
            yield {
                **self._common(number, "pnt"),
                "search_id": f"sea_{number % searches:016d}",
                "supernet_id": self.supernets[number % SUPERNETS],
                "subnet_id": f"sub_{number:016d}",
                "scope": "shared",
                "rank": number,
                "body": self._body(number, searches),
            }

    def _body(self, number: int, searches: int) -> dict[str, Any]:
        target = self.targets[_target_of(number)]
        return {
            "subnet": f"sub_{number:016d}",
            "search": f"sea_{number % searches:016d}",
            "target": None,
            "arch": self._arch,
            "feasible": True,
            "predicted": [],
            "measured": [
                {
                    "metric": "latency_ms",
                    "target": target,
                    "value": float(self._values["latency"][number]),
                    "spread": 1e-6,
                    "n": 20,
                    "statistic": "made",
                    "protocol_version": None,
                    "verdict": "good",
                    "raw": {},
                }
            ],
            "quality": None,
            "validation": {
                "metric": "accuracy",
                "value": float(self._values["accuracy"][number]),
                "standard_error": 1e-6,
                "n": 100,
                "split": "validation",
                "precision": "fp32",
            },
            "costs": {name: float(self._values[name][number]) for name in ("params", "macs")},
        }

    def _best_points(self, count: int) -> Rows:
        on_front: dict[str, set[int]] = {}
        scores = np.stack([-self._values["accuracy"], self._values["latency"]], axis=1)
        for scope in ("any", *self.targets):
            on_front[scope] = set()
            for supernet in range(SUPERNETS):
                chosen = np.arange(supernet, count, SUPERNETS)
                if scope != "any":
                    chosen = chosen[_target_of(chosen) == self.targets.index(scope)]
                on_front[scope] |= set(chosen[non_dominated(scores[chosen])].tolist())
        for number in range(count):
            figures = {name: float(self._values[name][number]) for name in ("accuracy", "params", "macs")}
            figures["latency_ms"] = float(self._values["latency"][number])
            for scope in ("any", self.targets[_target_of(number)]):
                yield {
                    "project_id": DEFAULT_PROJECT,
                    "supernet_id": self.supernets[number % SUPERNETS],
                    "scope": scope,
                    "subnet_id": f"sub_{number:016d}",
                    "point_id": f"pnt_{number:016d}",
                    "quality": -figures["accuracy"],
                    "latency": figures["latency_ms"],
                    "figures": figures,
                    "on_front": number in on_front[scope],
                    "cell": 1,
                }


def _target_of(number: Any) -> Any:
    """Index of the target that a subnet is measured on, for a number or an array of them."""
    return number // SUPERNETS % TARGETS


def _values(count: int) -> dict[str, np.ndarray[Any, Any]]:
    """Accuracy, latency and costs of each subnet; only the oldest are on the front of everything."""
    rng = np.random.default_rng(0)
    size = rng.uniform(0.1, 1.0, count)
    found = {
        "accuracy": np.sqrt(size) * rng.uniform(0.8, 1.0, count) * 0.95,
        "latency": size * rng.uniform(0.8, 1.25, count),
        "params": size * rng.uniform(0.5, 1.5, count),
        "macs": size * rng.uniform(0.7, 1.3, count),
    }
    share = np.linspace(0, 1, ON_FRONT)
    found["latency"][:ON_FRONT], found["accuracy"][:ON_FRONT] = 0.05 + share, 0.95 + 0.05 * share
    return found


def _copy(database: Database, table: Any, rows: Rows) -> None:
    """Write rows past the ORM: without checks of foreign keys, and indexed once, at the end."""
    with database.engine.begin() as connection:
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        for index in indexes:
            index.drop(connection)
    first = next(rows)
    names = list(first)
    raw = database.engine.raw_connection()
    try:
        write = _into_sqlite if database.is_sqlite else _into_postgresql
        write(raw, table.name, names, _tuples(first, rows, database.is_sqlite))
        raw.commit()
    finally:
        raw.close()
        database.engine.dispose()  # settings of the connection go with it
    with database.engine.begin() as connection:
        for index in indexes:
            index.create(connection)


def _tuples(first: dict[str, Any], rows: Rows, is_sqlite: bool) -> Iterator[tuple[Any, ...]]:
    def plain(value: Any) -> Any:
        if isinstance(value, dict | list):
            return json.dumps(value)
        if is_sqlite and isinstance(value, datetime):
            return value.strftime("%Y-%m-%d %H:%M:%S.%f")
        return value

    yield tuple(map(plain, first.values()))
    for row in rows:
        yield tuple(map(plain, row.values()))


def _into_sqlite(raw: Any, table: str, names: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    connection: sqlite3.Connection = raw.driver_connection
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN")
    places = ", ".join("?" * len(names))
    statement = f"INSERT INTO {table} ({_columns(names)}) VALUES ({places})"
    source = iter(rows)
    while chunk := list(islice(source, CHUNK)):
        connection.executemany(statement, chunk)


def _into_postgresql(raw: Any, table: str, names: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    with raw.driver_connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        with cursor.copy(f"COPY {table} ({_columns(names)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _columns(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
