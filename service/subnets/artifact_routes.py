"""Files by their hash, to those whose project has a row of them."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from starlette.responses import StreamingResponse

from service.artifacts import ArtifactStore, artifact_by_hash
from service.errors import RangeError
from service.http.deps import App, Project
from service.http.middleware.variants import has

router = APIRouter(prefix="/v1/artifacts", tags=["artifacts"])
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@router.get("/{sha256}", response_class=Response)
def get_artifact(
    app: App,
    project: Project,
    sha256: str,
    name: Annotated[str | None, Query(max_length=120, description="Name of the download")] = None,
    range: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header(description="Tags that the client has: 304")] = None,
) -> Response:
    """A file as an attachment, or a range of its bytes."""
    with app.database.read() as session:
        row = artifact_by_hash(session, project, sha256)
    if has(if_none_match, f'"{sha256}"'):
        return Response(status_code=304, headers={"ETag": f'"{sha256}"'})
    return send(app.store, sha256, row.media_type, name or row.name, range)


def send(store: ArtifactStore, sha256: str, media_type: str, name: str, range: str | None) -> Response:
    """An answer with a file; its hash is checked before the first byte goes out."""
    size = store.size(sha256)
    start, stop = parse_range(range, size)
    chunks = store.stream(sha256, start, stop)
    first = next(chunks, b"")  # a damaged file is an error answer, not a broken download

    def body() -> object:
        yield first
        yield from chunks

    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(stop - start),
        "Content-Disposition": f'attachment; filename="{UNSAFE.sub("-", name)}"',
        "ETag": f'"{sha256}"',
        "X-Content-Type-Options": "nosniff",
    }
    partial = (start, stop) != (0, size)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return StreamingResponse(body(), 206 if partial else 200, headers, media_type)  # type: ignore[arg-type]


def parse_range(range: str | None, size: int) -> tuple[int, int]:
    """First and past-the-last byte; several ranges or another unit mean the whole file, as RFC 9110 allows."""
    match = RANGE.fullmatch(range.strip()) if range is not None else None
    if match is None or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    else:
        start, stop = max(0, size - int(last)), size
    if start >= stop:
        raise RangeError(f"the range must lie within the {size} bytes of the artifact, got {range!r}")
    return start, stop
