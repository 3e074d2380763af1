"""Names under which a service may be addressed."""

from __future__ import annotations

import socket
from collections.abc import Sequence

ANY = "*"
EVERY_ADDRESS = ("0.0.0.0", "::")


def names_of(host: str) -> list[str]:
    """Names and addresses that reach a service which listens on ``host``, as far as this machine can resolve them."""
    if host not in EVERY_ADDRESS:
        return [_bracketed(host)]
    own = socket.gethostname()
    names = {own, own.partition(".")[0], f"{own.partition('.')[0]}.local", socket.getfqdn()}
    try:
        names |= {str(entry[4][0]) for entry in socket.getaddrinfo(own, None)}
    except OSError:  # a machine that does not know its own name
        pass
    return sorted({_bracketed(name.lower()) for name in names if name and name not in EVERY_ADDRESS})


def is_allowed(name: str | None, allowed: Sequence[str]) -> bool:
    """Whether a request may be addressed to this name."""
    return name is not None and (ANY in allowed or name in allowed)


def _bracketed(address: str) -> str:
    address = address.partition("%")[0]
    return f"[{address}]" if ":" in address and not address.startswith("[") else address
