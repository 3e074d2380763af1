"""Files of measurements into the artifact store, and a first look at them before a job is started."""

from __future__ import annotations

import base64
import binascii

from sqlalchemy.orm import Session

from predictors.tables.archs import arch_columns
from predictors.tables.read import MAX_BYTES, read_table
from service.artifacts import ArtifactStore
from service.checkpoints import inside
from service.db import queries
from service.deps import Services
from service.errors import InvalidError
from service.schemas.tables import FileBody, TableRows
from supernets.spaces.space import Space

MEDIA_TYPE = "application/octet-stream"


def content_of(session: Session, project: str, app: Services, body: FileBody, field: str) -> bytes:
    """The bytes that a request means; raises ``InvalidError`` where there are none, or too many."""
    if body.sha256 is not None:
        queries.artifact_by_hash(session, project, body.sha256)
        return app.store.read(body.sha256)
    if body.path is not None:
        path = inside(app.settings.import_dir, body.path, f"{field}.path")
        if not path.is_file():
            raise InvalidError(f"{field}.path", body.path, "a file, not a folder")
        if path.stat().st_size > MAX_BYTES:
            raise InvalidError(f"{field}.path", f"{path.stat().st_size} bytes", f"at most {MAX_BYTES} bytes")
        return path.read_bytes()
    try:
        return base64.b64decode(body.content or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidError(
            f"{field}.content", "…", "a file in base64", f"{field}.content: {error}"
        ) from error


def keep(session: Session, project: str, store: ArtifactStore, content: bytes) -> str:
    """Store a brought file where the project may read it; returns its SHA-256."""
    sha256 = store.put(content)
    queries.own_artifact(session, project, sha256, len(content), MEDIA_TYPE, f"table-{sha256[:12]}")
    return sha256


def look(content: bytes, body: TableRows, space: Space) -> list[str]:
    """Check that the file is whole and has the columns named; returns those that say which arch a row is.

    Raises:
        TableError: what is wrong, and the columns there are.
    """
    columns = arch_columns(space, read_table(content).names, body.archs)
    read_table(content, [*columns, body.latency])
    return columns
