"""Files of ``torch.save`` from elsewhere: read without running code, and in no more memory than the file suggests."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from supernets.errors import CheckpointError

MOST_REPEATS = 4
"""Tensors may share their values, as tied weights do; all together are at most this many times as large as the file."""

ARCHIVE, PICKLE = b"PK", b"\x80"
"""How a file begins that torch saves now, and one of before version 1.6."""
INCOMPLETE = "the download is incomplete, or it is no torch file"


class UnsafeFileError(CheckpointError):
    """A file holds other objects than tensors, numbers, text and collections of these."""


def read_torch(path: Path) -> object:
    """What a file of ``torch.save`` holds; see :func:`require_small` for the tensors in it.

    Raises:
        UnsafeFileError: objects that could run code.
        CheckpointError: no such file, a truncated or damaged one, or one that is larger when it is unpacked.
    """
    with path.open("rb") as file:
        start = file.read(len(ARCHIVE))
    if start != ARCHIVE and start[:1] != PICKLE:
        raise CheckpointError(
            "it does not begin as a file that torch saves; it may be a page or another format"
        )
    _require_unpacked(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols; what is loaded is checked
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        if "truncated" in reason or "ran out" in reason.lower():
            raise CheckpointError(INCOMPLETE) from error
        raise UnsafeFileError(f"it must hold tensors alone, but: {reason}") from error
    except Exception as error:  # a damaged pickle can raise anything, also a MemoryError
        raise CheckpointError(INCOMPLETE) from error


def require_small(tensors: Iterable[Tensor], path: Path) -> None:
    """Refuse tensors that would take far more memory than their file once each has its own values.

    A file of a kilobyte can hold one number that a tensor of 10^12 numbers repeats.
    """
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    size = path.stat().st_size
    if total > MOST_REPEATS * size:
        raise CheckpointError(
            f"its tensors may take at most {MOST_REPEATS} times the {size:,} bytes of the file, got {total:,} bytes"
        )


def _require_unpacked(path: Path) -> None:
    """Archives store their entries as they are; packed or overlapping ones can grow a thousandfold."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CheckpointError(INCOMPLETE) from error
    size = path.stat().st_size
    if total > size:
        raise CheckpointError(
            f"its entries must be stored without compression: they take {total:,} bytes in a file of {size:,}"
        )
    with zipfile.ZipFile(path) as archive:
        try:
            damaged = archive.testzip()  # torch does not look at checksums
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise CheckpointError(INCOMPLETE) from error
    if damaged is not None:
        raise CheckpointError(f"it is damaged: the checksum of {damaged!r} is wrong")
