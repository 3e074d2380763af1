"""One connection pool to a server: JSON in, JSON out, problems as exceptions, files verified by hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import httpx

from netwright.client.http.models import Object
from netwright.errors import IntegrityError, NetwrightError, UnreachableError, from_problem

MAX_PAGES = 10_000
LOADING_S = 900.0
"""Longest wait for an answer to a request for which the server loads images or looks at a network."""
START_RETRIES = 6
"""How often a refused connection is tried again: after 0, .5, 1, 2, 4 and 8 seconds, while a service starts."""
LOCAL = ("127.0.0.1", "localhost", "[::1]", "::1")
Query = Mapping[str, object]


class Connection:
    """HTTP for every resource of the client.

    An answer that is not a success raises (:mod:`netwright.errors`); no call waits longer than ``timeout`` seconds for
    the server's next byte; a downloaded file appears complete and with the announced hash, or not at all. With
    ``may_start`` a service on this machine has some seconds to start: until then it refuses connections.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        may_start: bool = False,
    ) -> None:
        self.url = _checked(url)
        if transport is None and may_start and httpx.URL(self.url).host in LOCAL:
            transport = httpx.HTTPTransport(retries=START_RETRIES)
        headers = {"Accept": "application/json", "User-Agent": "netwright-python"}
        if key:
            if not (key.isascii() and key.isprintable()):
                raise NetwrightError("a key must be printable ASCII without line breaks")
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, transport=transport)
        self._kept: dict[str, Object] = {}

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Object:
        """Read ``path``; parameters that are None are left out."""
        return self._json(self._send("GET", path, query=query))

    def get_once(self, path: str) -> Object:
        """Read what does not change while the server runs; later calls return the first answer."""
        if path not in self._kept:
            self._kept[path] = self.get(path)
        return self._kept[path]

    def post(self, path: str, body: Query | None = None, *, timeout_s: float | None = None) -> Object:
        """Post ``body``; fields that are None are left out, so that the server's defaults hold.

        ``timeout_s`` replaces the longest wait for an answer, where the server does much before it answers.
        """
        return self._json(self._send("POST", path, body=body, timeout_s=timeout_s))

    def patch(self, path: str, body: Query) -> Object:
        """Change the fields of ``body``."""
        return self._json(self._send("PATCH", path, body=body))

    def delete(self, path: str) -> Object:
        """Delete what is at ``path``."""
        return self._json(self._send("DELETE", path))

    def pages(self, path: str, query: Query | None = None) -> Iterator[Object]:
        """All items of a list, page after page."""
        token: str | None = None
        for _ in range(MAX_PAGES):
            page = self.get(path, {**(query or {}), "page_token": token})
            yield from page["items"]
            token = page.get("next_page_token")
            if not token:
                return

    def download(
        self,
        path: str,
        destination: Path,
        sha256: str | None = None,
        query: Query | None = None,
    ) -> str:
        """Save ``path`` at ``destination`` and return its SHA-256, which must equal ``sha256`` if that is set."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}.part")
        try:
            with temporary.open("xb") as file:
                got = self._stream_into(path, _given(query), file)
            if sha256 and got != sha256:
                raise IntegrityError(
                    f"{self.url}{path} must have SHA-256 {sha256}, got {got}; the file was not kept"
                )
            temporary.replace(destination)
        finally:
            temporary.unlink(missing_ok=True)
        return got

    def lines(self, path: str, query: Query | None = None, silence: float = 60.0) -> Iterator[str]:
        """The lines of an answer as they arrive, until it ends; ``silence`` is the longest pause, in seconds."""
        headers = {"Accept": "text/event-stream"}
        try:
            with self._http.stream(
                "GET", path, params=_given(query), headers=headers, timeout=silence
            ) as response:
                if response.is_error:
                    response.read()
                    self._json(response)
                yield from response.iter_lines()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _stream_into(self, path: str, query: Object, file: IO[bytes]) -> str:
        digest = hashlib.sha256()
        try:
            with self._http.stream("GET", path, params=query, headers={"Accept": "*/*"}) as response:
                if response.is_error:
                    response.read()
                    self._json(response)
                for chunk in response.iter_bytes():
                    digest.update(chunk)
                    file.write(chunk)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        return digest.hexdigest()

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Query | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        content = None if body is None else _given(body)
        timeout = self._http.timeout if timeout_s is None else httpx.Timeout(timeout_s)
        try:
            return self._http.request(method, path, params=_given(query), json=content, timeout=timeout)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        except (TypeError, ValueError) as error:
            raise NetwrightError(f"a request must be plain JSON with finite numbers, got: {error}") from error

    def _unreachable(self, error: httpx.TransportError) -> UnreachableError:
        reason = str(error) or type(error).__name__
        if isinstance(error, httpx.ReadTimeout):
            return UnreachableError(
                f"no answer from {self.url} ({reason}); the service may still be at work on the request: see what it "
                "has made before you send it again"
            )
        return UnreachableError(
            f"no answer from {self.url} ({reason}); is `netwright serve` running there, and is the URL right?"
        )

    def _json(self, response: httpx.Response) -> Object:
        try:
            body = response.json() if response.content else {}
        except ValueError:
            body = None
        if response.is_success and isinstance(body, dict):
            return body
        if isinstance(body, dict):
            raise from_problem(response.status_code, body)
        got = f"{response.status_code} {response.text[:200]!r}"
        detail = f"{response.request.url} must answer in JSON, got {got}; is this a Netwright server?"
        raise from_problem(
            response.status_code if response.is_error else 502, {"code": "not_json", "detail": detail}
        )


def _checked(url: str) -> str:
    """The address of a server, without a slash at its end."""
    try:
        parsed = httpx.URL(url.rstrip("/"))
    except (httpx.InvalidURL, ValueError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host or "%" in parsed.host:
        raise NetwrightError(f"the server's address must look like http://host:8000, got {url!r}")
    return url.rstrip("/")


def _given(values: Query | None) -> Object:
    return {name: value for name, value in (values or {}).items() if value is not None}
