"""Dependencies of routes: the service's parts, the caller's project, a page of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from service.artifacts import ArtifactStore
from service.db.session import Database
from service.errors import InvalidError
from service.http.caller import Caller
from service.runtime.events import EventHub
from service.settings import Settings
from supernets.metrics import METRICS
from supernets.registry import Registry


@dataclass(frozen=True)
class Services:
    """Everything a route may use; made once by ``create_app``."""

    settings: Settings
    database: Database
    store: ArtifactStore
    events: EventHub
    job_kinds: Registry


@dataclass(frozen=True)
class PageRequest:
    """Which page of a list."""

    size: int
    token: str | None


def services(request: Request) -> Services:
    """The parts of the application that answers this request."""
    parts: Services = request.app.state.services
    return parts


def caller(request: Request) -> Caller:
    """Who sends the request; set by the guard, which checks the key."""
    found: Caller = request.state.caller
    return found


def project(request: Request) -> str:
    """The caller's project: that of the key, or the default one where the service has no keys."""
    return caller(request).project


def page_request(
    page_size: Annotated[int, Query(ge=1, le=500)] = 50, page_token: Annotated[str | None, Query()] = None
) -> PageRequest:
    """Page parameters of every list."""
    return PageRequest(page_size, page_token)


App = Annotated[Services, Depends(services)]
Project = Annotated[str, Depends(project)]
Sender = Annotated[Caller, Depends(caller)]
Page = Annotated[PageRequest, Depends(page_request)]
Archived = Annotated[bool, Query(description="List archived resources too")]


def metric_filter(metric: Annotated[str | None, Query()] = None) -> str | None:
    """A metric to list rows of; an unknown name is an error, not a filter that nothing passes."""
    if metric is not None and metric not in METRICS:
        raise InvalidError("metric", metric, list(METRICS))
    return metric


MetricFilter = Annotated[str | None, Depends(metric_filter)]
