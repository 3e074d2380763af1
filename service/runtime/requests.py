"""The request on whose behalf rows are written, where the client named it by a key."""

from __future__ import annotations

from contextvars import ContextVar

CURRENT_REQUEST: ContextVar[str | None] = ContextVar("idempotent_request", default=None)
"""Id of the row of the request that is being carried out; set by the middleware, for this request alone."""
