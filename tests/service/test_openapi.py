"""The OpenAPI document: valid, complete, usable by generators; and its page, which needs no other host."""

import re
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.app import create_app
from service.http.openapi.descriptions import EXAMPLES
from service.http.schemas import Body
from service.routers import ROUTERS
from service.settings import Settings


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return create_app(Settings(home=tmp_path_factory.mktemp("unused"))).openapi()


def operations(document):
    return [(path, method, each) for path, ways in document["paths"].items() for method, each in ways.items()]


def test_the_document_is_valid(document):
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_field_and_parameter_has_a_description(document):
    fields = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, value in schema.get("properties", {}).items()
        if not value.get("description")
    ]
    parameters = [
        f"{method} {path} {parameter['name']}"
        for path, method, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert fields + parameters == []


def test_operation_ids_are_the_names_of_the_functions_and_unique(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z_]*", each) for each in ids)


def test_operation_ids_stay_as_generated_clients_know_them(document):
    """A new operation is added to the file; an id that is in it stays."""
    known = (Path(__file__).parent / "operation_ids.txt").read_text().splitlines()
    assert [f"{m.upper()} {path} {each['operationId']}" for path, m, each in operations(document)] == known


def test_every_parameter_of_a_path_of_the_api_has_an_example(document):
    for path, _, operation in operations(document):
        if path.startswith("/v1/"):
            named = [each for each in operation.get("parameters", ()) if each["in"] == "path"]
            assert len(named) == path.count("{") and all(each["example"] for each in named), path


def test_every_operation_documents_problems_and_those_of_the_api_take_a_key(document):
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, _, operation in operations(document):
        for status in ("4XX", "5XX"):
            content = operation["responses"][status]["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}
        assert ("security" in operation) == path.startswith("/v1/")


def test_every_body_has_an_example_that_its_model_accepts(document):
    bodies = {
        route.path: route.body_field.field_info.annotation
        for router in ROUTERS
        for route in router.routes
        if getattr(route, "body_field", None) is not None
    }
    with_body = [(path, each) for path, _, each in operations(document) if "requestBody" in each]
    assert {path for path, _ in with_body} == set(EXAMPLES)
    for path, operation in with_body:
        example = operation["requestBody"]["content"]["application/json"]["example"]
        bodies[path].model_validate(example)


def test_files_and_streams_are_documented_as_such(document):
    def content(path):
        return document["paths"][path]["get"]["responses"]["200"]["content"]

    for path, media in (
        ("/v1/artifacts/{sha256}", "*/*"),
        ("/v1/subnets/{id}/onnx", "application/octet-stream"),
    ):
        assert content(path)[media]["schema"]["format"] == "binary"
    assert list(content("/v1/jobs/{id}/events")) == ["text/event-stream"]
    assert {"application/json", "text/csv"} <= set(content("/v1/searches/{id}/front"))


def test_the_page_loads_from_this_host_only(client):
    page = client.get("/docs")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "//" not in page.text.replace("<!DOCTYPE html>", "")
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(linked) == 4
    for link in linked:
        answer = client.get(f"/{link}")
        assert answer.status_code == 200 and len(answer.content) > 50
    assert client.get("/docs/other.js").status_code == 422


def bodies(kind=Body):
    """Every model of a request's body, also those that a route validates by itself."""
    return [kind] + [inner for each in kind.__subclasses__() for inner in bodies(each)]


@pytest.mark.parametrize("model", sorted(bodies(), key=str), ids=lambda model: model.__name__)
def test_every_whole_number_of_a_body_has_bounds_that_a_database_can_store(model):
    def unbounded(schema, name):
        if name in ("archs", "restrict"):  # choices, which are looked up in the space
            return []
        if schema.get("type") == "integer" and not {"enum", "const"} & set(schema):
            return [] if schema.get("maximum", 2**63) < 2**63 else [name]
        found = []
        for key in ("anyOf", "oneOf", "allOf"):
            found += [each for inner in schema.get(key, ()) for each in unbounded(inner, name)]
        for field, inner in schema.get("properties", {}).items():
            found += unbounded(inner, field)
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                found += unbounded(schema[key], name)
        return found

    schema = model.model_json_schema(mode="validation")
    assert [
        each for part in (schema, *schema.get("$defs", {}).values()) for each in unbounded(part, "")
    ] == []
