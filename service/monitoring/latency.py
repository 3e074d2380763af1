"""How long requests take until their answer begins, by route."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.middleware.asgi import began_with, is_http, method_of, path_of
from service.logs import ACCESS

log = logging.getLogger(ACCESS)
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
UNMATCHED = "none"


def latency_histogram(registry: CollectorRegistry) -> Histogram:
    """The metric of :class:`Timed`."""
    return Histogram(
        "netwright_http_request_seconds",
        "Time until the answer to a request begins",
        ("method", "route", "status"),
        registry=registry,
        buckets=BOUNDS_S,
    )


@dataclass(frozen=True)
class Timed:
    """ASGI middleware: observes each request under the path of its route, so that ids are no labels."""

    app: ASGIApp
    histogram: Histogram

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note when its answer begins."""
        if not is_http(scope):
            await self.app(scope, receive, send)
            return
        began, method, path = time.perf_counter(), method_of(scope), path_of(scope)

        async def timed(message: Message) -> None:
            status = began_with(message)
            if status is not None:
                route = getattr(scope.get("route"), "path", UNMATCHED)
                labels = self.histogram.labels(method, route, status)
                seconds = time.perf_counter() - began
                labels.observe(seconds)
                fields = {"method": method, "path": path, "status": status, "seconds": round(seconds, 4)}
                log.info("%s %s %s", method, path, status, extra={"fields": fields})
            await send(message)

        await self.app(scope, receive, timed)
