"""Arrays of npz files, their sizes checked before anything is unpacked. Never a pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from supernets.errors import DataError


def read_arrays(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.uint8]]:
    """Integer arrays of bytes from an npz file.

    Args:
        path: the file.
        shapes: name to the largest number of rows, and the exact size of the other dimensions.

    Raises:
        DataError: a name is missing, or an array has another type or shape, or more bytes than the file has.
    """
    rule = f"{path.name} must hold {', '.join(shapes)} as plain arrays of bytes"
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name, limits in shapes.items():
                found[name] = _read(archive, f"{name}.npy", limits, rule)
    except DataError:
        raise
    except (KeyError, ValueError, TypeError, OSError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise DataError(f"{rule}, but: {error}", "unreadable_file") from error
    return found


def _read(archive: zipfile.ZipFile, name: str, limits: tuple[int, ...], rule: str) -> NDArray[np.uint8]:
    entry = archive.getinfo(name)
    with archive.open(entry) as file:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = header(file)
    fits = len(shape) == len(limits) and shape[1:] == limits[1:] and 0 <= shape[0] <= limits[0]
    if kind.kind not in "iu" or not fits or (len(limits) > 1 and kind != np.uint8):
        raise DataError(f"{rule}, but {name} has type {kind} and shape {shape}", "unreadable_file")
    if int(np.prod(shape)) * kind.itemsize > entry.file_size:
        raise DataError(f"{rule}, but {name} is shorter than its shape {shape}", "unreadable_file")
    with archive.open(entry) as file:
        return npy.read_array(file, allow_pickle=False)
