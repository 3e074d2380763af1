"""HTTP/1.1 on a connection whose client must send the headers of a request in time.

uvicorn closes an idle connection after a response, but waits without end for the first request and for the rest of
the headers of any, so that half-open connections would stay until the process has no file handle left.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedProtocol(H11Protocol):
    """uvicorn's protocol on h11, which closes a connection whose headers are not complete in time."""

    header_timeout_s = 10.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Stop the clock where the headers are complete."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.header_timeout_s, self._close)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def timed_protocol(header_timeout_s: float) -> type[TimedProtocol]:
    """The protocol with this limit, in seconds; uvicorn makes the instances."""
    return type("TimedProtocol", (TimedProtocol,), {"header_timeout_s": header_timeout_s})
