"""Keys: none needed before the first is made; then every request of the API needs one. What each opens: test_access."""

from datetime import timedelta

import pytest

from service.db.tables import now
from service.errors import ConflictError, InvalidError
from service.http.keys import SCOPES, list_keys, make_key, make_project, project_named, revoke_key
from service.ids import DEFAULT_PROJECT
from tests.service.lease_tools import add_target
from tests.service.test_errors import assert_problem

P = DEFAULT_PROJECT


@pytest.fixture
def keys(database):
    """One secret a scope."""
    with database.write() as session:
        add_target(session)
        bound = {"agent": "pi"}
        return {scope: make_key(session, P, scope, [scope], target=bound.get(scope))[1] for scope in SCOPES}


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


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


def test_an_expired_key_is_refused(client, database, keys):
    with database.write() as session:
        past, future = now() - timedelta(seconds=1), now() + timedelta(days=1)
        old = make_key(session, P, "old", ["read"], expires_at=past)[1]
        new = make_key(session, P, "new", ["read"], expires_at=future)[1]
    answer = client.get("/v1/jobs", headers=bearer(old))
    assert "'old' expired at" in assert_problem(answer, 401).detail
    assert client.get("/v1/jobs", headers=bearer(new)).status_code == 200


def test_secrets_are_not_stored(database, keys):
    with database.read() as session:
        rows = list_keys(session, P)
    assert len(rows) == len(SCOPES)
    for key in rows:
        assert keys[key.name] not in repr(vars(key)) and len(key.sha256) == 64


def test_names_scopes_targets_and_projects_are_checked(database, keys):
    with database.write() as session:
        with pytest.raises(InvalidError, match="read"):
            make_key(session, P, "x", ["root"])
        with pytest.raises(InvalidError):
            make_key(session, P, "x", [])
        with pytest.raises(ConflictError, match="another name"):
            make_key(session, P, "agent", ["agent"], target="pi")
        with pytest.raises(InvalidError, match="agent"):
            revoke_key(session, P, "nobody")
        with pytest.raises(InvalidError, match="target must be one of pi"):
            make_key(session, P, "x", ["agent"])
        with pytest.raises(InvalidError, match="target must be one of pi, got 'po'"):
            make_key(session, P, "x", ["agent"], target="po")
        with pytest.raises(InvalidError, match="only a key whose one scope is agent"):
            make_key(session, P, "x", ["read"], target="pi")
        make_project(session, "team")
        with pytest.raises(ConflictError, match="'team'"):
            make_project(session, "team")
        with pytest.raises(InvalidError, match="default, team"):
            project_named(session, "nobody")
