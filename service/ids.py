"""Random ids that begin with the kind of resource."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 16
DEFAULT_PROJECT = "prj_default"


def new_id(prefix: str) -> str:
    """A fresh id such as ``sea_4k2…``: 80 random bits, no letters that look like digits."""
    return f"{prefix}_{''.join(secrets.choice(ALPHABET) for _ in range(LENGTH))}"
