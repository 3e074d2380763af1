"""Files by the hash of their content, in one folder or bucket."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from service.db.queries import find, insert_new
from service.db.tables import Artifact
from service.errors import ArtifactError, NotFoundError, StorageFullError, UnavailableError
from service.ids import new_id
from service.settings import without_password

CHUNK = 1 << 20
FULL_BELOW, NEARLY_FULL_BELOW = 10e6, 200e6
"""Bytes of room on a disk below which nothing, or soon nothing, can be written."""
HASH = re.compile("[0-9a-f]{64}")


@contextmanager
def full_disk_named() -> Iterator[None]:
    """Raise :class:`StorageFullError` where the disk, or the user's share of it, is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageFullError(f"the disk is full: {error.strerror}") from error


class ArtifactStore:
    """A content-addressed store on any fsspec URL.

    Promises: what is stored never changes; a reader sees a whole file or none; what is read has the hash
    of its name, or :class:`ArtifactError` is raised before its end; storing twice stores once, and repairs a damaged
    file.
    """

    def __init__(self, url: str) -> None:
        """Raises :class:`UnavailableError` for a URL of no known kind, or of one whose package is not installed."""
        self._files: Any
        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise UnavailableError(
                f"artifacts cannot be stored at NETWRIGHT_ARTIFACTS_URL={without_password(url)}: {error}"
            ) from error
        self._root = str(root).rstrip("/")
        protocol = self._files.protocol
        self._local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def _path(self, sha256: str) -> str:
        if not HASH.fullmatch(sha256):
            raise ArtifactError(f"an artifact is named by 64 lower-case hex digits, got {sha256!r}")
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def put(self, content: bytes) -> str:
        """Store bytes; returns their SHA-256."""
        sha256 = hashlib.sha256(content).hexdigest()
        self._store(sha256, iter([content]))
        return sha256

    def put_chunks(self, sha256: str, chunks: Iterator[bytes]) -> None:
        """Store content that is known to have this hash."""
        self._store(sha256, chunks)

    def put_file(self, path: Path) -> tuple[str, int]:
        """Store a file; returns its SHA-256 and size in bytes."""
        sha256 = hash_file(path)
        with path.open("rb") as file:
            self._store(sha256, iter(lambda: file.read(CHUNK), b""))
        return sha256, path.stat().st_size

    def _store(self, sha256: str, chunks: Iterator[bytes]) -> None:
        final = self._path(sha256)
        if self.is_whole(sha256):
            if self._local:
                os.utime(final)  # it is needed again: retention must not count it as old
            return
        if self._files.exists(final) and not self._files.isfile(final):
            raise ArtifactError(
                f"artifact {sha256} cannot be stored: what has its name is no file; remove it"
            )
        folder = final.rpartition("/")[0]
        self._files.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/.{new_id('tmp')}"
        try:
            with full_disk_named(), self._files.open(temporary, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                if self._local:
                    os.fsync(file.fileno())
            self._files.mv(temporary, final)
        finally:
            if self._files.exists(temporary):
                self._files.rm(temporary)
        if self._local:
            _sync_folder(folder)

    def is_whole(self, sha256: str) -> bool:
        """Whether an artifact is there and has its hash; reads all of it."""
        path = self._path(sha256)
        if not self._files.isfile(path):  # opening a FIFO would block
            return False
        try:
            with self._files.open(path, "rb") as file:
                return _hash(iter(lambda: file.read(CHUNK), b"")) == sha256
        except FileNotFoundError:
            return False

    def size(self, sha256: str) -> int:
        """Bytes of an artifact; raises :class:`ArtifactError` when it is gone."""
        path = self._path(sha256)
        if not self._files.isfile(path):
            raise ArtifactError(f"artifact {sha256} is no longer in the store")
        return int(self._files.size(path))

    def read(self, sha256: str) -> bytes:
        """The whole content, its hash checked."""
        path = self._path(sha256)
        self.size(sha256)
        content: bytes = self._files.cat_file(path)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ArtifactError(f"artifact {sha256} is damaged: its content has another hash")
        return content

    def stream(self, sha256: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes ``[start, stop)`` in chunks; the whole file is hashed before the first one is handed out."""
        path = self._path(sha256)
        stop = self.size(sha256) if stop is None else stop
        with self._files.open(path, "rb") as file:
            if _hash(iter(lambda: file.read(CHUNK), b"")) != sha256:
                raise ArtifactError(f"artifact {sha256} is damaged: its content has another hash")
            file.seek(start)
            left = stop - start
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk

    def probe(self) -> None:
        """Write a small file, read it and remove it; raises whatever the store raises."""
        self._files.makedirs(self._root, exist_ok=True)
        path, content = f"{self._root}/.{new_id('tmp')}", b"netwright"
        try:
            self._files.pipe_file(path, content)
            if self._files.cat_file(path) != content:
                raise ArtifactError(f"{self._root} does not return what was written to it")
        finally:
            if self._files.exists(path):
                self._files.rm(path)

    def hashes(self) -> list[str]:
        """The SHA-256 of every artifact that is there, in order."""
        if not self._files.exists(self._root):
            return []
        names = {str(path).rpartition("/")[2] for path in self._files.find(self._root)}
        return sorted(name for name in names if HASH.fullmatch(name))

    def modified(self, sha256: str) -> datetime | None:
        """When the file of an artifact was written, if the store has such times."""
        try:
            moment: datetime = self._files.modified(self._path(sha256))
        except (NotImplementedError, FileNotFoundError):
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def delete(self, sha256: str) -> None:
        """Delete the file of an artifact, if it is there."""
        with suppress(FileNotFoundError):
            self._files.rm(self._path(sha256))

    def fetch(self, sha256: str, path: Path) -> Path:
        """Put an artifact at ``path`` unless a file with its hash is there already."""
        if path.exists() and hash_file(path) == sha256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{new_id('tmp')}")
        with temporary.open("wb") as file:
            for chunk in self.stream(sha256):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return path


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return _hash(iter(lambda: file.read(CHUNK), b""))


def _hash(chunks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def own_artifact(session: Session, project: str, sha256: str, size: int, media_type: str, name: str) -> None:
    """Let the project read a file of the store."""
    row = {"id": new_id("art"), "project_id": project, "sha256": sha256, "bytes": size}
    insert_new(session, Artifact, [{**row, "media_type": media_type, "name": name}])
    session.execute(
        sa.update(Artifact)
        .where(Artifact.project_id == project, Artifact.sha256 == sha256, Artifact.unused_since.is_not(None))
        .values(unused_since=None)
    )


def artifact_by_hash(session: Session, project: str, sha256: str) -> Artifact:
    """The project's artifact with this hash; raises :class:`NotFoundError`."""
    row = find(session, project, Artifact, sha256=sha256)
    if row is None:
        raise NotFoundError("artifact", sha256)
    return row
