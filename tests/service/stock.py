"""Some of everything that an id of the API can name."""

from service.artifacts import ArtifactStore, own_artifact
from service.db.session import Database
from service.db.tables import Export, FineTune
from service.devices import leasing
from service.ids import DEFAULT_PROJECT, new_id
from service.runtime import job_queries
from tests.page.seeds import seed_front, seed_training
from tests.service.lease_tools import add_order, add_target, agent, calibrations
from tests.service.rows import insert_fitted, insert_measured


def stock(settings, send):
    """Write rows and files; ``send`` posts JSON to a path. Returns the ids by the collection in the path."""

    def post(path, **body):
        answer = send(path, body)
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
