"""Query parameters: one that a route does not take is an error, not something to ignore."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute

from service.errors import InvalidError


def known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not take, and single ones that are sent twice.

    Raises:
        InvalidError: names the parameter and those that there are.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    repeatable = _query_parameters(request.app.openapi(), route.path_format, request.method)
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name not in repeatable:
            known = sorted(repeatable) or "absent: this route takes no query parameters"
            raise InvalidError(name, value, known, f"there is no query parameter {name[:80]!r} here")
        if name in seen and not repeatable[name]:
            raise InvalidError(name, value, "a parameter that is sent once")
        seen.add(name)


def _query_parameters(document: dict[str, Any], path: str, method: str) -> dict[str, bool]:
    """Name of each query parameter of an operation, and whether it may be repeated."""
    operation = document["paths"].get(path, {}).get(method.lower(), {})
    return {
        parameter["name"]: "array" in {kind.get("type") for kind in _kinds(parameter["schema"])}
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }


def _kinds(schema: dict[str, Any]) -> list[dict[str, object]]:
    kinds: list[dict[str, object]] = schema.get("anyOf", [schema])
    return kinds
