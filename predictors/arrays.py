"""The arrays of a saved predictor: named, of checked types, read without pickles."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from predictors.errors import PredictorFileError

MAX_BYTES = 256 * 2**20

Array = NDArray[np.generic]


class Arrays(Mapping[str, Array]):
    """Arrays by name.

    The methods that read one by its type raise ``PredictorFileError`` if it has another type or is missing.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def names(self) -> str:
        """The first names, for messages."""
        return ", ".join(sorted(self._arrays)[:8]) or "nothing"

    def floats(self, name: str) -> NDArray[np.float64]:
        """An array of floats or integers, as floats."""
        return np.asarray(self._of_kind(name, "fiu", "numbers"), dtype=np.float64)

    def numbers(self, name: str) -> list[float]:
        """A vector of floats ``(n,)`` as Python numbers."""
        return [float(value) for value in self.floats(name)]

    def integers(self, name: str) -> NDArray[np.int64]:
        """An array of integers."""
        return np.asarray(self._of_kind(name, "iu", "integers"), dtype=np.int64)

    def content(self, name: str) -> bytes:
        """Bytes that are stored as an array of ``uint8``."""
        return self._of_kind(name, "u", "bytes").tobytes()

    def texts(self, name: str) -> list[str]:
        """A vector of texts ``(n,)``."""
        return [str(text) for text in self._of_kind(name, "U", "texts")]

    def below(self, prefix: str) -> Arrays:
        """The arrays whose names begin with ``prefix``, without it."""
        return Arrays({k.removeprefix(prefix): v for k, v in self._arrays.items() if k.startswith(prefix)})

    def _of_kind(self, name: str, kinds: str, expected: str) -> Array:
        array = self._arrays.get(name)
        if array is None:
            raise PredictorFileError(f"a saved predictor must hold the array {name!r}, got {self.names()}")
        if array.dtype.kind not in kinds:
            raise PredictorFileError(f"array {name!r} must hold {expected}, got {array.dtype}")
        return array


def stored(content: bytes) -> NDArray[np.uint8]:
    """Bytes as an array that :meth:`Arrays.content` reads back."""
    return np.frombuffer(content, dtype=np.uint8)


def read_arrays(data: bytes) -> Arrays:
    """The arrays of an npz file, without pickles; raises :class:`PredictorFileError`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise PredictorFileError(f"a saved predictor may hold at most {MAX_BYTES} bytes, got {size}")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return Arrays({key: archive[key] for key in archive.files})
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, PredictorFileError):
            raise
        raise PredictorFileError(f"not a saved predictor, or a truncated one: {error}") from error
