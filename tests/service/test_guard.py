"""Requests that a web page of somebody else could make."""

import pytest

from tests.service.test_errors import assert_problem


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::2]"])
def test_a_foreign_host_is_refused(client, host):
    assert assert_problem(client.get("/healthz", headers={"host": host}), 403).code == "forbidden_host"


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:80"])
def test_our_own_names_are_fine(client, host):
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example"])
def test_a_foreign_origin_is_refused(client, origin):
    answer = client.post("/v1/jobs/job_x:cancel", headers={"origin": origin})
    assert assert_problem(answer, 403).code == "forbidden_origin"


def test_our_own_origin_is_fine(client):
    answer = client.post("/v1/jobs/job_x:cancel", headers={"origin": "http://127.0.0.1:8000"})
    assert_problem(answer, 404)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_must_say_that_it_is_json(client, kind):
    answer = client.post("/v1/targets", content=b"{}", headers={"content-type": kind})
    assert_problem(answer, 415)


def test_a_body_has_a_limit(client):
    answer = client.post(
        "/v1/targets", content=b" " * (9 << 20), headers={"content-type": "application/json"}
    )
    assert 400 <= assert_problem(answer).status < 500

    def chunks():
        for _ in range(9):
            yield b" " * (1 << 20)

    answer = client.post("/v1/targets", content=chunks(), headers={"content-type": "application/json"})
    assert 400 <= assert_problem(answer).status < 500
