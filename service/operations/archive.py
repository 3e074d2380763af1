"""The file of a backup: a ZIP with the rows of each table, the artifacts, and a manifest with the hash of everything.

::

    manifest.json            versions; for each table its columns, rows, bytes and SHA-256; the artifacts' sizes
    database/jobs.jsonl      a row a line, a list in the order of the columns
    artifacts/<SHA-256>      as in the store
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from service.artifacts import CHUNK, full_disk_named
from service.errors import InvalidError, ServiceError

FORMAT = 1
MANIFEST = "manifest.json"
OnStep = Callable[[str, int, int], None]


class BackupError(ServiceError):
    """A file that is no backup, or not as it was written."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableEntry(_Record):
    """A table of a backup: its columns, and what its lines are."""

    name: str
    columns: list[str]
    rows: int
    bytes: int
    sha256: str

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return table_member(self.name)


class Manifest(_Record):
    """What a backup holds; ``schema_version`` is the revision of the database, ``artifacts`` maps hash to bytes."""

    format: int = FORMAT
    netwright: str
    schema_version: str
    database: str
    created_at: datetime
    tables: list[TableEntry]
    artifacts: dict[str, int]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def artifact_bytes(self) -> int:
        """Bytes of all artifacts."""
        return sum(self.artifacts.values())


def table_member(name: str) -> str:
    """The name of a table's lines in the archive."""
    return f"database/{name}.jsonl"


def artifact_member(sha256: str) -> str:
    """The name of an artifact in the archive."""
    return f"artifacts/{sha256}"


@contextmanager
def new_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive to write; it appears at ``path`` when the block has ended without an error.

    Raises:
        InvalidError: there is such a file already.
        StorageFullError: the disk is full.
    """
    if path.exists():
        raise InvalidError("FILE", str(path), "a file that does not exist yet")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with full_disk_named(), open(partial, "xb", opener=_private) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename, it never replaces a file that was written meanwhile
    finally:
        partial.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    """Backups hold the hashes of keys: only their owner may read them."""
    return os.open(path, flags, 0o600)


class HashedMember:
    """A member that is being written, with its length and hash."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self.bytes = 0

    def write(self, content: bytes) -> None:
        """Append."""
        self._file.write(content)
        self._digest.update(content)
        self.bytes += len(content)

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._digest.hexdigest()


@contextmanager
def new_member(archive: zipfile.ZipFile, name: str, *, compress: bool) -> Iterator[HashedMember]:
    """A member to write to."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with archive.open(info, "w", force_zip64=True) as file:
        yield HashedMember(file)


@contextmanager
def open_archive(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """An archive and its manifest; raises :class:`BackupError` where it is no backup of a known format."""
    if not path.is_file():
        raise BackupError(f"there is no file {path}")
    with contextlib.ExitStack() as stack:
        with _readable(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            try:
                manifest = Manifest.model_validate_json(archive.read(MANIFEST))
            except (KeyError, ValidationError) as error:
                raise BackupError(
                    f"{path} is no backup of Netwright: it has no {MANIFEST} of format {FORMAT}"
                ) from error
        if manifest.format != FORMAT:
            raise BackupError(
                f"{path} has format {manifest.format}, this version of Netwright reads {FORMAT}"
            )
        yield archive, manifest


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise :class:`BackupError` for a file that is truncated or was changed."""
    try:
        yield
    except OSError as error:
        if error.errno not in (
            None,
            errno.EINVAL,
        ):  # of a decompressor; of a seek to where a changed header points
            raise
        raise _damaged(path, error) from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        RuntimeError,
        ValueError,
    ) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> BackupError:
    return BackupError(f"{path} is no backup, truncated or changed: {error}")


def verify(path: Path, on_step: OnStep) -> Manifest:
    """Read all of an archive against its manifest, and return that; writes nothing.

    Raises:
        BackupError: the file is no backup, truncated or changed.
    """
    with open_archive(path) as (archive, manifest), _readable(path):
        expected = {table.member: (table.bytes, table.sha256) for table in manifest.tables}
        expected |= {artifact_member(sha): (size, sha) for sha, size in manifest.artifacts.items()}
        if sorted(archive.namelist()) != sorted([*expected, MANIFEST]):
            raise BackupError(f"{path} was changed: it does not hold the members that its manifest lists")
        total = sum(size for size, _ in expected.values())
        done = 0
        for name, stated in expected.items():
            digest, size = hashlib.sha256(), 0
            for chunk in chunks_of(archive, name):
                digest.update(chunk)
                size += len(chunk)
                on_step("verify bytes", min(done + size, total), total)
            if (size, digest.hexdigest()) != stated:
                raise BackupError(f"{path} was changed: {name} has another length or hash than it had")
            done += size
        return manifest


def chunks_of(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """The content of a member."""
    with archive.open(name) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def lines_of(archive: zipfile.ZipFile, name: str) -> Iterable[bytes]:
    """The lines of a member."""
    with archive.open(name) as file:
        yield from file
