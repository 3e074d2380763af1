"""The OpenAPI document: that of FastAPI, with errors, keys, contents of files, examples and descriptions.

Fields with the same name mean the same everywhere, so that most descriptions are written once, here; a field's own
description comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.http.answers import PROBLEM
from service.http.openapi.descriptions import EXAMPLES, FIELDS, PARAMETERS
from service.problems import Problem

Json = dict[str, Any]
ERRORS = {"4XX": "The request is refused: what is wrong, and what is allowed", "5XX": "The service failed"}
BINARY = {"type": "string", "format": "binary"}
CONTENTS: dict[tuple[str, str], Json] = {
    # Each file has its own type; generators of clients need a plain one first.
    ("/v1/artifacts/{sha256}", "get"): {
        "application/octet-stream": {"schema": BINARY},
        "*/*": {"schema": BINARY},
    },
    ("/v1/subnets/{id}/onnx", "get"): {"application/octet-stream": {"schema": BINARY}},
    ("/v1/jobs/{id}/events", "get"): {"text/event-stream": {"schema": {"type": "string"}}},
}
"""Bodies of successful answers that are no JSON."""


def document_of(app: FastAPI) -> Json:
    """The document of an application's routes; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version="3.1.0",
            summary=app.summary,
            routes=app.routes,
        )
        _add_components(document)
        for path, method, operation in _operations(document):
            _complete(path, method, operation)
        for name, schema in document["components"]["schemas"].items():
            _describe(name, schema)
        app.openapi_schema = document
    return app.openapi_schema


def _add_components(document: Json) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["ProblemDetails"] = problem | {"title": "ProblemDetails"}
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    components["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of `netwright keys create`; needed once the service has keys",
        }
    }


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _complete(path: str, method: str, operation: Json) -> None:
    """Errors, key, contents, example and descriptions of one operation."""
    responses = operation["responses"]
    responses.pop("422", None)
    reference = {PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    for status, description in ERRORS.items():
        responses[status] = {"description": description, "content": reference}
    if path.startswith("/v1/"):
        operation["security"] = [{"key": []}, {}]
    content = CONTENTS.get((path, method))
    if content is not None:
        responses["200"]["content"] = content
    for parameter in operation.get("parameters", ()):
        if "description" not in parameter:
            parameter["description"] = PARAMETERS[parameter["name"]]
    if "requestBody" in operation and path in EXAMPLES:
        operation["requestBody"]["content"]["application/json"]["example"] = EXAMPLES[path]


def _describe(name: str, schema: Json) -> None:
    for field, value in schema.get("properties", {}).items():
        text = FIELDS.get(f"{name}.{field}", FIELDS.get(field))
        if "description" not in value and text is not None:
            value["description"] = text
