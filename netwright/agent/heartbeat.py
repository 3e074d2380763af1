"""Signs of life while a batch is measured, and the news that it is no longer ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from netwright.client.connection import Connection
from netwright.errors import ApiError, NetwrightError, ServerError, UnreachableError

END_S = 5.0  # a server that hangs does not hold the agent
BEATS = 3  # in the time of a lease: two may be lost


class Heartbeat:
    """Renews a lease beside the measuring; :meth:`tell` raises what the server said against it."""

    def __init__(self, connection: Connection, lease: str, seconds: float) -> None:
        self._connection, self._lease, self._pause = connection, lease, seconds / BEATS
        self._told: dict[str, object] = {"step": "download"}
        self._fault: ApiError | None = None
        self._ended = threading.Event()

    def tell(self, step: str, done: int, total: int) -> None:
        """How far the measuring is. Raises :class:`ApiError` when the lease or the key is lost."""
        known = step if step in ("wait", "calibrate") else "measure"
        self._told = {"step": known, "done": done, "total": total}
        if self._fault is not None:
            raise self._fault

    @contextmanager
    def beating(self) -> Iterator[Heartbeat]:
        """Beat until the block ends."""
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
                self._connection.post(f"/v1/measurement-leases/{self._lease}:renew", self._told)
            except (UnreachableError, ServerError):
                continue  # a server that is being restarted: the rows may still be in time
            except ApiError as error:
                self._fault = error
                return
            except NetwrightError:
                continue
