"""Quotas: 429 with the rule, the value and Retry-After; what is not a new job is not affected."""

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.artifacts import own_artifact
from service.errors import QuotaError
from service.http.caller import Caller
from service.http.quotas import BURST_S, Rate
from service.ids import DEFAULT_PROJECT
from service.runtime import job_queries
from tests.service.test_errors import assert_problem


@pytest.fixture
def limited(settings):
    """A client of a service with these quotas."""
    opened = []

    def make(**quotas):
        client = TestClient(
            create_app(settings.model_copy(update=quotas)),
            base_url="http://127.0.0.1",
            raise_server_exceptions=False,
        )
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()


def test_jobs_that_have_not_ended_are_limited(limited, database):
    client = limited(max_jobs=2)
    supernet = client.post("/v1/supernets", json={"zoo": "digits"}).json()["id"]
    path, body = f"/v1/supernets/{supernet}/evaluations", {"count": 3}
    first, second = (client.post(path, json=body) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    answer = client.post(path, json=body)
    problem = assert_problem(answer, 429)
    assert problem.code == "quota" and "NETWRIGHT_MAX_JOBS" in problem.detail and "has 2" in problem.detail
    assert int(answer.headers["Retry-After"]) > 0
    # Cancelling is always allowed, and makes room.
    job = first.json()["job"]["id"]
    assert client.post(f"/v1/jobs/{job}:cancel").status_code == 202
    assert client.post(path, json=body).status_code == 202
    # A job of another project does not count.
    with database.read() as session:
        assert job_queries.count_before(session, job_queries.locked_job(session, job)) >= 0


def test_stored_bytes_are_limited(limited, database):
    client = limited(max_stored_mb=1.0)
    supernet = client.post("/v1/supernets", json={"zoo": "digits"}).json()["id"]
    path, body = f"/v1/supernets/{supernet}/evaluations", {"count": 3}
    assert client.post(path, json=body).status_code == 202
    with database.write() as session:
        own_artifact(session, DEFAULT_PROJECT, "0" * 64, 2_000_000, "text/plain", "large")
    problem = assert_problem(client.post(path, json=body), 429)
    assert "NETWRIGHT_MAX_STORED_MB" in problem.detail
    assert client.get("/v1/jobs").status_code == 200


def test_the_requests_of_a_key_are_limited(limited):
    client = limited(requests_per_s=0.5)
    answers = [client.get("/v1/jobs") for _ in range(int(0.5 * BURST_S) + 1)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert_problem(answers[-1], 429)
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 2
    assert client.get("/healthz").status_code == 200


def test_a_bucket_fills_with_time_and_keys_do_not_share_one():
    at = [0.0]
    rate = Rate(2.0, lambda: at[0])
    mine, other = Caller("p", "key_a"), Caller("p", "key_b")
    for _ in range(20):
        rate.take(mine)
    with pytest.raises(QuotaError, match="2 requests a second") as refused:
        rate.take(mine)
    assert refused.value.retry_after_s == 1
    rate.take(other)
    at[0] += 1.0
    rate.take(mine)
    rate.take(mine)
    with pytest.raises(QuotaError):
        rate.take(mine)
    for _ in range(1000):
        Rate(0.0).take(mine)
