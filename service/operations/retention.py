"""What is kept: artifacts that something refers to, and the folders of trainings that may go on.

An artifact is unused while no row has its hash, except the records of jobs that have succeeded: nothing reads these
again. It is deleted when it has been unused for a number of days. A job that failed or was cancelled can be resumed,
so that what its records name is kept.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from predictors.measuring.references import SIZES, reference_sha256
from service.artifacts import HASH, ArtifactStore
from service.db.session import Database
from service.db.tables import (
    Artifact,
    Export,
    FineTune,
    Item,
    Job,
    JobStep,
    Order,
    Predictor,
    Search,
    Supernet,
    now,
)
from service.runtime.job_queries import FINAL
from service.settings import Settings

FIRST_S, EVERY_S = 600.0, 24 * 3600.0
log = logging.getLogger("netwright.worker")
REFERRING = (
    (Supernet.files, Supernet.manifest, Supernet.weights_sha256),
    (Predictor.version, Predictor.report),
    (Search.provenance,),
    (Export.sha256,),
    (FineTune.sha256, FineTune.record),
    (Job.params, Job.result),
    (JobStep.result,),
    (Item.file_sha256, Item.request, Item.result),
)
"""Columns whose hashes may be of artifacts. Of the last three tables only rows of jobs that may go on count."""


@dataclass
class Unused:
    """What is unused, and what of that was deleted now, or would be."""

    unused: int = 0
    artifacts: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """Hashes of files in the store that no project has."""
    bytes: int = 0
    trainings: list[str] = field(default_factory=list)
    training_bytes: int = 0


def prune(settings: Settings, days: float, *, dry_run: bool = False) -> Unused:
    """Delete what has been unused for ``days``; with ``dry_run`` nothing is changed."""
    found = Unused()
    database, store = Database(settings.database, must_exist=True), ArtifactStore(settings.artifacts)
    before = now() - timedelta(days=days)
    try:
        with database.snapshot() as session:
            used = referred(session)
            rows = list(session.scalars(sa.select(Artifact)))
            session.expunge_all()
        _artifacts(database, store, rows, used, before, found, dry_run=dry_run)
        _files(database, store, {row.sha256 for row in rows} | used, before, found, dry_run=dry_run)
        _trainings(database, settings.home / "trainings", before, found, dry_run=dry_run)
    finally:
        database.dispose()
    return found


def referred(session: Session) -> set[str]:
    """Every hash that a row names which may still be read."""
    found = {reference_sha256(name) for name in SIZES}
    for value in _values(session):
        found.update(HASH.findall(str(value)))
    return found


def _values(session: Session) -> Iterator[object]:
    """The values of all columns that may name an artifact."""
    may_go_on = sa.select(Job.id).where(Job.state != "succeeded")
    orders = sa.select(Order.id).where(Order.job_id.in_(may_go_on))
    conditions: dict[object, sa.ColumnElement[bool]] = {
        Job: Job.id.in_(may_go_on),
        JobStep: JobStep.job_id.in_(may_go_on),
        Item: Item.order_id.in_(orders),
    }
    for columns in REFERRING:
        condition = conditions.get(columns[0].class_)
        query = sa.select(*columns) if condition is None else sa.select(*columns).where(condition)
        for row in session.execute(query.execution_options(yield_per=1000)):
            yield from (value for value in row if value is not None)


def _artifacts(
    database: Database,
    store: ArtifactStore,
    rows: list[Artifact],
    used: set[str],
    before: datetime,
    found: Unused,
    *,
    dry_run: bool,
) -> None:
    """Mark what is unused from now on, and delete what has been unused since before."""
    for row in rows:
        if row.sha256 in used:
            if row.unused_since is not None and not dry_run:
                _mark(database, row.id, None)
            continue
        found.unused += 1
        if row.unused_since is None and not dry_run:
            _mark(database, row.id, now())
        elif row.unused_since is not None and row.unused_since <= before:
            if dry_run or _delete(database, store, row.id, before):
                found.artifacts.append(row.sha256)
                found.bytes += row.bytes


def _mark(database: Database, id: str, since: datetime | None) -> None:
    with database.write() as session:
        session.execute(sa.update(Artifact).where(Artifact.id == id).values(unused_since=since))


def _delete(database: Database, store: ArtifactStore, id: str, before: datetime) -> bool:
    """Delete a row, and its file where no other project has it; false where it has become used in the meantime."""
    with database.write() as session:
        row = session.get(Artifact, id, with_for_update=True)
        if row is None or row.unused_since is None or row.unused_since > before:
            return False
        sha256 = row.sha256
        session.delete(row)
        session.flush()
        if session.scalar(sa.select(Artifact.id).where(Artifact.sha256 == sha256).limit(1)) is None:
            store.delete(sha256)
    return True


def _files(
    database: Database,
    store: ArtifactStore,
    known: set[str],
    before: datetime,
    found: Unused,
    *,
    dry_run: bool,
) -> None:
    """Files that a job has stored without a row, as one that was killed."""
    for sha256 in store.hashes():
        modified = store.modified(sha256)
        if sha256 in known or modified is None or modified > before:
            continue
        with database.write() as session:
            if session.scalar(sa.select(Artifact.id).where(Artifact.sha256 == sha256).limit(1)) is not None:
                continue
            found.files.append(sha256)
            found.bytes += store.size(sha256)
            if not dry_run:
                store.delete(sha256)


def _trainings(database: Database, folder: Path, before: datetime, found: Unused, *, dry_run: bool) -> None:
    """Folders of trainings that have succeeded, that ended before, or whose job does not exist."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with database.read() as session:
            job = session.get(Job, path.name)
            ended = job is None or job.state == "succeeded" or _ended(job, before)
        if path.is_dir() and ended:
            found.trainings.append(path.name)
            found.training_bytes += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            if not dry_run:
                shutil.rmtree(path, ignore_errors=True)


def _ended(job: Job, before: datetime) -> bool:
    return job.state in FINAL and job.finished_at is not None and job.finished_at <= before


def every_day(settings: Settings) -> None:
    """Prune once a day in a thread of a worker; several workers may do so."""

    def body() -> None:
        time.sleep(FIRST_S)
        while True:
            try:
                found = prune(settings, settings.keep_unused_days)
                log.info(
                    "retention: deleted %d artifacts, %d files, %d folders of trainings",
                    len(found.artifacts), len(found.files), len(found.trainings),
                )  # fmt: skip
            except Exception:
                log.exception("retention failed; it runs again in a day")
            time.sleep(EVERY_S)

    if settings.keep_unused_days > 0:
        threading.Thread(target=body, daemon=True, name="retention").start()
