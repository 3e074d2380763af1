"""Renews a lease while a batch is measured, and detects that it was lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from netwright.client.http.connection import Connection
from netwright.errors import ApiError, NetwrightError, ServerError, UnreachableError

END_S = 5.0  # so that a server that does not respond cannot block the agent
BEATS = 3  # per duration of a lease: two may be lost


class Heartbeat:
    """Renews a lease in the background; :meth:`report` raises errors from the server."""

    def __init__(self, connection: Connection, lease: str, seconds: float) -> None:
        self._connection, self._lease, self._pause = connection, lease, seconds / BEATS
        self._latest: dict[str, object] = {"step": "download"}
        self._fault: ApiError | None = None
        self._ended = threading.Event()

    def report(self, step: str, done: int, total: int) -> None:
        """Set the progress to report. Raises :class:`ApiError` if the lease was lost or the key was revoked."""
        stage = step if step in ("wait", "calibrate") else "measure"
        self._latest = {"step": stage, "done": done, "total": total}
        if self._fault is not None:
            raise self._fault

    @contextmanager
    def beating(self) -> Iterator[Heartbeat]:
        """Send heartbeats until the block ends."""
        thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join(END_S)

    def _beat(self) -> None:
        while not self._ended.wait(self._pause):
            try:
                self._connection.post(f"/v1/measurement-leases/{self._lease}:renew", self._latest)
            except (UnreachableError, ServerError):
                continue  # the server may be restarting: the rows may still arrive in time
            except ApiError as error:
                self._fault = error
                return
            except NetwrightError:
                continue
