"""The real application on a database with a supernet, a target, predictors and a finished search.

Requests go through its own transport, in this process. There is no worker: ``House.finish`` ends queued jobs, a
search by its real code on made-up networks, the others with rows as their jobs would have written them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from fastapi.testclient import TestClient

from netwright import Client
from service.app import create_app
from service.artifacts import own_artifact
from service.db.session import Database
from service.db.tables import Export, Job, Measurement, Predictor, Supernet, Table
from service.ids import DEFAULT_PROJECT, new_id
from service.run import migrate
from service.runtime import job_queries
from service.settings import Settings
from tests.service.inline_job import run_inline
from tests.service.rows import insert_fitted, insert_measured

ONNX = b"an onnx file" * 1000
PLOT = b"\x89PNG of a plot"
LIMIT_MS = 0.03
IMPORTED = {
    "rows": 5,
    "accepted": 4,
    "archs": 4,
    "known": 0,
    "refused_count": 1,
    "refused_by_rule": {"unit jump": 1},
    "refused": [{"row": 3, "rule": "unit jump", "got": 12.5, "reason": "about 1000x above the rest"}],
    "warnings": ["is the unit right?"],
}
CARD = {
    "n": 30,
    "spearman": 0.99,
    "mape": 0.0213,
    "median_ape": 0.02,
    "bias": 0.001,
    "coverage90": 0.9,
    "noise_ceiling": None,
    "choice": {
        "kind": "bayesian_linear",
        "reason": "bayesian_linear: mean CV interval score 0.041, trees 0.052",
        "candidates": [
            {"kind": "bayesian_linear", "interval_score": 0.041, "standard_error": 0.002, "mape": 0.02},
            {"kind": "latency_surface", "note": "needs 40 rows, there are 30"},
        ],
    },
    "worst": [{"arch": {"resolution": 24}, "measured": 0.06, "predicted": 0.066, "error": 0.1}],
    "learning_curve": [
        {"rows": 12, "mape": 0.04, "mape_error": 0.01, "spearman": 0.9},
        {"rows": 24, "mape": 0.02, "mape_error": 0.001, "spearman": 0.99},
    ],
    "enough_rows": None,
}


class House(httpx.BaseTransport):
    """An application on a copy of a database; a transport that remembers what it was asked."""

    def __init__(self, home: Path, *, worker: bool = True) -> None:
        self.settings = Settings(home=home, import_dir=None, poll_s=0.01)
        self.database = Database(self.settings.database)
        self.app = create_app(self.settings)
        self.worker = worker
        self.asked: list[tuple[str, str, Any]] = []
        self.before: list[Callable[[httpx.Request], None]] = []
        """Called with each request; what they raise is what the network would do."""
        self._http = TestClient(self.app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        self._http.__enter__()

    def close(self) -> None:
        """Called by each client: the application outlives it."""

    def stop(self) -> None:
        """End the application."""
        self._http.__exit__(None, None, None)
        self.database.dispose()

    def client(self) -> Client:
        """A client of this application."""
        return Client("http://127.0.0.1", transport=self)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the application does; jobs that a request starts end at once where there is a worker."""
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, str(request.url.raw_path, "ascii"), body))
        for hook in self.before:
            hook(request)
        answer = self._http.request(
            request.method, str(request.url), headers=dict(request.headers), content=request.content
        )
        if request.method == "POST" and self.worker:
            self.finish()
        # The content is decoded already.
        headers = {name: value for name, value in answer.headers.items() if name != "content-encoding"}
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)

    def sent(self, path: str) -> Any:
        """Body of the last POST to this path."""
        return [body for method, at, body in self.asked if (method, at) == ("POST", path)][-1]

    def put(self, content: bytes) -> str:
        """Store an artifact of the project; returns its hash."""
        sha256: str = self.app.state.services.store.put(content)
        with self.database.write() as session:
            own_artifact(session, DEFAULT_PROJECT, sha256, len(content), "application/octet-stream", "made")
        return sha256

    def change(self, kind: type[Table], id: str, **values: Any) -> None:
        """Set columns of a row."""
        with self.database.write() as session:
            row = session.get_one(kind, id)
            for name, value in values.items():
                setattr(row, name, value)

    def job(self, state: str, **values: Any) -> str:
        """A job in this state; returns its id."""
        with self.database.write() as session:
            job = job_queries.create_job(session, DEFAULT_PROJECT, "measure", {})
            job_queries.set_state(session, job, state)
            for name, value in values.items():
                setattr(job, name, value)
            return str(job.id)

    def finish(self) -> None:
        """End every queued job as a worker would."""
        with self.database.read() as session:
            queued = session.scalars(sa.select(Job).where(Job.state == "queued")).all()
            jobs = [(job.id, job.kind, job.resource_id) for job in queued]
        onnx = self.put(ONNX) if jobs else ""
        for id, kind, resource in jobs:
            if kind == "search":
                run_inline(self.database, self.settings, id)
                continue
            with self.database.write() as session:
                job = session.get_one(Job, id)
                if kind == "fit":
                    fitted = session.get_one(Predictor, resource)
                    done = sa.select(Predictor).where(Predictor.version.is_not(None))
                    known = session.scalars(done.where(Predictor.metric == fitted.metric)).first()
                    assert known is not None
                    fitted.version, fitted.kind, fitted.rows = known.version, known.kind, 30
                    fitted.report = CARD
                elif kind == "export":
                    export = session.get_one(Export, resource)
                    export.sha256, export.bytes = onnx, len(ONNX)
                    export.parity = {"max_error": 3e-7, "n": 64, "tolerance": 1e-4}
                elif kind == "measure":
                    measured = session.scalars(sa.select(Measurement)).first()
                    copied = {c.name: getattr(measured, c.name) for c in Measurement.__table__.columns}
                    session.add(Measurement(**{**copied, "id": new_id("mea"), "job_id": id}))
                elif kind == "train":
                    supernet = session.scalars(sa.select(Supernet)).one()
                    job.resource_type, job.resource_id = "supernet", supernet.id
                elif kind == "import":
                    job.result = IMPORTED
                job_queries.set_state(session, job, "succeeded")


def build(home: Path) -> dict[str, str]:
    """Fill a new home folder; returns the ids of what is in it."""
    settings = Settings(home=home)
    migrate(settings)
    house = House(home)
    try:
        with house.client() as client:
            supernet, target = client.supernets.add("digits"), client.targets.add("cpu")
            insert_measured(house.database, supernet.id, target.id)
            store = house.app.state.services.store
            predictors = insert_fitted(house.database, store, supernet.id, target.id)
            card = {**CARD, "plot": {"sha256": house.put(PLOT), "bytes": len(PLOT)}}
            house.change(Predictor, predictors["latency_ms"], report=card)
            search = client.searches.create(
                supernet.id, target=target.id, constraints={"latency_ms": LIMIT_MS}, budget=8
            )
            search.wait()
            assert search.feasible and search.points >= 3
            return {
                "supernet": supernet.id,
                "target": target.id,
                "search": search.id,
                "job": search.job_id,
                "predictor": predictors["latency_ms"],
                "subnet": search.front()[0].id,
                "smallest": json.dumps(supernet.space().smallest),
            }
    finally:
        house.stop()


def copy(template: Path, home: Path) -> House:
    """The application on a copy of a home folder."""
    shutil.copytree(template, home)
    return House(home)
