"""SQLite databases that were migrated on this machine, so that an absent one is not mistaken for a wrong folder."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine import make_url

KEPT = 10


def path_of(url: str) -> Path | None:
    """The file of a SQLite database; None for another database, or one in memory."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database).resolve()


def remember(path: Path) -> None:
    """Note a database as used; a folder that cannot be written is no error."""
    record = _record()
    paths = [path, *(other for other in _read(record) if other != path)]
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text("".join(f"{each}\n" for each in paths[:KEPT]))
    except OSError:
        return


def used_elsewhere(path: Path) -> list[Path]:
    """Other databases that were used and still exist, the last one first."""
    return [other for other in _read(_record()) if other != path and other.exists()]


def _record() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "netwright" / "databases"


def _read(record: Path) -> list[Path]:
    try:
        return [Path(line) for line in record.read_text().splitlines() if line]
    except (OSError, UnicodeDecodeError):
        return []
