"""The page on operation, followed as it stands: a service is backed up, restored, and moved to PostgreSQL."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from netwright.processes import free_port
from service.ids import new_id
from tests.docs.pages import Shell, await_ready, blocks, surroundings
from tests.service.conftest import POSTGRES, ROOT, postgres_answers

PAGE = ROOT / "docs" / "operate.md"
URL = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"


@pytest.fixture
def postgres() -> Iterator[str]:
    """URL of an empty database."""
    if not postgres_answers():
        pytest.skip("no PostgreSQL answers at NETWRIGHT_TEST_POSTGRES")
    server = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    name = new_id("netwright_test")
    with server.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    yield sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    server.dispose()


@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_the_page_leads_to_a_backup_and_to_postgresql(tmp_path: Path, postgres: str) -> None:
    port = str(free_port())
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "NETWRIGHT_PORT": port}
    said = []
    with Shell(tmp_path, surroundings(Path(sys.executable).parent, **state)) as shell:
        for block in blocks(PAGE):
            assert block.language == "sh"
            said.append(shell.run(block.text.replace(URL, postgres)))
            if "serve" in block.text:
                await_ready(f"http://127.0.0.1:{port}")
    text = "\n".join(said)
    assert text.count("read back and verified") == 2 and "is whole" in text
    restored = re.findall(r"rows .*restored into (\S+),", text)
    assert restored == [f"sqlite:///{tmp_path}/restored/netwright.db", postgres]
    assert "error " not in text
