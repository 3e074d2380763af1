"""What a crash campaign left in the database and the store, held against what was accepted."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from service.artifacts import ArtifactStore
from service.db.session import Database
from service.db.tables import Artifact, Export, Job, JobStep, Measurement, Table
from service.settings import Settings


@dataclass(frozen=True)
class Record:
    """Counts of what is stored; everything from ``lost`` on should be 0."""

    jobs: int
    finished: int
    steps: int
    rows: int
    artifacts: int
    lost: int
    doubled: int
    repeated_steps: int
    bad_artifacts: int
    failures: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """For the file of figures."""
        return asdict(self)


def check(settings: Settings, accepted: Collection[str], expected_rows: dict[str, int]) -> Record:
    """Count; ``expected_rows`` is how many rows an evaluating job must have left."""
    database = Database(settings.database)
    store = ArtifactStore(settings.artifacts)
    try:
        with database.read() as session:
            jobs = {job.id: job for job in session.scalars(sa.select(Job))}
            failures = [
                f"{j.kind} {j.state} {j.error_code}: {j.error_message}"
                for j in jobs.values()
                if j.state != "succeeded"
            ]
            lost = sum(id not in jobs for id in accepted) + _missing_rows(session, expected_rows)
            return Record(
                jobs=len(jobs),
                finished=sum(job.state == "succeeded" for job in jobs.values()),
                steps=_count(session, JobStep),
                rows=_count(session, Measurement),
                artifacts=_count(session, Artifact),
                lost=lost,
                doubled=_doubled(session),
                repeated_steps=_repeated(session),
                bad_artifacts=_bad(session, store),
                failures=tuple(failures),
            )
    finally:
        database.dispose()


def _count(session: Session, table: type[Table]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _missing_rows(session: Session, expected: dict[str, int]) -> int:
    """Rows that jobs which succeeded should have left and did not."""
    query = sa.select(Measurement.job_id, sa.func.count()).group_by(Measurement.job_id)
    found = {row[0]: row[1] for row in session.execute(query)}
    done = set(session.scalars(sa.select(Job.id).where(Job.state == "succeeded")))
    return sum(max(rows - found.get(job, 0), 0) for job, rows in expected.items() if job in done)


def _doubled(session: Session) -> int:
    """Rows beyond the first of a subnet's metric in one step of a job."""
    key = (Measurement.job_id, Measurement.step, Measurement.subnet_id, Measurement.metric, Measurement.scope)
    query = sa.select(sa.func.count()).select_from(Measurement).group_by(*key).having(sa.func.count() > 1)
    return sum(count - 1 for count in session.scalars(query))


def _repeated(session: Session) -> int:
    """Executions of a step that began after an execution of it was finished."""
    earlier = aliased(JobStep)
    query = (
        sa.select(sa.func.count())
        .select_from(JobStep)
        .join(earlier, sa.and_(earlier.job_id == JobStep.job_id, earlier.step == JobStep.step))
        .where(earlier.finished_at.is_not(None), JobStep.execution > earlier.execution)
    )
    return session.scalar(query) or 0


def _bad(session: Session, store: ArtifactStore) -> int:
    """Artifacts whose content has another hash or is missing, and exports without a file."""
    bad = 0
    for sha256 in session.scalars(sa.select(Artifact.sha256)):
        try:
            bad += hashlib.sha256(store.read(sha256)).hexdigest() != sha256
        except (OSError, ValueError):
            bad += 1
    without = sa.select(sa.func.count()).select_from(Export).join(Job, Job.id == Export.job_id)
    return bad + (session.scalar(without.where(Job.state == "succeeded", Export.sha256.is_(None))) or 0)
