"""One connection pool to a server: JSON in, JSON out, problems as exceptions, files verified by hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import httpx

from netwright.errors import IntegrityError, NetwrightError, UnreachableError, from_problem

MAX_PAGES = 10_000
JSON = dict[str, Any]


class Connection:
    """Speaks HTTP for every resource of the client.

    Promises: an answer that is not a success raises (:mod:`netwright.errors`); no call waits longer than
    ``timeout`` seconds for the server's next byte; a file that is downloaded appears complete and with
    the announced hash, or not at all.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise NetwrightError(f"the server's address must begin with http:// or https://, got {url!r}")
        headers = {"Accept": "application/json", "User-Agent": "netwright-python"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, transport=transport)

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def close(self) -> None:
        """Give the sockets back."""
        self._http.close()

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> JSON:
        """Read ``path``; parameters that are None are left out."""
        return self._json(self._send("GET", path, params=_given(query)))

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> JSON:
        """Post ``body``; fields that are None are left out, so that the server's defaults hold."""
        content = {} if body is None else {"json": _given(body)}
        return self._json(self._send("POST", path, **content))

    def pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[JSON]:
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
        query: Mapping[str, Any] | None = None,
    ) -> str:
        """Save ``path`` at ``destination`` and return its SHA-256, which must equal ``sha256`` where given."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}.part")
        try:
            with temporary.open("xb") as file:
                got = self._stream_into(path, _given(query), file)
            if sha256 and got != sha256:
                raise IntegrityError(
                    f"{self.url}{path} must have SHA-256 {sha256}, got {got}; nothing was kept"
                )
            temporary.replace(destination)
        finally:
            temporary.unlink(missing_ok=True)
        return got

    def lines(
        self, path: str, query: Mapping[str, Any] | None = None, silence: float = 60.0
    ) -> Iterator[str]:
        """The lines of an answer as they come, until it ends; ``silence`` is how long none may, in seconds."""
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

    def _stream_into(self, path: str, query: Mapping[str, Any], file: IO[bytes]) -> str:
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

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        except (TypeError, ValueError) as error:
            raise NetwrightError(f"a request must be plain JSON with finite numbers, got: {error}") from error

    def _unreachable(self, error: httpx.TransportError) -> UnreachableError:
        reason = str(error) or type(error).__name__
        return UnreachableError(
            f"no answer from {self.url} ({reason}); is `netwright serve` running there, and is the URL right?"
        )

    def _json(self, response: httpx.Response) -> JSON:
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


def _given(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (values or {}).items() if value is not None}
