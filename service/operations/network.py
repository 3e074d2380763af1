"""Checks of the service's settings, its address, and who may use it."""

from __future__ import annotations

import difflib
import http.client
import json
import os
import socket
from collections.abc import Iterator

from service.hosts import ANY, EVERY_ADDRESS
from service.http.keys import any_key
from service.operations.findings import Finding, Place, error, ok, warning
from service.settings import Settings, is_loopback

OF_CLIENTS = ("NETWRIGHT_URL", "NETWRIGHT_KEY")
OF_TESTS = "NETWRIGHT_TEST_"
PATIENCE_S = 3.0


def environment(_: Place) -> Iterator[Finding]:
    """Variables that look like settings but are none: a misspelt one has no effect."""
    known = [f"NETWRIGHT_{name.upper()}" for name in Settings.model_fields]
    set_here = sorted(name for name in os.environ if name.upper().startswith("NETWRIGHT_"))
    unknown = [name for name in set_here if name.upper() not in (*known, *OF_CLIENTS)]
    for name in unknown:
        if not name.startswith(OF_TESTS):
            near = difflib.get_close_matches(name.upper(), known, 1)
            action = f"did you mean {near[0]}?" if near else "unset it; docs/settings.md lists the settings"
            yield warning("settings", f"{name} is set, but there is no such setting", action)
    yield ok("settings", ", ".join(name for name in set_here if name not in unknown) or "all have defaults")


def address(place: Place) -> Iterator[Finding]:
    """Whether a service answers at the host and port of the settings."""
    host, port = place.settings.host, place.settings.port
    at = f"{host}:{port}"
    if port == 0:
        yield ok("address", "the service takes a free port when it starts")
        return
    try:
        answered = health(place.settings)
    except ConnectionRefusedError:
        yield warning("address", f"no service answers at {at}", "netwright serve")
    except socket.gaierror:
        yield error("address", f"NETWRIGHT_HOST={host} is no address of this machine", "correct it")
    except (OSError, ValueError) as fault:
        yield error("address", _other_program(at, str(fault)), "stop that, or set another NETWRIGHT_PORT")
    else:
        if answered is None:
            yield error("address", _other_program(at, ""), "stop that, or set another NETWRIGHT_PORT")
        else:
            yield ok("address", f"the service answers at {at}, version {answered}")


def _other_program(at: str, reason: str) -> str:
    return f"what answers at {at} is not Netwright" + (f": {reason}" if reason else "")


def health(settings: Settings) -> str | None:
    """The version that the service of these settings answers with; None where another program answers.

    Raises:
        OSError, ValueError: nothing answers, or not in HTTP and JSON.
    """
    host = "127.0.0.1" if settings.host in EVERY_ADDRESS else settings.host
    connection = http.client.HTTPConnection(host, settings.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/healthz", headers={"Host": f"127.0.0.1:{settings.port}"})
        response = connection.getresponse()
        body = json.loads(response.read())
    except http.client.HTTPException as error:
        raise ValueError(f"no answer in HTTP: {error}") from error
    finally:
        connection.close()
    version = body.get("version") if isinstance(body, dict) else None
    return str(version) if version is not None else None


def access(place: Place) -> Iterator[Finding]:
    """Whether others can reach the service, and whether they need a key."""
    assert place.database is not None
    settings = place.settings
    with place.database.read() as session:
        keys = any_key(session)
    private = is_loopback(settings.host)
    if not keys and (not private or ANY in settings.allowed_hosts):
        yield error(
            "access",
            f"NETWRIGHT_HOST={settings.host} and there is no key: the service does not start",
            "netwright keys create me --scope admin",
        )
    elif not keys:
        yield ok("access", "this machine only, without a key")
    else:
        names = ", ".join(settings.host_names) or "loopback names only"
        yield ok("access", f"every request needs a key; host names besides the loopback ones: {names}")
    if keys and private:
        yield ok(
            "access",
            f"the service listens on {settings.host} only: other machines need NETWRIGHT_HOST=0.0.0.0",
        )
