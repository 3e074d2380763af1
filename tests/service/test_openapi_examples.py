"""Every operation of the OpenAPI document has examples, which its models accept and its routes answer."""

import jsonschema
import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from service.app import create_app
from service.http.openapi.descriptions import EXAMPLES, PATH_EXAMPLES
from service.http.openapi.examples import VALUES
from service.problems import Problem
from service.routers import ROUTERS
from service.run import migrate
from service.settings import Settings
from tests.service.test_openapi import operations

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    settings = Settings(home=tmp_path_factory.mktemp("empty"))
    migrate(settings)
    return create_app(settings)


def routes():
    """Each route of the document by method and path."""
    every = [each for router in ROUTERS for each in router.routes if each.include_in_schema]
    return {(method.lower(), each.path): each for each in every for method in each.methods}


ROUTES = routes()


def contents(application, method, path):
    """Status, media type and content of each answer of an operation."""
    answers = application.openapi()["paths"][path][method]["responses"]
    return [
        (status, media, content)
        for status, each in answers.items()
        for media, content in each.get("content", {}).items()
    ]


def model_of(route, status):
    """The model that a route answers with this status."""
    field = route.response_fields.get(int(status)) or route.response_field
    return TypeAdapter(field.field_info.annotation)


def test_every_operation_of_the_document_is_tested(application):
    assert {(method, path) for path, method, _ in operations(application.openapi())} == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_has_an_example_that_its_model_accepts(application, method, path):
    schemas = {"components": application.openapi()["components"]}
    for status, media, content in contents(application, method, path):
        if content["schema"].get("format") == "binary":
            assert "example" not in content  # a file
            continue
        example = content["example"]
        jsonschema.Draft202012Validator({**content["schema"], **schemas}).validate(example)
        if media == PROBLEM:
            Problem.model_validate(example, strict=True)
        elif media == "application/json":
            answered = model_of(ROUTES[method, path], status).validate_python(example)
            again = model_of(ROUTES[method, path], status).dump_python(answered, mode="json")
            assert again == example  # all fields are shown, and in the form that is answered


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_example_of_a_refusal_is_what_the_service_answers(application, method, path):
    refusals = [content["example"] for status, _, content in contents(application, method, path)
                if status == "4XX"]  # fmt: skip
    body, known = EXAMPLES.get(path), "{" in path
    asked = path
    if known:
        name = path[path.index("{") : path.index("}") + 1]
        asked = path.replace(name, PATH_EXAMPLES[path.split("/")[2]])
    takes_body = ROUTES[method, path].body_field is not None
    wrong = {"colour": "red"}
    found = TestClient(application, base_url="http://127.0.0.1").request(
        method,
        asked,
        json={**body, **({} if known else wrong)} if takes_body else None,
        params=None if known or takes_body else wrong,
    )
    assert found.headers["content-type"] == PROBLEM
    assert [found.json()] == refusals


def test_no_value_of_examples_is_left_over(application):
    """A field that was renamed or removed takes its value with it."""
    schemas = application.openapi()["components"]["schemas"]
    fields = {(name, field) for name, each in schemas.items() for field in each.get("properties", {})}
    known = {f"{name}.{field}" for name, field in fields} | {field for _, field in fields}
    assert set(VALUES) <= known
