"""Answers that the client has already, compressed answers, and ranges of files."""

import pytest

from service.artifacts import own_artifact
from service.ids import DEFAULT_PROJECT
from tests.service.test_errors import assert_problem

CONTENT = b"0123456789" * 300


@pytest.fixture
def artifact(client, database):
    store = client.app.state.services.store
    sha256 = store.put(CONTENT)
    with database.write() as session:
        own_artifact(session, DEFAULT_PROJECT, sha256, len(CONTENT), "text/plain", "a.txt")
    return f"/v1/artifacts/{sha256}"


def test_json_has_a_tag_of_its_content_and_is_not_sent_twice(client, supernet):
    path = f"/v1/supernets/{supernet['id']}"
    first = client.get(path)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in again.headers and again.headers["x-request-id"]
    assert client.get(path, headers={"If-None-Match": '"other"'}).json() == first.json()
    client.patch(path, json={"licence": "MIT"})
    changed = client.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200 and changed.headers["etag"] != tag


def test_only_answers_to_reads_that_succeed_have_a_tag(client, supernet):
    problem = client.get("/v1/supernets/none", headers={"If-None-Match": "*"})
    assert_problem(problem, 404)
    created = client.post("/v1/targets", json={}, headers={"If-None-Match": "*"})
    assert created.status_code == 201
    assert "etag" not in problem.headers and "etag" not in created.headers


def test_large_json_is_compressed_for_those_who_accept_it(client, supernet):
    path = f"/v1/supernets/{supernet['id']}"
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip" and "Accept-Encoding" in packed.headers["vary"]
    assert packed.json() == plain.json() and packed.headers["etag"] == plain.headers["etag"]
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert "content-encoding" not in client.get("/healthz").headers, "too small"


def test_a_file_keeps_its_size_its_tag_and_its_ranges(client, artifact):
    whole = client.get(artifact, headers={"Accept-Encoding": "gzip"})
    assert whole.content == CONTENT and "content-encoding" not in whole.headers
    part = client.get(artifact, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, CONTENT[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(CONTENT)}"
    again = client.get(artifact, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert_problem(client.get(artifact, headers={"Range": f"bytes={len(CONTENT)}-"}), 416)
