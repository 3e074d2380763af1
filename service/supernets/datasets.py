"""Whether the images that a job needs are on this machine, before the job is started."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from service.errors import InvalidError
from service.settings import Settings
from supernets.errors import DataError, UnknownNameError


def require_data(field: str, name: str, settings: Settings) -> None:
    """Refuse a data set that is unknown or not there; the message says how to get it.

    The hub is not asked here: whether it answers is known when the job loads the data.
    """
    try:
        _check(name, settings.data)
    except (DataError, UnknownNameError) as error:
        allowed = "a data set that is here (the detail says how to get it)"
        raise InvalidError(field, name, allowed, f"{field}: {error}") from error


@lru_cache(maxsize=64)
def _check(name: str, folder: Path | None) -> None:
    """Remembers only what is there: an error is looked at anew each time."""
    from supernets.data import check_data

    check_data(name, folder)
