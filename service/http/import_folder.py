"""Files below ``NETWRIGHT_IMPORT_DIR``: every file that a request names is opened here.

A path is opened one component at a time, relative to the folder opened before it, and never through a symbolic
link. What is opened is checked after it was opened, so replacing a file between the check and the use changes
nothing. Only regular files with a single name are read: a hard link could be a file from outside the folder, and
opening a FIFO or a device could block.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from service.errors import InvalidError

MAX_PATH = 1000  # characters
MAX_PARTS = 32
MAX_ENTRIES = 5_000_000
CHUNK = 1 << 20
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

INSIDE = "a path relative to NETWRIGHT_IMPORT_DIR and inside it"
EXISTING = "a path that exists in NETWRIGHT_IMPORT_DIR"
NO_LINK = "a path without symbolic links: nothing is followed out of NETWRIGHT_IMPORT_DIR"
REGULAR = "a regular file: no folder, link, FIFO, socket or device"
ONE_NAME = "a file with a single name: hard links are not read, copy the file instead"


@contextmanager
def open_file(root: Path | None, path: str, field: str, max_bytes: int) -> Iterator[BinaryIO]:
    """A regular file below ``root``, open for reading in binary.

    Raises:
        InvalidError: names ``field``, for a path outside ``root``, a missing file, a link in any component, anything
            that is no regular file, and more than ``max_bytes`` bytes.
    """
    *folders, name = _parts(root, path, field) or ["."]
    handle = _open_folder(root, folders, path, field)
    try:
        file = _open_regular(handle, name, path, field, max_bytes)
    finally:
        os.close(handle)
    with os.fdopen(file, "rb") as opened:
        yield opened


def read_file(root: Path | None, path: str, field: str, max_bytes: int) -> bytes:
    """The content of a regular file below ``root``; raises like :func:`open_file`."""
    with open_file(root, path, field, max_bytes) as file:
        return _at_most(file.read(max_bytes + 1), path, field, max_bytes)


def copy_file(root: Path | None, path: str, field: str, max_bytes: int, to: Path) -> None:
    """Copy a regular file below ``root`` to ``to``; raises like :func:`open_file`."""
    copied = 0
    with open_file(root, path, field, max_bytes) as file, to.open("xb") as copy:
        while chunk := file.read(CHUNK):
            copied += len(chunk)
            if copied > max_bytes:
                raise InvalidError(field, path, f"a file of at most {max_bytes} bytes")
            copy.write(chunk)


def list_folder(root: Path | None, path: str, field: str) -> list[str]:
    """Names in a folder below ``root``; raises like :func:`open_file`."""
    handle = _open_folder(root, _parts(root, path, field), path, field)
    try:
        return sorted(os.listdir(handle))
    finally:
        os.close(handle)


def check_tree(root: Path | None, path: str, field: str, *, max_entries: int = MAX_ENTRIES) -> Path:
    """The absolute path of a file or folder below ``root`` that holds only folders and regular files of one name.

    For libraries that open the files themselves, by name.

    Raises:
        InvalidError: like :func:`open_file`, for everything below a folder too; and for more than ``max_entries``.
    """
    parts = _parts(root, path, field)
    *folders, name = parts or [""]
    handle = _open_folder(root, folders, path, field)
    try:
        if name:
            _check_entry(os.stat(name, dir_fd=handle, follow_symlinks=False), path, field)
    except OSError as error:
        raise _refused(error, path, field) from error
    finally:
        os.close(handle)
    assert root is not None
    found = root.resolve().joinpath(*parts)
    if found.is_dir():
        _walk(found, path, field, max_entries)
    return found


def _walk(folder: Path, path: str, field: str, max_entries: int) -> None:
    """Refuse links and special files; the walk itself follows no link, so it cannot loop."""
    seen, waiting = 0, [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen > max_entries:
                        raise InvalidError(field, path, f"a folder of at most {max_entries} files")
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif not _is_own_file(entry.stat(follow_symlinks=False)):
                        inner = os.path.relpath(entry.path, folder)
                        rule = "a folder of regular files with a single name: no links, FIFOs, sockets or devices"
                        raise InvalidError(
                            field, path, rule, f"{field}: {path!r} must be {rule}, got {inner!r}"
                        )
        except OSError as error:
            raise _refused(error, path, field) from error


def _parts(root: Path | None, path: str, field: str) -> list[str]:
    """The components of a relative path; empty for the folder itself."""
    if root is None:
        raise InvalidError(field, path, "absent: this server has no NETWRIGHT_IMPORT_DIR")
    pure = PurePosixPath(path)
    parts = list(pure.parts)
    if len(path) > MAX_PATH or len(parts) > MAX_PARTS:
        rule = f"a path of at most {MAX_PATH} characters and {MAX_PARTS} folders"
        raise InvalidError(field, f"{path[:80]}…", rule)
    if "\0" in path or pure.is_absolute() or ".." in parts:
        raise InvalidError(field, path, INSIDE)
    return parts


def _open_folder(root: Path | None, folders: list[str], path: str, field: str) -> int:
    """A handle on a folder below ``root``; ``root`` itself may be a link, the operator chose it."""
    assert root is not None
    handle = -1
    try:
        handle = os.open(root, FOLDER & ~os.O_NOFOLLOW)
        for name in folders:
            inner = os.open(name, FOLDER, dir_fd=handle)
            os.close(handle)
            handle = inner
    except (OSError, ValueError) as error:
        if handle >= 0:
            os.close(handle)
        raise _refused(error, path, field) from error
    return handle


def _open_regular(handle: int, name: str, path: str, field: str, max_bytes: int) -> int:
    """A handle on a regular file. Its kind is checked before it is opened, and again on what was opened."""
    file = -1
    try:
        _check_regular(os.stat(name, dir_fd=handle, follow_symlinks=False), path, field, max_bytes)
        file = os.open(name, FILE, dir_fd=handle)
        _check_regular(os.fstat(file), path, field, max_bytes)
    except InvalidError:
        if file >= 0:
            os.close(file)
        raise
    except (OSError, ValueError) as error:
        raise _refused(error, path, field) from error
    return file


def _check_regular(found: os.stat_result, path: str, field: str, max_bytes: int) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise InvalidError(field, path, NO_LINK)
    if not stat.S_ISREG(found.st_mode):
        raise InvalidError(field, path, REGULAR)
    if found.st_nlink != 1:
        raise InvalidError(field, path, ONE_NAME)
    if found.st_size > max_bytes:
        raise InvalidError(field, path, f"a file of at most {max_bytes} bytes, this has {found.st_size}")


def _check_entry(found: os.stat_result, path: str, field: str) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise InvalidError(field, path, NO_LINK)
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise InvalidError(field, path, "a folder or a regular file: no FIFO, socket or device")
    if stat.S_ISREG(found.st_mode) and not _is_own_file(found):
        raise InvalidError(field, path, ONE_NAME)


def _is_own_file(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _at_most(content: bytes, path: str, field: str, max_bytes: int) -> bytes:
    if len(content) > max_bytes:
        raise InvalidError(field, path, f"a file of at most {max_bytes} bytes")
    return content


def _refused(error: OSError | ValueError, path: str, field: str) -> InvalidError:
    """The rule behind what the system refused; never its own words, which may hold paths of the server."""
    code = error.errno if isinstance(error, OSError) else None
    rules = {
        errno.ENOENT: EXISTING,
        errno.ELOOP: NO_LINK,
        errno.ENOTDIR: "a path whose folders are folders: no links, no files",
        errno.ENAMETOOLONG: "a path whose names have at most 255 bytes",
        errno.EACCES: "a path that the server may read",
        errno.ENXIO: REGULAR,
    }
    return InvalidError(field, path, rules.get(code or 0, "a file or folder that the server can read"))
