"""Migrations lead to the tables that the code has, and are the only way there."""

import ast
import re
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from service.db import migrate
from service.db.session import Database
from service.db.tables import Project, Table
from service.ids import DEFAULT_PROJECT
from tests.service.conftest import any_url  # noqa: F401

FROZEN = sorted((Path(__file__).parent / "frozen").glob("*.sql"))
VERSIONS = Path(__file__).resolve().parents[2] / "migrations" / "versions"


@pytest.fixture(scope="module")
def db(any_url):  # noqa: F811
    database = Database(any_url)
    with database.engine.begin() as connection:  # the session's database may be migrated already
        Table.metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    assert migrate.current(database) is None
    migrate.upgrade(database)
    yield database
    database.dispose()


def test_an_upgrade_from_nothing_gives_exactly_our_tables(db):
    assert migrate.current(db) == migrate.newest()
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": ours})
        assert compare_metadata(context, Table.metadata) == []
    with db.read() as session:
        assert session.get(Project, DEFAULT_PROJECT) is not None


@pytest.fixture(params=FROZEN, ids=[file.stem for file in FROZEN])
def frozen(request, any_url, tmp_path):  # noqa: F811
    """A database of a released schema with rows in every table, and how many rows each had."""
    revision, kind = request.param.stem.split(".")
    url = sa.make_url(any_url)
    if url.get_backend_name() != kind:
        pytest.skip("a frozen database of the other kind")
    text = request.param.read_text()
    if kind == "sqlite":
        url = sa.make_url(f"sqlite:///{tmp_path / 'frozen.db'}")
        connection = sqlite3.connect(tmp_path / "frozen.db")
        connection.executescript(text)
        connection.close()
    else:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
            connection.connection.driver_connection.execute(text)
        engine.dispose()
    database = Database(url)
    assert migrate.current(database) == revision
    yield database, Counter(re.findall(r'^INSERT INTO "?(?:public\.)?(\w+)"? VALUES', text, re.MULTILINE))
    database.dispose()


def test_a_released_schema_is_upgraded_and_keeps_every_row(frozen):
    database, before = frozen
    migrate.upgrade(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": ours})
        assert compare_metadata(context, Table.metadata) == []
        if database.engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    with database.read() as session:
        for mapper in Table.registry.mappers:  # also reads each row as the code does
            rows = session.scalars(sa.select(mapper.class_)).all()
            assert len(rows) == before[mapper.local_table.name], mapper.local_table.name


def test_each_released_schema_is_frozen_with_rows_in_every_table_on_both_databases():
    kinds = {file.stem: set(re.findall(r'^INSERT INTO "?(?:public\.)?(\w+)"? VALUES', file.read_text(), re.MULTILINE))
             for file in FROZEN}  # fmt: skip
    assert {stem.split(".")[1] for stem in kinds} == {"sqlite", "postgresql"}
    assert kinds["0001.sqlite"] == kinds["0001.postgresql"] == {*Table.metadata.tables, "alembic_version"}


def ours(name, kind, _parents):
    return kind != "table" or name in Table.metadata.tables


def test_upgrading_twice_changes_nothing(db):
    migrate.upgrade(db)
    with db.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Project)) == 1


def test_every_constraint_has_the_name_of_the_convention(db):
    inspector = sa.inspect(db.engine)
    for table in Table.metadata.tables:
        assert inspector.get_pk_constraint(table)["name"] == f"pk_{table}"
        for key in inspector.get_foreign_keys(table):
            assert key["name"] == f"fk_{table}_{key['constrained_columns'][0]}"
        for key in inspector.get_unique_constraints(table):
            assert key["name"].startswith(f"uq_{table}_")


def test_versions_never_import_our_tables():
    for path in VERSIONS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("service") for name in names), path.name
