"""Exceptions as answers: one shape, the table of :mod:`service.errors`, and nothing of the server's inside."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from service.errors import HANDLED, QuotaError, problem, problem_of
from service.problems import FieldProblem, Problem, plain
from service.settings import Settings
from supernets.errors import nearest

PROBLEM = "application/problem+json"
CODES = {404: "not_found", 405: "method_not_allowed"}
HEADERS = {401: {"WWW-Authenticate": 'Bearer realm="netwright"'}, 503: {"Retry-After": "5"}}
log = logging.getLogger("netwright.api")


def add_handlers(app: FastAPI) -> None:
    """Turn every exception of a route into a problem."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in HANDLED:
        app.add_exception_handler(kind, _known)


def answer(error: Exception, request_id: str, settings: Settings | None = None) -> Response:
    """The answer for an error; one that is the service's own is logged with the id that the answer names.

    Folders of the server in it are named by ``settings``; libraries put them into their messages.
    """
    body = problem_of(error)
    if settings is not None:
        body = Problem.model_validate_json(settings.public(body.model_dump_json()))
    if body.status >= 500:
        body.request_id = request_id
        log.error("%s %s: %s", request_id, body.code, error, exc_info=error if body.status == 500 else None)
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, QuotaError) else None
    return as_response(body, headers)


def as_response(body: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as a response with the headers that belong to its status."""
    both = {**HEADERS.get(body.status, {}), **(headers or {})}
    return JSONResponse(problem_content(body), body.status, headers=both, media_type=PROBLEM)


def problem_content(body: Problem) -> dict[str, Any]:
    """A problem as JSON, without a request id where it has none."""
    content = body.model_dump(mode="json", exclude_none=True, exclude={"errors", "actions"})
    return content | body.model_dump(mode="json", include={"errors", "actions"})


async def _known(request: Request, error: Exception) -> Response:
    return answer(error, request.state.request_id, request.app.state.services.settings)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    detail = str(error.detail)
    if error.status_code == 405:
        headers["Allow"] = ", ".join(allowed_methods(request))
        detail = f"{request.method} is not allowed here; allowed are {headers['Allow']}"
    code = CODES.get(error.status_code, "http_error")
    return as_response(problem(error.status_code, code, detail), headers)


def allowed_methods(request: Request) -> list[str]:
    """Every method that some route takes at the request's path."""
    found: set[str] = set()
    for route in request.app.state.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


ALTERNATIVE = re.compile(
    r"(literal|list|dict|tuple|function-\w+)\[.*\]|constrained-(str|int|float)|str|int|float|bool|none"
)
"""How pydantic names one of several types that a field may have, as if it were a part of the field's path."""


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_field_problem(each) for each in error.errors()]
    detail = "; ".join(f"{each.field}: {each.allowed}" for each in errors)
    return as_response(problem(422, "invalid_request", detail, errors))


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    where = [str(part) for part in error["loc"] if not ALTERNATIVE.fullmatch(str(part))]
    field = ".".join(where[1:] if len(where) > 1 and where[0] in ("body", "query", "path") else where)
    got = None if error["type"] == "missing" else plain(error.get("input"))
    return FieldProblem(
        field=field, got=got, allowed=error["msg"].removeprefix("Value error, ") + _hint(error)
    )


def _hint(error: Mapping[str, Any]) -> str:
    """For a value that is none of a few words: the word that is most like it."""
    got, words = error.get("input"), re.findall(r"'([^']+)'", error.get("ctx", {}).get("expected", ""))
    return nearest(got, words) if isinstance(got, str) else ""
