"""Keys of the HTTP API. Once the first is made, every request needs one; before, only loopback is served."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db import queries
from service.db.session import Database
from service.db.tables import Key, Project, Target, now
from service.errors import ConflictError, InvalidError, KeyScopeError, UnauthorizedError
from service.http.caller import Caller, allowed_scopes, check_bound
from service.ids import new_id

PREFIX = "nw_"
SECRET_BYTES = 32
MAX_HEADER = 200  # characters
SCOPES = {
    "read": "see everything",
    "write": "see and start everything",
    "agent": "measure for one target, and nothing else",
    "admin": "everything",
}


def make_key(
    session: Session,
    project: str,
    name: str,
    scopes: Sequence[str],
    *,
    target: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[Key, str]:
    """A new key and its secret, which is shown once and stored as a hash.

    ``target``, an id or a name, is the one that a key with the scope ``agent`` measures for. The key is refused from
    ``expires_at`` on.
    """
    unique = list(dict.fromkeys(scopes))
    for scope in unique:
        if scope not in SCOPES:
            raise InvalidError("scope", scope, list(SCOPES))
    if not unique:
        raise InvalidError("scope", None, list(SCOPES))
    if queries.find(session, project, Key, name=name) is not None:
        raise ConflictError(f"there is a key called {name!r}; give another name, or revoke it and do so")
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    row = Key(
        id=new_id("key"),
        project_id=project,
        name=name,
        sha256=_hash(secret),
        scopes=unique,
        target_id=_target_of(session, project, unique, target),
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, secret


def _target_of(session: Session, project: str, scopes: Sequence[str], target: str | None) -> str | None:
    """The id of the target that a key is bound to: needed for an agent's, and meaningless for others."""
    if list(scopes) != ["agent"]:
        if target is not None:
            raise InvalidError(
                "target", target, "absent: only a key whose one scope is agent is bound to a target"
            )
        return None
    names = sorted(row.name for row in queries.every(session, project, Target))
    if target is None:
        raise InvalidError(
            "target", None, names or "a target: `netwright targets add agent --name NAME` makes one"
        )
    row = queries.named(session, project, Target, target)
    if row is None:
        raise InvalidError("target", target, names)
    return row.id


def project_named(session: Session, name: str) -> Project:
    """The project of this name; raises ``InvalidError`` with the names that there are."""
    rows = {row.name: row for row in session.scalars(sa.select(Project))}
    if name not in rows:
        raise InvalidError("project", name, sorted(rows))
    return rows[name]


def list_projects(session: Session) -> list[Project]:
    """Every project, oldest first."""
    return list(session.scalars(sa.select(Project).order_by(Project.created_at, Project.id)))


def make_project(session: Session, name: str) -> Project:
    """A new project, whose keys see nothing of other projects."""
    if session.scalar(sa.select(Project).where(Project.name == name)) is not None:
        raise ConflictError(f"there is a project called {name!r}")
    row = Project(id=new_id("prj"), name=name)
    session.add(row)
    session.flush()
    return row


def revoke_key(session: Session, project: str, name: str) -> Key:
    """From now on the key is refused; its row stays, so that the service stays closed."""
    row = queries.find(session, project, Key, name=name)
    if row is None:
        known = sorted(key.name for key in list_keys(session, project))
        raise InvalidError("name", name, known or "none: there are no keys")
    row.revoked_at = row.revoked_at or now()
    return row


def list_keys(session: Session, project: str) -> list[Key]:
    """Every key of the project, newest first."""
    query = sa.select(Key).where(Key.project_id == project).order_by(Key.created_at.desc(), Key.id)
    return list(session.scalars(query))


def authorise(database: Database, header: str | None, method: str, path: str, default: str) -> Caller:
    """Who sends a request; raises ``UnauthorizedError``, ``KeyScopeError`` and ``NotFoundError``.

    ``header`` is the Authorization header; ``default`` the project of a service without keys.
    """
    kind, _, secret = (header or "")[:MAX_HEADER].partition(" ")
    with database.read() as session:
        row = key_by_hash(session, _hash(secret.strip())) if kind.lower() == "bearer" else None
        if row is None and not any_key(session):
            return Caller(default)
    if row is None:
        what = "an unknown one" if header else "none"
        raise UnauthorizedError(
            f"a request must carry a key of this service (Authorization: Bearer nw_…), got {what}; "
            "`netwright keys create NAME --scope …` on the server makes one"
        )
    if row.revoked_at is not None:
        raise UnauthorizedError(f"the key {row.name!r} was revoked at {row.revoked_at:%Y-%m-%d %H:%M} UTC")
    if row.expires_at is not None and row.expires_at <= now():
        raise UnauthorizedError(f"the key {row.name!r} expired at {row.expires_at:%Y-%m-%d %H:%M} UTC")
    allowed = allowed_scopes(method, path)
    if not set(row.scopes) & set(allowed):
        raise KeyScopeError(row.scopes, allowed, f"{method} {path}")
    caller = Caller(row.project_id, row.id, row.target_id)
    if caller.target is not None:
        with database.read() as session:
            check_bound(session, caller, path)
    return caller


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def any_key(session: Session) -> bool:
    """Whether any key was ever made: from then on every request needs one, revoked ones included."""
    return session.scalar(sa.select(Key.id).limit(1)) is not None


def key_by_hash(session: Session, sha256: str) -> Key | None:
    """The key whose secret has this hash, of any project; the row names the project."""
    return session.scalars(sa.select(Key).where(Key.sha256 == sha256)).first()
