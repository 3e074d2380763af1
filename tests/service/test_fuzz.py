"""Schemathesis over the whole API with rows that exist, on both databases: no 5xx, no hang, what is documented.

The seeds are fixed. ``NETWRIGHT_FUZZ_EXAMPLES`` is how many valid and how many invalid cases each operation gets;
100 of each are about 10,000 cases a database. Hostile values are put into one parameter or field at a time.
"""

import os
import sys

import pytest

from service.db import queries
from service.db.session import Database
from service.db.tables import Table
from service.run import migrate
from service.settings import Settings
from tests.service.fuzz import Caller
from tests.service.house import House, said
from tests.service.stock import stock

EXAMPLES = int(os.environ.get("NETWRIGHT_FUZZ_EXAMPLES", "3"))
pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("default"),  # of schemathesis and of what it imports
]


@pytest.fixture(scope="module")
def caller(any_url, tmp_path_factory):
    """A service as a process of its own, on a database with some of everything."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "import").mkdir()
    settings = Settings(home=folder / "home", database_url=any_url, import_dir=folder / "import")
    migrate(settings)
    clear(any_url)
    house = House(settings, folder, NETWRIGHT_IMPORT_DIR=str(folder / "import"))
    try:
        service = house.serve()
        caller = Caller(house.url, {})
        caller.pools = stock(settings, caller.post)
        yield caller
        counts = dict(sorted(caller.statuses.items()))
        sys.stdout.write(f"{sum(counts.values())} calls: {counts}; longest {caller.longest}\n")
        assert service.poll() is None, "the service ended"
        assert "Traceback" not in said(service), said(service)
    finally:
        house.close()


def clear(url):
    database = Database(url)
    with database.write() as session:
        for table in reversed(Table.metadata.sorted_tables):
            session.execute(table.delete())
        queries.ensure_default_project(session)
    database.dispose()


def test_every_operation_answers_valid_and_invalid_calls(caller):
    every = max(1, 100 // EXAMPLES)  # hostile calls are spread over all of them
    faults = []
    for operation in caller.operations():
        faults += caller.attack(operation, every) + caller.run(operation, EXAMPLES)
    assert faults == [], "\n\n".join(faults)
    assert caller.statuses[200] > 0 and caller.statuses[422] > 0
