"""The application: ``create_app(settings)`` puts the parts together; nothing happens at import."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from service.artifacts import ArtifactStore
from service.db.session import Database
from service.http.answers import add_handlers
from service.http.deps import Services
from service.http.keys import authorise
from service.http.middleware.guard import Guard
from service.http.middleware.idempotency import Idempotency
from service.http.middleware.variants import Compressed, Tagged
from service.http.openapi.document import document_of
from service.http.parameters import known_parameters
from service.http.quotas import Rate, within_quota
from service.ids import DEFAULT_PROJECT
from service.jobs import JOBS
from service.monitoring.latency import Timed, latency_histogram
from service.routers import ROUTERS
from service.runtime.events import EventHub
from service.settings import Settings
from service.version import VERSION


def create_app(settings: Settings) -> FastAPI:
    """The HTTP service on these settings. It needs a migrated database, and no worker to answer."""
    database = Database(settings.database, must_exist=True)
    parts = Services(
        settings=settings,
        database=database,
        store=ArtifactStore(settings.artifacts),
        events=EventHub(database, settings.poll_s),
        job_kinds=JOBS,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        database.dispose()

    app = FastAPI(
        title="Netwright",
        version=VERSION,
        summary="Fits one neural network to many devices.",
        lifespan=lifespan,
        docs_url=None,  # the page of service.http.openapi.docs_page
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        dependencies=[Depends(known_parameters), Depends(within_quota)],
    )
    app.state.services = parts
    app.state.metrics = CollectorRegistry()
    app.add_middleware(Tagged)
    app.add_middleware(Idempotency, database=database)
    app.add_middleware(Compressed)
    app.add_middleware(
        Guard,
        allowed_hosts=settings.host_names,
        authorise=partial(authorise, database, default=DEFAULT_PROJECT),
        body_timeout_s=settings.body_timeout_s,
        rate=Rate(settings.requests_per_s),
    )
    app.add_middleware(Timed, histogram=latency_histogram(app.state.metrics))
    own = tuple(app.routes)  # the document and its page
    for router in ROUTERS:
        app.include_router(router)
    app.state.routes = (*own, *(route for router in ROUTERS for route in router.routes))
    add_handlers(app)
    vars(app)["openapi"] = partial(document_of, app)  # the place FastAPI names for a document of one's own
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
