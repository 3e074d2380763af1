"""One shape for every error, on every route."""

import pytest
import sqlalchemy.exc
from starlette.testclient import TestClient

from predictors import errors as predictor_errors
from search import errors as search_errors
from service import errors
from service.app import create_app
from service.problems import Problem, plain
from service.runtime.context import failure
from supernets import errors as supernet_errors

BODIES = {
    "/v1/supernets": {"zoo": "nope"},
    "/v1/supernets/{id}/evaluations": {"count": 0},
    "/v1/trainings": {"name": "x", "data": "nope", "family": "digits"},
    "/v1/trainings:estimate": {"data": "nope", "family": "digits"},
    "/v1/conversions": {"name": "x", "file": {"content": ""}, "data": "nope"},
    "/v1/conversions:pretrained": {"name": "x", "folder": "nope", "data": "digits"},
    "/v1/conversions:examine": {"file": {"content": "eA=="}},
    "/v1/targets": {"kind": "nope"},
    "/v1/measurement-leases": {"target": "nope"},
    "/v1/measurements:import": {
        "target": {"name": "t"},
        "supernet": "nope",
        "table": {"file": {"content": ""}, "latency": "ms"},
    },
    "/v1/measurement-leases/{id}/results": {"rows": "none"},
    "/v1/targets/{id}/measurements": {"supernet": "sup_x", "count": 3},
    "/v1/predictors": {"supernet": "sup_x", "metric": "accuracy"},
    "/v1/searches:profile": {"supernet": "sup_x"},
    "/v1/searches": {"supernet": "sup_x", "budget": {"evaluations": 4}},
    "/v1/subnets/{id}/exports": {},
}
NEVER_FAIL = {"/healthz", "/readyz"}


def assert_problem(answer, status=None):
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = Problem.model_validate(answer.json())
    assert problem.status == answer.status_code
    assert status is None or answer.status_code == status
    assert problem.code and problem.detail and problem.title and problem.type.endswith(problem.code)
    return problem


def routes():
    from service.settings import Settings

    paths = create_app(Settings(home="unused")).openapi()["paths"]
    return [(path, method.upper()) for path, methods in paths.items() for method in methods]


@pytest.mark.parametrize(("path", "method"), routes())
def test_every_route_answers_mistakes_with_a_problem(client, path, method):
    url = path.replace("{id}", "xyz_unknown").replace("{sha256}", "0" * 64)
    if path in NEVER_FAIL:
        assert_problem(client.request("DELETE", url), 405)
        return
    if method == "POST":
        if "{" not in path:
            assert path in BODIES, "a new route: give it a bad body here"
        assert_problem(client.post(url, json=BODIES.get(path)))
        if path in BODIES:
            assert_problem(client.post(url, content=b"{", headers={"content-type": "application/json"}), 422)
            problem = assert_problem(client.post(url, json={**BODIES[path], "unknown": 1}), 422)
            assert any(error.field == "unknown" for error in problem.errors)
            assert_problem(client.post(url, content=b"a=1", headers={"content-type": "text/plain"}), 415)
    elif "{" in path:
        assert_problem(client.get(url), 404)
    else:
        assert_problem(client.get(url, params={"page_size": 0, "supernet": "sup_x", "max_points": 0}), 422)
    assert_problem(client.request("PUT", url), 405)


def test_an_unknown_path_is_a_problem(client):
    assert assert_problem(client.get("/v1/nothing"), 404).code == "not_found"


def test_a_mistake_of_ours_is_a_problem_without_details(settings):
    app = create_app(settings)

    @app.get("/broken")
    def broken():
        raise RuntimeError("the password is 1234")

    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        problem = assert_problem(client.get("/broken"), 500)
    assert problem.code == "internal"
    assert "1234" not in problem.model_dump_json()


def test_the_public_error_of_a_job_has_no_text_that_was_not_meant_for_users():
    unforeseen = (
        RuntimeError("/home/me/secret.py"),
        sqlalchemy.exc.ProgrammingError("SELECT secret FROM keys", {}, Exception("driver")),
        errors.JobError("internal", "KeyError: '/home/me/secret'"),
    )
    for error in unforeseen:
        code, message = failure(error, "job_1")
        assert code == "internal" and "job_1" in message
        assert not any(word in message for word in ("secret", "SELECT", "driver"))
    meant = errors.JobError("training_failed", "the loss is nan"), errors.InvalidError("a", 1, 2)
    assert failure(meant[0], "job_1") == ("training_failed", "the loss is nan")
    assert failure(meant[1], "job_1") == ("invalid_request", "a must be 2, got 1")


def every_error():
    for module in (errors, supernet_errors, predictor_errors, search_errors):
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Exception)
                and value.__module__ == module.__name__
            ):
                yield value


@pytest.mark.parametrize("kind", list(every_error()), ids=lambda kind: kind.__name__)
def test_every_exception_raised_on_purpose_has_a_place_in_the_table(kind):
    unmapped = {errors.ServiceError, errors.JobError, errors.WorkerLostError}
    assert kind in unmapped or any(issubclass(kind, known) for known, _, _ in errors.TABLE)


def test_subclasses_come_before_their_bases_in_the_table():
    kinds = [kind for kind, _, _ in errors.TABLE]
    for index, kind in enumerate(kinds):
        assert not any(issubclass(later, kind) for later in kinds[index + 1 :]), kind


def test_what_was_got_is_told_as_short_json():
    assert plain(float("nan")) == "nan"
    assert plain(float("inf")) == "inf"
    assert plain("x" * 1000) == "x" * 300
    assert len(plain(list(range(10_000)))) == 300
    assert plain(True) is True


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "/v1/targets", {"kind": "CPUU"}, "got 'CPUU'; did you mean cpu?"),
        ("POST", "/v1/targets", {"kind": "cpu", "name": "c/pu"}, "1 to 80 letters"),
        ("GET", "/v1/jobs?state=runing", None, "; did you mean running?"),
        ("GET", "/v1/jobs/nope", None, "there is no job 'nope'; GET /v1/jobs lists them"),
        ("GET", "/v1/predictors/nope", None, "there is no predictor 'nope'; GET /v1/predictors lists them"),
    ],
)
def test_a_name_that_is_unknown_gets_the_nearest_one_or_the_list(client, method, path, body, words):
    assert words in client.request(method, path, json=body).json()["detail"]
