"""Names that are compared without case, and what DELETE does, on both databases."""

import pytest
import sqlalchemy as sa

from service.db import queries, removal
from service.db.tables import Agent, Job, Point, Predictor, Search, Subnet, Supernet, Target
from service.errors import ConflictError, InvalidError
from service.ids import DEFAULT_PROJECT, new_id
from service.runtime import job_queries
from tests.service.lease_tools import add_target, description

P = DEFAULT_PROJECT


@pytest.fixture
def db(migrated):
    yield migrated
    with migrated.engine.begin() as connection:
        for table in reversed(Target.metadata.sorted_tables):
            if table.name not in ("projects", "alembic_version"):
                connection.execute(table.delete())


def add_supernet(session, name="net"):
    row = Supernet(
        id=new_id("sup"),
        project_id=P,
        name=name,
        source="zoo",
        weights_sha256="0" * 64,
        manifest={},
        files={},
    )
    session.add(row)
    session.flush()
    return row


def add_search(session, supernet, spec, **more):
    row = Search(id=new_id("sea"), project_id=P, supernet_id=supernet.id, spec=spec, **more)
    session.add(row)
    session.flush()
    return row


def test_names_are_unique_without_case_on_both_databases(db):
    with db.write() as session:
        add_target(session, "cpu")
    with db.read() as session:
        assert queries.find(session, P, Target, name=" CPU ").name == "cpu"
    for name in ("CPU", "Cpu"):
        with pytest.raises(ConflictError), db.write() as session:
            add_target(session, name)


def test_a_target_that_nothing_refers_to_is_deleted_with_its_agents(db):
    from service.devices import lease_queries

    with db.write() as session:
        row = add_target(session)
        lease_queries.meet_agent(session, P, row.id, "pi-1", description().model_dump())
        assert removal.remove_target(session, row) == {}
    with db.read() as session:
        assert queries.find(session, P, Target, id=row.id) is None
        assert session.scalar(sa.select(sa.func.count()).select_from(Agent)) == 0


def test_what_others_refer_to_is_archived_and_its_name_is_free(db):
    with db.write() as session:
        target, supernet = add_target(session, "pi"), add_supernet(session)
        predictor = Predictor(
            id=new_id("prd"), project_id=P, supernet_id=supernet.id, target_id=target.id, metric="m", kind="k"
        )
        session.add(predictor)
        session.flush()
        spec = {"targets": [target.id]}
        first = add_search(session, supernet, spec, provenance={"predictors": [predictor.id]})
        second = add_search(session, supernet, {"targets": []}, extends_id=first.id)
        subnet = Subnet(
            id=new_id("net"), project_id=P, supernet_id=supernet.id, arch_id="a", arch={}, costs={}
        )
        session.add(subnet)
        session.flush()
        session.add(
            Point(
                id=new_id("pnt"),
                project_id=P,
                search_id=second.id,
                supernet_id=supernet.id,
                subnet_id=subnet.id,
                scope="shared",
                rank=0,
                body={},
            )
        )
        session.flush()
        assert removal.remove_target(session, target) == {"predictors": 1, "searches": 1}
        assert removal.remove_predictor(session, predictor) == {"searches": 1}
        assert removal.remove_search(session, first) == {"searches": 1}
        assert removal.remove_search(session, second) == {}, "its front goes with it"
        assert removal.remove_supernet(session, supernet) == {"subnets": 1, "predictors": 1, "searches": 1}
        assert add_target(session, "PI").id != target.id
    with db.read() as session:
        assert queries.get(session, P, Target, target.id).archived_at is not None
        listed, _ = queries.page(session, P, Target, size=10, token=None)
        assert [row.name for row in listed] == ["PI"]
        every, _ = queries.page(session, P, Target, size=10, token=None, archived=True)
        assert {row.name for row in every} == {"PI", "pi"}
        assert session.scalar(sa.select(sa.func.count()).select_from(Point)) == 0
        with pytest.raises(InvalidError, match="is archived"):
            queries.given(session, P, Target, target.id, "target")


def test_what_a_job_uses_is_neither_deleted_nor_archived(db):
    with db.write() as session:
        row = add_target(session)
        job = job_queries.create_job(session, P, "measure", {"target": row.id})
    with (
        pytest.raises(ConflictError, match=rf"used by job {job.id} \(measure, queued\)"),
        db.write() as session,
    ):
        removal.remove_target(session, session.get_one(Target, row.id))
    with db.write() as session:
        job_queries.set_state(session, session.get_one(type(job), job.id), "cancelled")
        assert removal.remove_target(session, session.get_one(Target, row.id)) == {}


@pytest.mark.parametrize("kind", ["search", "fit"])
def test_what_the_resource_of_a_job_is_made_with_is_neither_deleted_nor_archived(db, kind):
    with db.write() as session:
        target, supernet = add_target(session), add_supernet(session)
        if kind == "search":
            made = add_search(session, supernet, {"targets": [target.id]})
        else:
            made = Predictor(
                id=new_id("prd"),
                project_id=P,
                supernet_id=supernet.id,
                target_id=target.id,
                metric="m",
                kind="k",
            )
            session.add(made)
            session.flush()
        resource = ("search" if kind == "search" else "predictor", made.id)
        job = job_queries.create_job(session, P, kind, {}, resource)
    for remove, row in ((removal.remove_target, target), (removal.remove_supernet, supernet)):
        with pytest.raises(ConflictError, match=f"used by job {job.id}"), db.write() as session:
            remove(session, session.get_one(type(row), row.id))


def test_names_are_trimmed_and_one_name_is_one_target(client):
    first = client.post("/v1/targets", json={"name": " cpu "}).json()
    assert first["name"] == "cpu"
    for name in ("CPU", "cpu "):
        again = client.post("/v1/targets", json={"name": name})
        assert again.status_code == 200 and again.json()["id"] == first["id"]
    assert len(client.get("/v1/targets", params={"name": "Cpu"}).json()["items"]) == 1
    two_words = client.post("/v1/targets", json={"name": "my  cpu"}).json()
    assert (
        two_words["name"] == "my cpu" and client.get("/v1/targets/My   CPU").json()["id"] == two_words["id"]
    )
    for name in ("", " ", "a/b", "x" * 81, "\tcpu\x00"):
        answer = client.post("/v1/targets", json={"name": name})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "name"


def test_delete_over_http_says_what_was_done(client, database, supernet, target, measured):
    body = {"supernet": supernet["id"], "target": target["id"], "metric": "latency_ms"}
    fit = client.post("/v1/predictors", json=body).json()
    path = f"/v1/predictors/{fit['id']}"
    assert client.delete(path).status_code == 409
    with database.write() as session:
        job_queries.set_state(session, session.get_one(Job, fit["job"]["id"]), "cancelled")
    assert client.delete(path).json() == {"id": fit["id"], "state": "deleted", "referred_by": {}}
    assert client.get(path).status_code == 404
    gone = client.delete(f"/v1/targets/{target['id']}").json()
    assert gone["state"] == "archived" and gone["referred_by"]["measurements"] > 0
    assert client.get("/v1/targets").json()["items"] == []
    assert client.get(f"/v1/targets/{target['id']}").json()["archived_at"]
    answer = client.post("/v1/predictors", json=body)
    assert answer.status_code == 422 and "is archived" in answer.json()["detail"]
    assert client.post("/v1/targets", json={"name": target["name"]}).status_code == 201
    assert client.delete(f"/v1/supernets/{supernet['id']}").json()["state"] == "archived"
    assert client.delete("/v1/searches/sea_none").status_code == 404
