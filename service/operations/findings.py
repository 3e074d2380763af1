"""What a check of ``netwright doctor`` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.db.session import Database
from service.settings import Settings

Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence on the state of one thing; ``action`` is what to do about it."""

    check: str
    status: Status
    message: str
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The installation that is checked; ``database`` is None where it cannot be opened."""

    settings: Settings
    database: Database | None


def ok(check: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(check, "ok", message)


def warning(check: str, message: str, action: str) -> Finding:
    """It works, but not as it probably should."""
    return Finding(check, "warning", message, action)


def error(check: str, message: str, action: str) -> Finding:
    """It does not work."""
    return Finding(check, "error", message, action)
