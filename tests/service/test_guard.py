"""What every request passes before a route sees it."""

import asyncio

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.http.keys import make_key
from service.ids import DEFAULT_PROJECT
from service.runtime import job_queries
from tests.service.test_errors import assert_problem


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::2]"])
def test_a_foreign_host_is_refused(client, host):
    problem = assert_problem(client.get("/healthz", headers={"host": host}), 403)
    assert problem.code == "forbidden_host" and "NETWRIGHT_ALLOWED_HOSTS" in problem.detail


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
    headers = {"content-type": "application/json"}
    for path, size in (("/v1/searches", 2 << 20), ("/v1/predictors", 9 << 20)):
        assert (
            assert_problem(client.post(path, content=b" " * size, headers=headers), 413).code == "too_large"
        )

    def chunks():
        for _ in range(3):
            yield b" " * (1 << 20)

    assert_problem(client.post("/v1/searches", content=chunks(), headers=headers), 413)
    largest = client.post("/v1/predictors", content=b" " * (8 << 20), headers=headers)
    assert assert_problem(largest, 422).detail.startswith("body must be valid JSON")


def exchange(app, method, path, headers=(), receive=None):
    """Call the application without a server; ``receive`` counts as an error by default."""
    sent = []

    async def not_read():
        raise AssertionError("the body was read")

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    asyncio.run(app(scope, receive or not_read, send))
    return sent[0]["status"], dict(sent[0]["headers"])


JSON = ((b"content-type", b"application/json"), (b"content-length", b"100"))


def test_a_key_is_checked_before_the_body_is_read(settings, database):
    with database.write() as session:
        make_key(session, DEFAULT_PROJECT, "reader", ["read"])
        _, reader = make_key(session, DEFAULT_PROJECT, "second reader", ["read"])
    app = create_app(settings)
    for headers in ((), ((b"authorization", b"Bearer nw_unknown"),)):
        status, answer = exchange(app, "POST", "/v1/searches", (*JSON, *headers))
        assert status == 401 and answer[b"www-authenticate"] == b'Bearer realm="netwright"'
        assert answer[b"connection"] == b"close"  # so that the client stops sending
    key = (b"authorization", f"Bearer {reader}".encode())
    assert exchange(app, "POST", "/v1/searches", (*JSON, key))[0] == 403
    assert exchange(app, "POST", "/nothing", JSON)[0] == 500  # no route of the API: here it is read


def test_a_media_type_and_a_stated_length_are_checked_before_the_body_is_read(settings):
    app = create_app(settings)
    plain = ((b"content-type", b"text/plain"), (b"content-length", b"100"))
    assert exchange(app, "POST", "/v1/searches", plain)[0] == 415
    large = ((b"content-type", b"application/json"), (b"content-length", b"9" * 30))
    assert exchange(app, "POST", "/v1/searches", large)[0] == 413


BAD_BODIES = {
    b'{"supernet": "a\\u0000b"}': "supernet",
    b'{"supernet": "a\\ud800b"}': "supernet",
    b'{"labels": {"a\\u0000b": "c"}}': "labels",
    b'{"labels": {"a": "\\udfff"}}': "labels.a",
    b'{"seed": 1e400}': "seed",
    b'{"seed": NaN}': "body",
    b'{"seed": -Infinity}': "body",
    b'{"seed": 9223372036854775808}': "seed",
    b'{"seed": ' + b"9" * 5000 + b"}": "body",
    b"[" * 100_000: "body",
    b'{"restrict": ' + b"[" * 40 + b"]" * 40 + b"}": "restrict" + ".0" * 31,
    b'{"a": "\xff"}': "body",
    b"[" + b"0," * 500_000 + b"0]": "body",
    b'{"' + b"k" * 300 + b'": 1}': "body",
}


def test_what_cannot_be_stored_is_refused_in_every_body(client):
    for body, field in BAD_BODIES.items():
        answer = client.post("/v1/searches", content=body, headers={"content-type": "application/json"})
        assert assert_problem(answer, 422).errors[0].field == field, body[:60]


def test_what_cannot_be_stored_is_refused_in_every_path_and_query(client):
    for path in ("/v1/jobs/a%00b", "/v1/supernets/%01", "/v1/artifacts/" + "a" * 5000, "/%00"):
        assert_problem(client.get(path), 422)
    for query in ("supernet=a%00b", "metric=%7f", "page_token=" + "a" * 2000, "a%00b=1"):
        assert_problem(client.get(f"/v1/predictors?{query}"), 422)
    assert_problem(client.get("/v1/jobs?" + "&".join(f"a{i}=1" for i in range(200))), 413)


def test_an_unknown_query_parameter_is_named(client, supernet):
    for path, name in (
        ("/v1/supernets", "nam"),
        ("/v1/jobs", "page_sizes"),
        (f"/v1/supernets/{supernet['id']}", "x"),
        ("/healthz", "verbose"),
    ):
        problem = assert_problem(client.get(path, params={name: "1"}), 422)
        assert problem.errors[0].field == name
    twice = assert_problem(client.get("/v1/jobs?kind=train&kind=fit"), 422)
    assert twice.errors[0].field == "kind"
    assert client.get("/v1/searches?label=a=1&label=b=2").status_code == 200


def test_a_405_lists_what_is_allowed(client):
    for path, allowed in (
        ("/v1/supernets", "GET, HEAD, POST"),
        ("/v1/jobs/x", "GET, HEAD, PATCH"),
        ("/v1/searches:profile", "POST"),
        ("/healthz", "GET, HEAD"),
    ):
        answer = client.request("DELETE", path)
        assert_problem(answer, 405)
        assert answer.headers["allow"] == allowed


def test_head_answers_like_get_without_a_body(client, supernet, database):
    with database.write() as session:
        job = job_queries.create_job(session, DEFAULT_PROJECT, "measure", {}).id
    for path in (
        "/healthz",
        "/v1/supernets",
        f"/v1/artifacts/{supernet['weights_sha256']}",
        f"/v1/jobs/{job}/events",
        "/v1/jobs/absent",
    ):
        head = client.head(path)
        assert head.content == b""
        if "events" not in path:  # a stream that ends with the job only
            get = client.get(path)
            assert head.status_code == get.status_code
            assert head.headers["content-length"] == get.headers["content-length"]


def test_every_answer_names_its_request_and_the_log_has_the_text_of_a_failure(settings, caplog):
    app = create_app(settings)

    @app.get("/broken")
    def broken():
        raise RuntimeError("SELECT secret FROM keys")

    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        fine, answer = client.get("/healthz"), client.get("/broken")
    problem = assert_problem(answer, 500)
    assert answer.headers["x-request-id"] == problem.request_id != fine.headers["x-request-id"]
    assert "SELECT" not in answer.text
    assert f"{problem.request_id} internal: SELECT secret FROM keys" in caplog.text
