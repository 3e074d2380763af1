"""Files that requests name or carry, and where they are stored."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from pydantic import Field, model_validator
from sqlalchemy.orm import Session

from predictors.tables.read import MAX_BYTES
from service.artifacts import ArtifactStore, artifact_by_hash, own_artifact
from service.errors import InvalidError
from service.http.deps import Services
from service.http.import_folder import copy_file, read_file
from service.http.schemas import Body

MEDIA_TYPE = "application/octet-stream"


class FileBody(Body):
    """A file: exactly one of ``path``, ``content`` and ``sha256``."""

    path: str | None = Field(None, description="File relative to NETWRIGHT_IMPORT_DIR on the server")
    content: str | None = Field(None, description="The file itself in base64; the whole request is limited")
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="A file that was uploaded before, by its hash"
    )

    @model_validator(mode="after")
    def _one_source(self) -> FileBody:
        if sum(value is not None for value in (self.path, self.content, self.sha256)) != 1:
            raise ValueError("give exactly one of 'path', 'content' and 'sha256'")
        return self


def content_of(session: Session, project: str, app: Services, body: FileBody, field: str) -> bytes:
    """The bytes that a request means; raises ``InvalidError`` where there are none, or too many."""
    if body.sha256 is not None:
        artifact_by_hash(session, project, body.sha256)
        return app.store.read(body.sha256)
    if body.path is not None:
        return read_file(app.settings.import_dir, body.path, f"{field}.path", MAX_BYTES)
    try:
        return base64.b64decode(body.content or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidError(
            f"{field}.content", "…", "a file in base64", f"{field}.content: {error}"
        ) from error


def copy_of(app: Services, project: str, body: FileBody, field: str, max_bytes: int, to: Path) -> None:
    """Write the file that a request means at ``to``; raises ``InvalidError`` where there is none, or a larger one."""
    if body.path is not None:
        copy_file(app.settings.import_dir, body.path, f"{field}.path", max_bytes, to)
        return
    with app.database.read() as session:
        content = content_of(session, project, app, body, field)
    to.write_bytes(content)


def named_in(body: FileBody) -> str:
    """What a request names its file by, for a message."""
    return body.path or body.sha256 or "the content"


def keep(session: Session, project: str, store: ArtifactStore, content: bytes) -> str:
    """Store an uploaded file where the project may read it; returns its SHA-256."""
    sha256 = store.put(content)
    own_artifact(session, project, sha256, len(content), MEDIA_TYPE, f"table-{sha256[:12]}")
    return sha256
