"""Names of what jobs will make: taken once, also where another request commits between two statements of this one."""

import pytest
import sqlalchemy as sa

from service.db import queries
from service.db.tables import ReservedName, Table
from service.errors import ConflictError
from service.ids import DEFAULT_PROJECT
from service.runtime import job_queries

P = DEFAULT_PROJECT


@pytest.fixture
def db(migrated):
    with migrated.write() as session:
        for table in reversed(Table.metadata.sorted_tables):
            session.execute(table.delete())
        queries.ensure_default_project(session)
    return migrated


def reserve(db):
    with db.write() as session:
        job = job_queries.create_job(session, P, "train", {})
        job_queries.reserve_name(session, job, "one")
        return job.id


def test_a_name_that_is_taken_in_between_is_a_conflict(db):
    if db.is_sqlite:
        pytest.skip("a write of SQLite holds the lock from its first statement: nothing comes between")
    winners = []

    def overtake(_connection, _cursor, statement, *_):
        if "FROM reserved_names" in statement and not winners:
            winners.append("")  # the overtaking request looks too
            winners[0] = reserve(db)

    sa.event.listen(db.engine, "after_cursor_execute", overtake)
    try:
        with pytest.raises(ConflictError):
            reserve(db)
    finally:
        sa.event.remove(db.engine, "after_cursor_execute", overtake)
    with db.read() as session:
        assert session.scalars(sa.select(ReservedName.job_id)).all() == winners
