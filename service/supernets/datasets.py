"""Which data sets requests and manifests may name, and whether their files are on this machine."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from service.errors import InvalidError
from service.http import import_folder
from service.settings import Settings
from supernets.errors import DataError, UnknownNameError

WITH_PATH = ("folder", "parquet", "stream")


def allowed_data(settings: Settings, name: str, field: str) -> str:
    """A data set's name that this service may read, its path absolute.

    A path must lie inside the import folder; it may be absolute where it was recorded by a training here.

    Raises:
        InvalidError: names ``field``.
    """
    kind, colon, path = name.partition(":")
    if colon and kind in WITH_PATH:
        relative = _below(settings.import_dir, path)
        return f"{kind}:{import_folder.check_tree(settings.import_dir, relative, field)}"
    if (colon and kind != "hub") or name in ("", "..") or Path(name).name != name or "\0" in name:
        rule = "the name of a data set, folder:PATH, parquet:PATH, stream:PATH or hub:NAME"
        raise InvalidError(field, name, rule)
    return name


def _below(folder: Path | None, path: str) -> str:
    """An absolute path inside the import folder, as one relative to it; any other as it is."""
    root = folder.resolve() if folder is not None else None
    if root is not None and Path(path).is_absolute() and Path(path).is_relative_to(root):
        return str(Path(path).relative_to(root))
    return path


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
