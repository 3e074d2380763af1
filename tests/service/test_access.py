"""Who may do what: every route by every kind of caller, held against a written matrix, with ids that exist."""

from datetime import timedelta

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from service.app import create_app
from service.db.session import Database
from service.db.tables import Item, now
from service.http.keys import make_key, make_project, revoke_key
from service.ids import DEFAULT_PROJECT
from service.routers import ROUTERS
from service.run import migrate
from service.settings import Settings
from tests.service.stock import stock
from tests.service.test_errors import assert_problem

P = DEFAULT_PROJECT
READ, WRITE, AGENT, BOTH = "read", "write", "agent", "read or agent"
# The scope that a route needs. ``read`` is part of write, and admin is everything; an agent's key opens nothing but
# the routes of the last two kinds, and of those what belongs to its target.
MATRIX = {
    "GET /v1/supernets": READ,
    "POST /v1/supernets": WRITE,
    "GET /v1/supernets/{id}": READ,
    "PATCH /v1/supernets/{id}": WRITE,
    "DELETE /v1/supernets/{id}": WRITE,
    "GET /v1/supernets/{id}/space": READ,
    "POST /v1/supernets/{id}/evaluations": WRITE,
    "POST /v1/conversions": WRITE,
    "POST /v1/conversions:pretrained": WRITE,
    "POST /v1/conversions:examine": READ,
    "POST /v1/trainings": WRITE,
    "POST /v1/trainings:estimate": READ,
    "POST /v1/subnets/{id}/finetunes": WRITE,
    "GET /v1/finetunes": READ,
    "GET /v1/finetunes/{id}": READ,
    "GET /v1/targets": BOTH,
    "POST /v1/targets": WRITE,
    "GET /v1/targets/{id}": BOTH,
    "DELETE /v1/targets/{id}": WRITE,
    "POST /v1/targets/{id}:refresh": WRITE,
    "POST /v1/targets/{id}/measurements": WRITE,
    "POST /v1/measurement-leases": AGENT,
    "POST /v1/measurement-leases/{id}:renew": AGENT,
    "POST /v1/measurement-leases/{id}:release": AGENT,
    "POST /v1/measurement-leases/{id}/results": AGENT,
    "GET /v1/metrics": READ,
    "POST /v1/measurements:import": WRITE,
    "GET /v1/measurements": READ,
    "GET /v1/predictors": READ,
    "POST /v1/predictors": WRITE,
    "GET /v1/predictors/{id}": READ,
    "DELETE /v1/predictors/{id}": WRITE,
    "GET /v1/searches:compare": READ,
    "POST /v1/searches:profile": READ,
    "GET /v1/searches": READ,
    "POST /v1/searches": WRITE,
    "GET /v1/searches/{id}": READ,
    "DELETE /v1/searches/{id}": WRITE,
    "POST /v1/searches/{id}:extend": WRITE,
    "GET /v1/searches/{id}/evaluations": READ,
    "GET /v1/searches/{id}/front": READ,
    "GET /v1/fronts": READ,
    "GET /v1/subnets/{id}": READ,
    "GET /v1/subnets/{id}/layers": READ,
    "POST /v1/subnets/{id}/exports": WRITE,
    "GET /v1/subnets/{id}/onnx": READ,
    "GET /v1/exports/{id}": READ,
    "GET /v1/artifacts/{sha256}": BOTH,
    "GET /v1/jobs": READ,
    "GET /v1/jobs/{id}": READ,
    "PATCH /v1/jobs/{id}": WRITE,
    "GET /v1/jobs/{id}/events": READ,
    "POST /v1/jobs/{id}:cancel": WRITE,
    "POST /v1/jobs/{id}:resume": WRITE,
}
OPENS = {
    READ: {READ, BOTH},
    WRITE: {READ, WRITE, BOTH},
    AGENT: {AGENT, BOTH},
    "admin": {READ, WRITE, AGENT, BOTH},
}
ROUTES = sorted(
    f"{method} {route.path}"
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and route.path.startswith("/v1/")
    for method in route.methods
)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A client of a service with rows of everything, their ids, and the secret of a key of each kind."""
    folder = tmp_path_factory.mktemp("access")
    settings = Settings(home=folder / "home")
    migrate(settings)
    with TestClient(
        create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        ids = stock(settings, lambda path, body: client.post(path, json=body))
        database = Database(settings.database)
        with database.write() as session:
            measured = session.query(Item).filter(Item.state == "leased").first().file_sha256
            target = ids["targets"][1]
            other = make_project(session, "other").id
            keys = {
                "read": make_key(session, P, "read", ["read"])[1],
                "write": make_key(session, P, "write", ["write"])[1],
                "admin": make_key(session, P, "admin", ["admin"])[1],
                "agent": make_key(session, P, "agent", ["agent"], target=target)[1],
                "other": make_key(session, other, "all", ["admin"])[1],
                "expired": make_key(session, P, "old", ["admin"], expires_at=now() - timedelta(days=1))[1],
                "revoked": make_key(session, P, "gone", ["admin"])[1],
                "wrong": "nw_wrong",
            }
            revoke_key(session, P, "gone")
        database.dispose()
        yield client, ids, keys, measured


def send(service, route, caller, id=None):
    """Send a request that stores nothing: an existing id, and a body without a required or with an unknown field."""
    client, ids, keys, _ = service
    method, path = route.split()
    if "{" in path:
        collection = path.split("/")[2]
        existing = ids[collection][
            1 if collection == "jobs" else 0
        ]  # the events of a job that has ended, end
        path = path.replace("{id}", id or existing).replace("{sha256}", id or ids["artifacts"][0])
    headers = {"Authorization": f"Bearer {keys[caller]}"} if caller is not None else {}
    body = None if method in ("GET", "DELETE") else {"no such field": 1}
    return client.request(method, path, headers=headers, json=body)


def test_the_matrix_names_every_route():
    assert sorted(MATRIX) == ROUTES


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_good_key_nothing_is_open(service, route):
    for caller in (None, "wrong", "expired", "revoked"):
        assert assert_problem(send(service, route, caller), 401).code == "unauthorized"


def changes(route):
    """Whether a request without a body to refuse would change something."""
    return route.startswith("DELETE") or route.endswith((":cancel", ":resume", ":refresh", ":release"))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("caller", [READ, WRITE, AGENT])
def test_a_key_opens_what_the_matrix_gives_it(service, route, caller):
    if MATRIX[route] not in OPENS[caller]:
        problem = assert_problem(send(service, route, caller), 403)
        assert problem.code == "key_scope" and caller in problem.detail
    elif not changes(route):
        assert send(service, route, caller).status_code not in (401, 403)


@pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route])
def test_what_belongs_to_another_project_does_not_exist(service, route):
    """Its keys get 404 for every id, or are refused for their body first."""
    answer = send(service, route, "other")
    allowed = (404,) if changes(route) or not route.startswith(("POST", "PATCH")) else (404, 422)
    assert answer.status_code in allowed, answer.text
    if answer.status_code == 404:
        assert_problem(answer, 404)


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if r.startswith("GET") and "{" not in r and "compare" not in r]
)
def test_lists_have_nothing_of_another_project(service, route):
    answer = send(service, route, "other")
    if route == "GET /v1/fronts":  # names a supernet, which this project does not have
        assert answer.status_code == 422
    elif route != "GET /v1/metrics":
        assert answer.json()["items"] == []


def test_an_agent_sees_its_target_its_leases_and_its_files_only(service):
    client, ids, keys, measured = service
    headers = {"Authorization": f"Bearer {keys['agent']}"}
    cpu, pi = ids["targets"]
    assert [row["id"] for row in client.get("/v1/targets", headers=headers).json()["items"]] == [pi]
    assert client.get(f"/v1/targets/{pi}", headers=headers).status_code == 200
    assert_problem(client.get(f"/v1/targets/{cpu}", headers=headers), 404)
    assert_problem(client.get("/v1/targets/cpu", headers=headers), 404)
    assert_problem(client.get(f"/v1/artifacts/{ids['artifacts'][0]}", headers=headers), 404)
    # A net of its target; the rows of this test have no content in the store, which is another error.
    assert client.get(f"/v1/artifacts/{measured}", headers=headers).status_code in (200, 404, 500)
    lease = {
        "target": "cpu",
        "agent": "a",
        "description": {"device": {}, "runtime": {}},
    }
    assert client.post("/v1/measurement-leases", headers=headers, json=lease).status_code in (404, 422)
    assert_problem(client.post("/v1/measurement-leases/lea_other:release", headers=headers, json={}), 404)
