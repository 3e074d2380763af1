"""Schemathesis over the whole API with rows that exist, on both databases: no 5xx, no hang, what is documented.

The seeds are fixed. ``NETWRIGHT_FUZZ_EXAMPLES`` is how many valid and how many invalid cases each operation gets;
100 of each are about 10,000 cases a database. Hostile values are put into one parameter or field at a time.
"""

import os
import sys

import pytest

from service.artifacts import ArtifactStore, own_artifact
from service.db import queries
from service.db.session import Database
from service.db.tables import Export, FineTune, Table
from service.devices import leasing
from service.ids import DEFAULT_PROJECT, new_id
from service.run import migrate
from service.runtime import job_queries
from service.settings import Settings
from tests.page.seeds import seed_front, seed_training
from tests.service.fuzz import Caller
from tests.service.house import House, said
from tests.service.lease_tools import add_order, add_target, agent, calibrations
from tests.service.rows import insert_fitted, insert_measured

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
        caller.pools = stock(settings, caller)
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


def stock(settings, caller):
    """Some of everything that an id can name; returns the ids by the collection in the path."""

    def post(path, **body):
        answer = caller.session.post(f"{caller.url}{path}", json=body, timeout=60)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    supernet, other = post("/v1/supernets", zoo="digits"), post("/v1/supernets", zoo="digits", name="other")
    target = post("/v1/targets", name="cpu")
    database, store = Database(settings.database), ArtifactStore(settings.artifacts)
    measured = sorted(insert_measured(database, supernet, target).values())
    predictors = insert_fitted(database, store, supernet, target)
    searches = [seed_front(settings, supernet, target, size) for size in (20, 80)]
    done = seed_training(settings)
    with database.write() as session:
        pi = add_target(session, calibrations=calibrations())
        leases = []
        for name in ("a", "b"):
            waiting, _ = add_order(session, pi)
            found = leasing.take(session, pi, agent(session, pi, name), 2, 1e6)
            leases.append(found.id)
        jobs = [waiting.id, done]
        for kind, state in (("evaluate", "failed"), ("fit", "cancelled"), ("search", "queued")):
            job = job_queries.create_job(session, DEFAULT_PROJECT, kind, {})
            if state != "queued":
                job_queries.set_state(session, job, state)
            jobs.append(job.id)
        export = Export(
            id=new_id("exp"), project_id=DEFAULT_PROJECT, subnet_id=measured[0], format="onnx", precision="fp32",
            opset=18, batch="1", sha256=store.put(b"onnx"), bytes=4, parity={"max": 0.0}, job_id=done,
        )  # fmt: skip
        tuned = FineTune(
            id=new_id("fin"), project_id=DEFAULT_PROJECT, subnet_id=measured[0], data="digits", recipe={}, seed=0,
            job_id=done,
        )  # fmt: skip
        session.add_all([export, tuned])
        artifact = store.put(b"file")
        own_artifact(session, DEFAULT_PROJECT, artifact, 4, "text/plain", "a")
    database.dispose()
    return {
        "supernets": [supernet, other],
        "targets": [target, pi.id],
        "measurement-leases": leases,
        "subnets": measured[:10],
        "predictors": list(predictors.values()),
        "searches": searches,
        "jobs": jobs,
        "exports": [export.id],
        "finetunes": [tuned.id],
        "artifacts": [artifact],
        "agents": ["a", "b"],
    }


def test_every_operation_answers_valid_and_invalid_calls(caller):
    every = max(1, 100 // EXAMPLES)  # hostile calls are spread over all of them
    faults = []
    for operation in caller.operations():
        faults += caller.attack(operation, every) + caller.run(operation, EXAMPLES)
    assert faults == [], "\n\n".join(faults)
    assert caller.statuses[200] > 0 and caller.statuses[422] > 0
