"""Where streamed images lie: groups of rows that are read one at a time, with all labels known beforehand."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernets.data.hub import HubSource
from supernets.data.parquet import columns_of, encoded_images, labels_of, names_of
from supernets.errors import DataError

MAX_GROUP_BYTES = 1 << 30
"""The largest row group that is read as a whole."""


class Shards(ABC):
    """Rows of encoded images in groups; group ``g`` holds ``rows[g]`` rows.

    Promises: the order of groups and rows never changes; ``read`` gives the same bytes each time and keeps
    nothing; ``labels`` and ``sha256`` cost no image.
    """

    rows: tuple[int, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    sha256: str

    @abstractmethod
    def read(self, group: int) -> list[bytes]:
        """The encoded images of all rows of a group."""

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Row number at which each group begins, and after them the number of all rows."""
        return np.concatenate([[0], np.cumsum(self.rows)]).astype(np.int64)


class ParquetShards(Shards):
    """Parquet files, in order of their names; a group is a row group of a file.

    ``sha256`` covers every file's size and footer (which says where each page lies) and all labels, not the
    pixels: hashing those would read everything at each start.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        digest = hashlib.sha256()
        values: list[Any] = []
        rows: list[int] = []
        names: tuple[str, ...] = ()
        self._groups: list[tuple[Path, int]] = []
        self.image_column = ""
        for path in files:
            try:
                file = pq.ParquetFile(path)
                self.image_column, label = columns_of(file.schema_arrow, path.name)
                names = names_of(file.schema_arrow, label)
                values += file.read(columns=[label])[label].to_pylist()
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(
                    f"{path.name} must be a parquet file that can be read, but: {error}"
                ) from error
            digest.update(_footer(path))
            for index in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(index)
                if group.total_byte_size > MAX_GROUP_BYTES:
                    raise DataError(
                        f"a row group may take {MAX_GROUP_BYTES:,} bytes, but number {index} of {path.name} takes "
                        f"{group.total_byte_size:,}; write the file with smaller ones (row_group_size=1000)"
                    )
                self._groups.append((path, index))
                rows.append(group.num_rows)
        self.rows = tuple(rows)
        self.labels, self.classes = labels_of(values, names, files[0].parent.name)
        digest.update(self.labels.astype("<i8").tobytes())
        self.sha256 = digest.hexdigest()

    def read(self, group: int) -> list[bytes]:
        """The encoded images of a row group."""
        import pyarrow.parquet as pq

        path, index = self._groups[group]
        with pq.ParquetFile(path) as file:
            table = file.read_row_group(index, columns=[self.image_column])
        return encoded_images(table[self.image_column].to_pylist(), self.image_column, path.name)


def _footer(path: Path) -> bytes:
    """Size and footer of a parquet file; the four bytes before the closing mark are the footer's length."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(size - 8)
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, size - 8 - length))
        return size.to_bytes(8, "little") + file.read(length)


class HubShards(Shards):
    """A split of a data set on the Hugging Face hub, streamed; a group is one of its files.

    The labels are read once, without images. ``sha256`` covers them and the number of rows of each file.
    """

    def __init__(self, source: HubSource, split: str) -> None:
        import datasets

        stream = datasets.load_dataset(source.repository, split=split, streaming=True)
        feature = (stream.features or {}).get(source.label)
        names = tuple(getattr(feature, "names", None) or ())
        plain = stream.cast_column(source.image, datasets.Image(decode=False))
        self._parts = [plain.shard(stream.num_shards, index) for index in range(stream.num_shards)]
        self._image, self._source = source.image, source
        values: list[Any] = []
        rows = []
        for part in self._parts:
            found = [row[source.label] for row in part.select_columns([source.label])]
            rows.append(len(found))
            values += found
        self.rows = tuple(rows)
        self.labels, self.classes = labels_of(values, names, source.repository)
        digest = hashlib.sha256(repr((source.repository, split, self.rows)).encode())
        digest.update(self.labels.astype("<i8").tobytes())
        self.sha256 = digest.hexdigest()

    def read(self, group: int) -> list[bytes]:
        """The encoded images of a file."""
        cells = [row[self._image] for row in self._parts[group].select_columns([self._image])]
        return encoded_images(cells, self._image, self._source.repository)
