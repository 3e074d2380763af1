"""New databases of each kind, and a home folder with one of everything."""

import pytest
import sqlalchemy as sa

from service.ids import new_id
from service.settings import Settings
from tests.netwright.house import build
from tests.service.conftest import (  # noqa: F401
    POSTGRES,
    client,
    database,
    measured,
    postgres_answers,
    settings,
    supernet,
    target,
    template,
)

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def furnished(tmp_path_factory):
    """A home folder with a supernet, a target, predictors and a finished search; not to be changed."""
    home = tmp_path_factory.mktemp("furnished") / "home"
    build(home)
    return home


@pytest.fixture
def place(tmp_path):
    """A function that makes settings of a new place of this kind: a home folder, with a PostgreSQL database or none."""
    server = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    made = []

    def place(kind, **more):
        home = tmp_path / new_id("home")
        if kind == "sqlite":
            return Settings(home=home, **more)
        if not postgres_answers():
            pytest.skip("no PostgreSQL answers at NETWRIGHT_TEST_POSTGRES")
        made.append(name := new_id("netwright_test"))
        with server.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        url = sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        return Settings(home=home, database_url=url, **more)

    yield place
    for name in made:
        with server.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    server.dispose()
