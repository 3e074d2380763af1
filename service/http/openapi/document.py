"""The OpenAPI document: that of FastAPI, with errors, keys, contents of files, examples and descriptions.

Fields with the same name mean the same everywhere, so that most descriptions are written once, here; a field's own
description comes first.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.models import HTTPBearer, Operation, Parameter, ParameterInType, Reference, Schema
from fastapi.openapi.utils import get_openapi

from service.http.answers import PROBLEM, problem_content
from service.http.openapi.descriptions import EXAMPLES, FIELDS, PARAMETERS, PATH_EXAMPLES
from service.http.openapi.examples import TEXTS, Schemas, example_of, failure_of, refusal_of
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
        schemas = _add_components(document)
        read = {name: Schema.model_validate(schema) for name, schema in schemas.items()}
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                _complete(path, method, operation)
                _exemplify(path, operation, read)
        for name, schema in schemas.items():
            _describe(name, schema)
        app.openapi_schema = document
    return app.openapi_schema


def _add_components(document: Json) -> Json:
    """Add the schemas of problems and the key; returns all schemas by name."""
    components = document.setdefault("components", {})
    schemas: Json = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas.update(ProblemDetails=problem | {"title": "ProblemDetails"})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    description = "A key of `netwright keys create`; needed once the service has keys"
    key = HTTPBearer(description=description).model_dump(mode="json", by_alias=True, exclude_none=True)
    components.update(securitySchemes={"key": key})
    return schemas


def _complete(path: str, method: str, operation: Json) -> None:
    """Errors, key, contents, example and descriptions of one operation."""
    responses = operation["responses"]
    responses.pop("422", None)
    for status, description in ERRORS.items():
        content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
        responses[status] = {"description": description, "content": content}
    if path.startswith("/v1/"):
        operation.update(security=[{"key": []}, {}])
    if (path, method) in CONTENTS:
        responses["200"].update(content=deepcopy(CONTENTS[path, method]))
    for parameter in operation.get("parameters", ()):
        read = Parameter.model_validate(parameter)
        if read.description is None:
            parameter.update(description=PARAMETERS[read.name])
        if read.in_ is ParameterInType.path and path.startswith("/v1/"):
            parameter.update(example=PATH_EXAMPLES[path.split("/")[2]])
    if "requestBody" in operation and path in EXAMPLES:
        operation["requestBody"]["content"]["application/json"]["example"] = EXAMPLES[path]


def _exemplify(path: str, operation: Json, schemas: Schemas) -> None:
    """An example of every answer but files."""
    read = Operation.model_validate(operation)
    for status, answer in operation["responses"].items():
        for media, content in answer.get("content", {}).items():
            if media == PROBLEM:
                error = failure_of() if status == "5XX" else refusal_of(path, read)
                content.update(example=problem_content(error))
            elif media == "application/json":
                reference = Reference.model_validate(content["schema"]).ref
                content.update(example=example_of(reference, schemas))
            elif media in TEXTS:
                content.update(example=TEXTS[media])


def _describe(name: str, schema: Json) -> None:
    for field, value in schema.get("properties", {}).items():
        text = FIELDS.get(f"{name}.{field}", FIELDS.get(field))
        if "description" not in value and text is not None:
            value.update(description=text)
