"""Alembic's entry: takes the connection it is given, on SQLite and PostgreSQL alike."""

from alembic import context

from service.db.tables import Table


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out the tables of the job engine, which lives in the same database."""
    return kind != "table" or name in Table.metadata.tables


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    compare_type=True,
    include_name=ours,
)
with context.begin_transaction():
    context.run_migrations()
