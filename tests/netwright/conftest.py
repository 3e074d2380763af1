from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from netwright import Client
from netwright.commands import output
from tests.netwright.fake_server import FakeServer


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def client(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr("netwright.resources.jobs.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("netwright.resources.jobs.LONGEST_PAUSE_S", 0.001)

    def made() -> Client:
        return Client("http://fake", transport=httpx.MockTransport(server))

    monkeypatch.setattr(output.Where, "client", lambda _: made())  # a command closes its own
    with made() as client:
        yield client
