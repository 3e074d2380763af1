"""Freeze the newest schema with rows in every table: ``python -m tests.migrations.freeze [POSTGRESQL_URL]``.

It writes ``frozen/REVISION.sqlite.sql`` and, with the URL of an empty database, ``frozen/REVISION.postgresql.sql``.
Run it before a new revision is added: the upgrade from each frozen file is a test.
"""

import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.app import create_app
from service.db import migrate
from service.db.session import Database
from service.db.tables import (
    BestPoint,
    FrontCell,
    IdempotentRequest,
    JobStep,
    Key,
    Point,
    ReservedName,
    SearchLabel,
    Unsupported,
    Worker,
    now,
)
from service.ids import DEFAULT_PROJECT as P
from service.run import migrate as migrate_home
from service.settings import Settings
from tests.service.stock import stock

FROZEN = Path(__file__).parent / "frozen"
KEPT = 12
"""Rows of a large table that nothing refers to: enough for a migration to work on."""


def fill(settings):
    """Migrate and stock a database; large tables keep some rows."""
    migrate_home(settings)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        ids = stock(settings, lambda path, body: client.post(path, json=body))
    database = Database(settings.database)
    with database.write() as session:
        for table in ("best_points", "front_cells"):
            session.execute(sa.text(f"DELETE FROM {table}"))
        for table in ("front_points", "job_events", "measurements"):
            kept = f"SELECT id FROM {table} ORDER BY id LIMIT {KEPT}"
            session.execute(sa.text(f"DELETE FROM {table} WHERE id NOT IN ({kept})"))
        for row in _others(ids):
            session.add(row)
            session.flush()
    database.dispose()


def _others(ids):
    """A row of each table that the stock leaves empty, and a front of one point."""
    job, search, subnet = ids["jobs"][0], ids["searches"][0], ids["subnets"][0]
    supernet, target = ids["supernets"][0], ids["targets"][0]
    of_scope = {"project_id": P, "supernet_id": supernet, "scope": target}
    point = Point(
        id="pnt_frozen", search_id=search, subnet_id=subnet, rank=99, body={"id": subnet}, **of_scope
    )
    return [
        Key(id="key_frozen", project_id=P, name="frozen", sha256="0" * 64, scopes=["read"]),
        IdempotentRequest(id="req_frozen", project_id=P, key="k", sha256="0" * 64, job_id=job, status=202, body="{}"),
        Unsupported(
            id="uns_frozen", project_id=P, supernet_id=supernet, subnet_id=subnet, target_id=target, job_id=job,
            error="not supported",
        ),
        ReservedName(project_id=P, kind="supernet", name="mine", job_id=job),
        SearchLabel(id=search, name="team", value="vision", project_id=P, created_at=now()),
        JobStep(id="stp_frozen", project_id=P, job_id=job, step="prepare", execution=1, worker_id="wrk_frozen",
                result={"at": 0.0}, finished_at=now()),
        Worker(id="wrk_frozen", host="host", pid=1),
        point,
        BestPoint(point_id=point.id, subnet_id=subnet, quality=0.1, latency=1.0, figures={}, on_front=True, cell=1,
                  **of_scope),
        FrontCell(cell=1, level=0, page=b"page", **of_scope),
    ]  # fmt: skip


def sqlite_dump(file):
    connection = sqlite3.connect(file)
    try:
        return "\n".join(connection.iterdump()) + "\n"
    finally:
        connection.close()


def postgres_dump(url):
    """Statements that any client can execute: without psql's own commands and settings."""
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    text = subprocess.run(
        ["pg_dump", "--inserts", "--no-owner", "--no-privileges", plain],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    kept = [
        line for line in text.splitlines() if not re.match(r"(--|\\|SET |SELECT pg_catalog.set_config)", line)
    ]
    return re.sub(r"\n{2,}", "\n", "\n".join(kept)).strip() + "\n"


def main(url=None):
    FROZEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        settings = Settings(home=home)
        fill(settings)
        (FROZEN / f"{migrate.newest()}.sqlite.sql").write_text(sqlite_dump(home / "netwright.db"))
        if url is not None:
            settings = Settings(home=home / "postgresql", database_url=url)
            fill(settings)
            (FROZEN / f"{migrate.newest()}.postgresql.sql").write_text(postgres_dump(url))


if __name__ == "__main__":
    main(*sys.argv[1:])
