"""``GET /metrics``: for Prometheus. With keys it needs one of the default project: it counts the jobs of all."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest

from service.errors import KeyScopeError
from service.http.deps import App
from service.http.keys import authorise
from service.ids import DEFAULT_PROJECT
from service.monitoring.collect import DatabaseMetrics

router = APIRouter(tags=["health"], include_in_schema=False)


@router.get("/metrics", response_class=Response)
def metrics(app: App, request: Request, authorization: Annotated[str | None, Header()] = None) -> Response:
    """Metrics of this process and of the database, as text."""
    caller = authorise(app.database, authorization, "GET", request.url.path, DEFAULT_PROJECT)
    if caller.project != DEFAULT_PROJECT:
        raise KeyScopeError([f"project {caller.project}"], ["read of the default project"], "GET /metrics")
    stored = CollectorRegistry()
    stored.register(DatabaseMetrics(app.database, app.settings))
    body = generate_latest(request.app.state.metrics) + generate_latest(stored)
    return Response(body, media_type=CONTENT_TYPE_PLAIN_1_0_0)
