"""A POST with an Idempotency-Key is carried out once, on both databases, also where its answer was lost."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from service.app import create_app
from service.db.tables import IdempotentRequest, Job, now
from service.http.middleware.idempotency import ABANDONED
from service.settings import Settings
from tests.service.lease_tools import clean
from tests.service.test_errors import assert_problem

TARGET = {"kind": "agent", "name": "pi"}


@pytest.fixture
def api(migrated, any_url, tmp_path):
    clean(migrated)
    app = create_app(Settings(home=tmp_path, database_url=any_url))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def post(api, path, body, key="k1"):
    return api.post(path, json=body, headers={"Idempotency-Key": key})


def evaluation(api):
    supernet = api.post("/v1/supernets", json={"zoo": "digits"}).json()["id"]
    return f"/v1/supernets/{supernet}/evaluations", {"count": 3}


def jobs(migrated):
    with migrated.read() as session:
        return list(session.scalars(sa.select(Job.id)))


def test_the_same_request_gets_the_same_answer_and_starts_one_job(api, migrated):
    path, body = evaluation(api)
    first, again = post(api, path, body), post(api, path, body)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json() and first.headers["Location"] == again.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers and again.headers["Idempotent-Replayed"] == "true"
    assert len(jobs(migrated)) == 1
    assert post(api, path, body, "k2").json()["id"] != first.json()["id"]
    assert len(jobs(migrated)) == 2


def test_a_refusal_is_repeated_too_and_a_key_belongs_to_one_request(api):
    path, body = evaluation(api)
    wrong = post(api, path, {"count": -1})
    assert assert_problem(wrong, 422).code == "invalid_request"
    assert post(api, path, {"count": -1}).text == wrong.text
    problem = assert_problem(post(api, path, body), 422)
    assert "a new key for another request" in problem.detail
    assert_problem(post(api, path, body, "k" * 201), 422)


def test_requests_without_a_job_are_repeated_as_well(api):
    first, again = post(api, "/v1/targets", TARGET), post(api, "/v1/targets", TARGET)
    assert (first.status_code, again.status_code) == (201, 201) and first.json() == again.json()


def test_an_answer_that_was_lost_after_the_commit_is_made_from_the_job(api, migrated):
    path, body = evaluation(api)
    first = post(api, path, body)
    with migrated.write() as session:  # the service died before it stored its answer
        row = session.scalars(sa.select(IdempotentRequest)).one()
        assert row.job_id == first.json()["job"]["id"]
        row.status = row.body = row.location = None
    again = post(api, path, body)
    assert again.json() == first.json() and again.headers["Location"] == first.headers["Location"]
    assert len(jobs(migrated)) == 1


def test_a_request_that_has_not_ended_is_a_conflict_until_it_counts_as_lost(api, migrated):
    path, body = evaluation(api)
    post(api, path, body)
    with migrated.write() as session:
        row = session.scalars(sa.select(IdempotentRequest)).one()
        row.status = row.job_id = None
        session.execute(sa.delete(IdempotentRequest.metadata.tables["job_events"]))
        session.execute(sa.delete(Job))
    assert "has not ended" in assert_problem(post(api, path, body), 409).detail
    with migrated.write() as session:
        session.scalars(sa.select(IdempotentRequest)).one().created_at = now() - 2 * ABANDONED
    assert post(api, path, body).status_code == 202 and len(jobs(migrated)) == 1


def test_parallel_requests_with_one_key_start_one_job(api, migrated):
    path, body = evaluation(api)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(post(api, path, body))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {answer.status_code for answer in answers} <= {202, 409} and len(answers) == 6
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
    assert len(jobs(migrated)) == 1


def test_keys_are_forgotten_after_a_week(api, migrated):
    path, body = evaluation(api)
    post(api, path, body)
    with migrated.write() as session:
        session.scalars(sa.select(IdempotentRequest)).one().created_at = now() - timedelta(days=8)
    assert post(api, path, {"count": 4}).status_code == 202
