"""``/docs``: Swagger UI from an installed wheel, so that it works without a foreign host and under a strict policy."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Literal

from fastapi import APIRouter, Response

router = APIRouter(include_in_schema=False)

# Swagger UI writes style attributes, and its pictures are data URLs in its style sheet.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Netwright: HTTP API</title>
<link rel="icon" href="page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START = "SwaggerUIBundle({url: 'openapi.json', dom_id: '#docs', deepLinking: true, docExpansion: 'none'});\n"
Asset = Literal["swagger-ui.css", "swagger-ui-bundle.js"]


@router.get("/docs", response_class=Response)
def get_docs() -> Response:
    """The page."""
    return Response(PAGE, headers=HEADERS, media_type="text/html; charset=utf-8")


@router.get("/docs/start.js", response_class=Response)
def get_docs_start() -> Response:
    """What starts Swagger UI; a file of its own, because the policy allows no script in the page."""
    return Response(START, headers=HEADERS, media_type="text/javascript; charset=utf-8")


@router.get("/docs/{asset}", response_class=Response)
def get_docs_asset(asset: Asset) -> Response:
    """Swagger UI's script or style sheet."""
    kind = "text/css" if asset.endswith(".css") else "text/javascript"
    headers = {**HEADERS, "Cache-Control": "public, max-age=604800"}
    return Response(_read(asset), headers=headers, media_type=f"{kind}; charset=utf-8")


@lru_cache(maxsize=2)
def _read(asset: Asset) -> bytes:
    return (files("fastapi_offline") / "static" / asset).read_bytes()
