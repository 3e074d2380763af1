"""The application: ``create_app(settings)`` puts the parts together; nothing happens at import."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from service.artifacts import ArtifactStore
from service.db.session import Database
from service.errors import HANDLED, problem
from service.http.deps import Services
from service.http.guard import Guard, refuse
from service.problems import FieldProblem, Problem, plain
from service.routers import ROUTERS
from service.runtime.engine import Queue
from service.runtime.events import EventHub
from service.settings import Settings
from service.version import VERSION

PROBLEM = "application/problem+json"
log = logging.getLogger("netwright.api")

CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(settings: Settings) -> FastAPI:
    """The HTTP service on these settings. It needs a migrated database, and no worker to answer."""
    database = Database(settings.database)
    parts = Services(
        settings=settings,
        database=database,
        store=ArtifactStore(settings.artifacts),
        queue=Queue(database),
        events=EventHub(database, settings.poll_s),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        parts.queue.close()
        database.dispose()

    app = FastAPI(
        title="Netwright",
        version=VERSION,
        summary="Fits one neural network to many devices.",
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        responses={
            "4XX": {"description": "What is wrong, and what is allowed", "content": _problem_content()},
            "5XX": {"description": "A mistake of the service", "content": _problem_content()},
        },
    )
    app.state.services = parts
    app.add_middleware(Guard, allowed_hosts=settings.allowed_hosts)
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _mistake)
    for kind in HANDLED:
        app.add_exception_handler(kind, _known)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _problem_content() -> dict[str, Any]:
    return {PROBLEM: {"schema": Problem.model_json_schema()}}


async def _known(_request: Request, error: Exception) -> Response:
    answer = refuse(error)
    if answer.status_code >= 500:
        log.error("%s: %s", type(error).__name__, error)
    return answer


async def _mistake(_request: Request, error: Exception) -> Response:
    return refuse(error)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = problem(error.status_code, CODES.get(error.status_code, "http_error"), str(error.detail))
    return JSONResponse(
        body.model_dump(mode="json"), error.status_code, headers=dict(error.headers or {}), media_type=PROBLEM
    )


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_field_problem(each) for each in error.errors()]
    detail = "; ".join(f"{each.field}: {each.allowed}" for each in errors)
    body = problem(422, "invalid_request", detail, errors)
    return JSONResponse(body.model_dump(mode="json"), 422, media_type=PROBLEM)


def _field_problem(error: dict[str, Any]) -> FieldProblem:
    where = [str(part) for part in error["loc"]]
    field = ".".join(where[1:] if len(where) > 1 and where[0] in ("body", "query", "path") else where)
    if error["type"] == "json_invalid":
        return FieldProblem(field="body", got=None, allowed=f"valid JSON ({error['ctx']['error']})")
    got = None if error["type"] == "missing" else plain(error.get("input"))
    return FieldProblem(field=field, got=got, allowed=error["msg"].removeprefix("Value error, "))
