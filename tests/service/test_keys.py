"""Keys: none needed before the first is made; then every route of the API wants one with the right scope."""

import pytest
from fastapi.routing import APIRoute

from service.errors import ConflictError, InvalidError
from service.http.keys import SCOPES, list_keys, make_key, revoke_key
from service.ids import DEFAULT_PROJECT
from service.routers import ROUTERS
from tests.service.test_errors import assert_problem

P = DEFAULT_PROJECT
ROUTES = sorted(
    (method, route.path)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and route.path.startswith("/v1/")
    for method in route.methods
)


@pytest.fixture
def keys(database):
    """One secret a scope."""
    with database.write() as session:
        return {scope: make_key(session, P, scope, [scope])[1] for scope in SCOPES}


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_wants_a_key_once_there_is_one(client, keys, method, path):
    for headers in ({}, bearer("nw_wrong"), {"Authorization": f"Basic {keys['admin']}"}):
        answer = client.request(method, path.replace("{", "").replace("}", ""), headers=headers)
        problem = assert_problem(answer, 401)
        assert problem.code == "unauthorized" and "netwright keys create" in problem.detail


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_key_of_an_agent_opens_leases_files_and_targets_only(client, keys, method, path):
    answer = client.request(
        method,
        path.replace("{", "").replace("}", ""),
        headers={**bearer(keys["agent"]), "Content-Type": "application/json"},
        content="{}" if method == "POST" else None,
    )
    open_to_agents = path.startswith("/v1/measurement-leases") or (
        method == "GET" and path.startswith(("/v1/artifacts/", "/v1/targets"))
    )
    if open_to_agents:
        assert answer.status_code not in (401, 403)
    else:
        assert assert_problem(answer, 403).code == "key_scope"


def test_scopes(client, keys):
    def status(scope, method="GET", path="/v1/jobs", **more):
        return client.request(method, path, headers=bearer(keys[scope]), **more).status_code

    assert [status(scope) for scope in ("read", "write", "admin")] == [200] * 3
    body = {"kind": "agent", "name": "pi"}
    assert status("read", "POST", "/v1/targets", json=body) == 403
    assert status("write", "POST", "/v1/targets", json=body) == 201
    assert status("write", "POST", "/v1/measurement-leases/lea_x:release") == 403
    assert status("admin", "POST", "/v1/measurement-leases/lea_x:release") == 404


def test_health_needs_no_key(client, keys):
    assert client.get("/healthz").status_code == 200


def test_a_revoked_key_is_refused_and_the_service_stays_closed(client, database, keys):
    assert client.get("/v1/jobs", headers=bearer(keys["read"])).status_code == 200
    with database.write() as session:
        for scope in SCOPES:
            revoke_key(session, P, scope)
    answer = client.get("/v1/jobs", headers=bearer(keys["read"]))
    assert "'read' was revoked" in assert_problem(answer, 401).detail
    assert client.get("/v1/jobs").status_code == 401


def test_secrets_are_not_stored(database, keys):
    with database.read() as session:
        rows = list_keys(session, P)
    assert len(rows) == len(SCOPES)
    for key in rows:
        assert keys[key.name] not in repr(vars(key)) and len(key.sha256) == 64


def test_names_and_scopes_are_checked(database, keys):
    with database.write() as session:
        with pytest.raises(InvalidError, match="read"):
            make_key(session, P, "x", ["root"])
        with pytest.raises(InvalidError):
            make_key(session, P, "x", [])
        with pytest.raises(ConflictError, match="another name"):
            make_key(session, P, "agent", ["agent"])
        with pytest.raises(InvalidError, match="agent"):
            revoke_key(session, P, "nobody")
