"""The web page: static files of this package and Plotly's script from its wheel; everything else is the public API."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated

from fastapi import APIRouter, Header, Response

from service.errors import NotFoundError

router = APIRouter(tags=["page"], include_in_schema=False)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Plotly writes style attributes and one style sheet
        "img-src 'self' data: blob:",  # a chart becomes a PNG by way of both
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
MEDIA = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
STATIC = files("service.page") / "static"
PLOTLY = "plotly.js"
CACHING = {PLOTLY: "public, max-age=604800"}  # a week: the script is large and changes with an upgrade only
REVALIDATE = "no-cache"
SMALLEST_GZIP = 1024  # bytes; below, compression saves no packet


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent: its bytes, plain and compressed, and its tag."""

    body: bytes
    compressed: bytes | None
    etag: str
    media_type: str


def static_paths() -> list[str]:
    """Paths, below the static folder, of every file of the page."""
    return sorted(_walk(STATIC, ""))


def _walk(folder: Traversable, prefix: str) -> list[str]:
    found: list[str] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in MEDIA:
            found.append(prefix + entry.name)
    return found


@lru_cache(maxsize=128)
def load(path: str) -> StaticFile:
    """The file at a path of :func:`static_paths`, or Plotly's script; read and compressed once."""
    if path == PLOTLY:
        body = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    elif path in static_paths():
        body = STATIC.joinpath(*path.split("/")).read_bytes()
    else:
        raise NotFoundError("page file", path)
    compressed = gzip.compress(body, 6, mtime=0) if len(body) >= SMALLEST_GZIP else None
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return StaticFile(body, compressed, etag, MEDIA[path.rpartition(".")[2]])


def send(path: str, if_none_match: str | None, accept_encoding: str) -> Response:
    """The answer with a file; 304 where the caller has it already."""
    file = load(path)
    headers = {**HEADERS, "ETag": file.etag, "Cache-Control": CACHING.get(path, REVALIDATE)}
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    if file.etag in known:
        return Response(status_code=304, headers=headers)
    if file.compressed is not None and "gzip" in accept_encoding:
        headers["Content-Encoding"] = "gzip"
        return Response(file.compressed, headers=headers, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)


Tag = Annotated[str | None, Header(alias="If-None-Match")]
Encoding = Annotated[str, Header(alias="Accept-Encoding")]


@router.get("/", response_class=Response)
def get_page(if_none_match: Tag = None, accept_encoding: Encoding = "") -> Response:
    """The page."""
    return send("index.html", if_none_match, accept_encoding)


@router.get("/page/{path:path}", response_class=Response)
def get_page_file(path: str, if_none_match: Tag = None, accept_encoding: Encoding = "") -> Response:
    """A module, style sheet or picture of the page, or Plotly's script from the installed wheel."""
    return send(path, if_none_match, accept_encoding)
