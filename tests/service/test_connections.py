"""Slow clients of a real server: a connection that does not send its request in time is closed."""

import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from service.app import create_app
from service.http.middleware.protocol import timed_protocol

HEAD = b"POST /v1/searches HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture
def address(settings):
    """A server that waits half a second for headers and for bodies."""
    settings = settings.model_copy(update={"header_timeout_s": 0.5, "body_timeout_s": 0.5})
    config = uvicorn.Config(
        create_app(settings),
        port=0,
        http=timed_protocol(settings.header_timeout_s),
        timeout_keep_alive=1,
        log_level="warning",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join(20)


def received(connection):
    """Everything that the server sends until it closes the connection; fails where it does not."""
    connection.settimeout(20)
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_a_connection_without_complete_headers_is_closed(address, sent):
    with socket.create_connection(address) as connection:
        connection.sendall(sent)
        assert received(connection) == b""


def test_a_body_that_does_not_arrive_is_answered_and_closed(address):
    for more in (b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"):
        with socket.create_connection(address) as connection:
            connection.sendall(HEAD + more)
            answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 408") and b"urn:netwright:error:timeout" in answer


def test_a_connection_serves_several_requests_and_is_closed_when_idle_in_the_next(address):
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.create_connection(address) as connection:
        connection.sendall(request + request)
        connection.sendall(request[:20])
        answers = received(connection)
    assert answers.count(b"HTTP/1.1 200") == 2
