"""Who sends a request, and what the key permits."""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from predictors.measuring.references import SIZES, reference_sha256
from service.db import queries
from service.db.tables import Item, Lease, Target
from service.errors import NotFoundError

# Requests that compute an answer and store nothing, though they have a body.
READING = ("/v1/searches:profile", "/v1/trainings:estimate", "/v1/conversions:examine")
LEASES, ARTIFACTS, TARGETS = "/v1/measurement-leases", "/v1/artifacts/", "/v1/targets"
NAMED = re.compile(r"/v1/(measurement-leases|artifacts|targets)/([^/:]+)")


@dataclass(frozen=True)
class Caller:
    """The project of a request and the name of its key; ``target`` is the only one that an agent's key opens."""

    project: str
    key: str | None = None
    target: str | None = None


def allowed_scopes(method: str, path: str) -> tuple[str, ...]:
    """The scopes any of which suffices for a request."""
    if path.startswith(LEASES):
        return ("agent", "admin")
    if method in ("GET", "HEAD"):
        for_agents = path.startswith((ARTIFACTS, f"{TARGETS}/")) or path == TARGETS
        return ("read", "write", "admin", "agent") if for_agents else ("read", "write", "admin")
    return ("read", "write", "admin") if path in READING else ("write", "admin")


def check_bound(session: Session, caller: Caller, path: str) -> None:
    """A key that is bound to a target opens that target, its leases and the files that are measured for it.

    Raises:
        NotFoundError: for anything else, as if it were of another project.
    """
    named = NAMED.match(path)
    if caller.target is None or named is None:
        return
    collection, id = named.groups()
    if collection == "artifacts":
        if not _is_measured(session, caller, id):
            raise NotFoundError("artifact", id)
    elif collection == "targets":
        row = queries.named(session, caller.project, Target, id)
        if row is None or row.id != caller.target:
            raise NotFoundError("target", id)
    else:
        lease = session.get(Lease, id)
        if lease is None or lease.target_id != caller.target:
            raise NotFoundError("lease", id)


def _is_measured(session: Session, caller: Caller, sha256: str) -> bool:
    """Whether a file is a reference net or a net of the caller's target."""
    if sha256 in {reference_sha256(name) for name in SIZES}:
        return True
    query = sa.select(Item.id).where(
        Item.project_id == caller.project, Item.target_id == caller.target, Item.file_sha256 == sha256
    )
    return session.scalar(query.limit(1)) is not None
