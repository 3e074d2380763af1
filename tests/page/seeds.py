"""Rows that no test has the time to measure, and a service that wants a key."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import asdict

import numpy as np
import sqlalchemy as sa
import uvicorn

from netwright.processes import free_port
from service.app import create_app
from service.db import queries
from service.db.session import Database
from service.db.tables import Point, Search, Subnet, Supernet, now
from service.http.keys import make_key
from service.ids import DEFAULT_PROJECT, new_id
from service.run import migrate
from service.runtime import job_queries
from service.search.request.schemas import SearchSpec
from service.settings import Settings
from service.supernets.checkpoints import family_of
from supernets.metrics import ACCURACY
from supernets.training.steps.log import Progress


def seed_front(settings, supernet, target, size):
    """A search that has succeeded with a front of this many points; returns its id."""
    database = Database(settings.database)
    try:
        with database.write() as session:
            return _seed(session, supernet, target, size)
    finally:
        database.dispose()


def _seed(session, supernet, target, size):
    family = family_of(queries.get(session, DEFAULT_PROJECT, Supernet, supernet))
    space = family.space()
    sampled = space.decode(np.unique(space.sample(np.random.default_rng(0), 2 * size), axis=0))
    known = set(session.scalars(sa.select(Subnet.arch_id).where(Subnet.supernet_id == supernet)))
    archs = [arch for arch in sampled if arch.id not in known][:size]
    assert len(archs) == size
    spec = SearchSpec(supernet=supernet, targets=[target], budget={"evaluations": size})
    job = job_queries.create_job(session, DEFAULT_PROJECT, "search", {})
    job_queries.set_state(session, job, "succeeded")
    search = Search(
        id=new_id("sea"), project_id=DEFAULT_PROJECT, supernet_id=supernet, spec=spec.model_dump(mode="json"),
        feasible=True, job_id=job.id, finished_at=now(), provenance={},
    )  # fmt: skip
    session.add(search)
    session.flush()
    own = {"project_id": DEFAULT_PROJECT, "supernet_id": supernet, "created_at": now()}
    subnets, points = [], []
    for rank, arch in enumerate(archs):
        id = new_id("sub")
        subnets.append({**own, "id": id, "arch_id": arch.id, "arch": arch.as_dict(), "costs": {}})
        body = _point(search.id, id, target, arch.as_dict(), rank / size)
        place = {
            "id": new_id("pnt"),
            "search_id": search.id,
            "subnet_id": id,
            "scope": "shared",
            "rank": rank,
        }
        points.append({**own, **place, "body": body})
    session.execute(sa.insert(Subnet), subnets)
    session.execute(sa.insert(Point), points)
    return search.id


@contextlib.contextmanager
def converted(settings, supernet):
    """The supernet as if it had been made of a network, for as long as the context lasts; its qualities by split."""
    qualities = {"validation": (0.97, 0.011, 200), "test": (0.96, 0.012, 250)}
    database = Database(settings.database)
    with database.write() as session:
        row = queries.get(session, DEFAULT_PROJECT, Supernet, supernet)
        before = row.manifest
        family = family_of(row)
        arch = family.space().max()
        costs = family.costs(family.space().encode([arch]))
        original = {"arch": arch.as_dict(), "costs": {name: float(value[0]) for name, value in costs.items()}}
        for split, (value, error, n) in qualities.items():
            original[split] = {"metric": ACCURACY, "value": value, "standard_error": error, "n": n}
        row.manifest = {**before, "report": {**before["report"], "original": original}}
    try:
        yield qualities
    finally:
        with database.write() as session:
            queries.get(session, DEFAULT_PROJECT, Supernet, supernet).manifest = before
        database.dispose()


def _point(search, subnet, target, arch, share):
    """A point of a convex front, at a share of its range."""
    latency, accuracy = 1 + share, 0.5 + 0.4 * share**0.5
    metric, nothing = {"metric": "latency_ms", "target": target}, {"predictor": None, "version": None}
    how = {"protocol_version": None, "verdict": "good", "raw": {}}
    split = {"n": 100, "split": "validation", "precision": "fp32"}
    return {
        "subnet": subnet,
        "search": search,
        "target": None,
        "arch": arch,
        "feasible": True,
        "predicted": [{**metric, "mean": latency, "low": latency - 0.1, "high": latency + 0.1, **nothing}],
        "measured": [{**metric, "value": latency, "spread": 0.01, "n": 20, "statistic": "made", **how}],
        "quality": None,
        "validation": {"metric": "accuracy", "value": accuracy, "standard_error": 0.01, **split},
        "costs": {"macs": 1e6 * latency},
    }


@contextlib.contextmanager
def keyed_service(folder, scope="write"):
    """A service that has a key of this scope, in this process: its address and the secret."""
    settings = Settings(home=folder / "keyed", port=free_port())
    settings.home.mkdir()
    migrate(settings)
    database = Database(settings.database)
    with database.write() as session:
        _, secret = make_key(session, DEFAULT_PROJECT, "page", [scope])
    database.dispose()
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=settings.port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{settings.port}", secret
    finally:
        server.should_exit = True
        thread.join(30)


# Progress of a training with three reports, as the training writes it.
LOSSES = {50: {"max": 2.3, "min": 2.2}, 100: {"max": 1.1, "min": 1.4}, 150: {"max": 0.7, "min": 1.0}}
QUALITIES = {150: {"smallest": 0.71, "largest": 0.83}}


def seed_training(settings):
    """A training that has ended, with the progress that it told; returns its job's id."""
    database = Database(settings.database)
    try:
        with database.write() as session:
            job = job_queries.create_job(session, DEFAULT_PROJECT, "train", {})
            job_queries.set_state(session, job, "running")
            for step, losses in LOSSES.items():
                progress = Progress(
                    step, 150, 4 * step, 1e-3, losses, ACCURACY, QUALITIES.get(step, {}), 1.0, 9.0, 1.0
                )
                metrics = asdict(progress)
                job_queries.set_progress(session, job.id, step, 150, None, progress.words(), metrics)
            job_queries.set_state(session, job, "succeeded")
            return job.id
    finally:
        database.dispose()
