"""The agent's folder: networks while they are measured, and rows until the server has stored them."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from netwright.client.http.models import Object
from netwright.errors import NetwrightError

NAMES = 9


class Folder:
    """The folder of one agent; its contents survive restarts of the agent."""

    def __init__(self, path: Path, name: str, lock: IO[str] | None) -> None:
        self.path, self.name, self._lock = path, name, lock
        self.nets, self._rows = path / "nets", path / "rows"
        for folder in (self.nets, self._rows):
            folder.mkdir(parents=True, exist_ok=True)

    def keep(self, lease: str, body: Mapping[str, object]) -> None:
        """Write rows to disk atomically, before they are sent to the server."""
        partial = self._rows / f".{lease}.partial"
        with partial.open("w") as file:
            json.dump(body, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._rows / f"{lease}.json")

    def kept(self) -> Iterator[tuple[str, Object]]:
        """Rows that the server has not confirmed, per lease."""
        for path in sorted(self._rows.glob("*.json")):
            yield path.stem, json.loads(path.read_text())

    def drop(self, lease: str) -> None:
        """Delete the rows of a lease that the server has stored or refused."""
        (self._rows / f"{lease}.json").unlink(missing_ok=True)

    def tidy(self) -> None:
        """Delete all networks."""
        for path in self.nets.iterdir():
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the folder for other agents."""
        if self._lock is not None:
            self._lock.close()


def open_folder(work: Path, target: str, name: str | None, host: str) -> Folder:
    """A folder that no other running agent uses; without a name, the next free one of this machine.

    Raises:
        NetwrightError: an agent of this name is running, or all names are in use.
    """
    names = [name] if name else [host, *(f"{host}-{number}" for number in range(2, NAMES + 1))]
    for candidate in names:
        path = work / target / candidate
        path.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(BlockingIOError):
            return Folder(path, candidate, _lock(path / "lock"))
    raise NetwrightError(
        f"an agent called {names[-1]!r} of target {target!r} is running on this machine; give another --name"
    )


def _lock(path: Path) -> IO[str] | None:
    if sys.platform == "win32":
        return None
    import fcntl

    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise
    return file
