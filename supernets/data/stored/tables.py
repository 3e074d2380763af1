"""Parquet files with an image and a label column, as the Hugging Face hub writes them, read in bounded pieces."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from supernets.data.stored.examples import Cell, Found
from supernets.data.stored.labels import LabelColumn, combine, label_kind
from supernets.data.stored.names import is_hidden, is_system, split_of_path
from supernets.data.stored.shards import MAX_GROUP_BYTES, Shards
from supernets.data_facts.parquet_bounds import rows_at_once, unpacked_bytes
from supernets.data_facts.report import Level
from supernets.errors import DataError

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile, RowGroupMetaData

IMAGE_COLUMNS = ("image", "img", "image_webp", "image_png", "image_jpeg", "picture")
LABEL_COLUMNS = ("label", "labels", "class", "target", "fine_label", "y")
MAX_ROWS = 100_000_000
BATCH_BYTES = 128 << 20
"""Memory for one piece of a column: no value is larger than its column chunk, however often a row repeats it."""
MAX_BATCH = 65_536


def split_files(folder: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """The parquet files of each split, sorted, and those that belong to none.

    A file's split is a whole word of its name or of a folder above it: ``train-00000.parquet``, ``data/test.parquet``,
    ``default/validation/0000.parquet``. A single file is train unless it is named otherwise.

    Raises:
        DataError: a path with words of two splits, or no train.
    """
    files = parquet_files(folder)
    found: dict[str, list[Path]] = {}
    others: list[Path] = []
    for path in files:
        split = split_of_path(path.relative_to(folder))
        if split is None and len(files) == 1:
            split = "train"
        (others if split is None else found.setdefault(split, [])).append(path)
    if "train" not in found:
        names = ", ".join(path.name for path in files[:10]) or "no parquet file"
        raise DataError(
            f"{folder} must hold parquet files of which one has the word train in its name (train.parquet, "
            f"train-00000.parquet), but has {names}",
            "no_train_split",
        )
    order = [split for split in ("train", "validation", "test") if split in found]
    return {split: found[split] for split in order}, others


def parquet_files(folder: Path) -> list[Path]:
    """The parquet files at any depth below a folder, sorted; links to folders are not followed."""
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name) and not is_system(name)]
        found += [
            Path(where, name) for name in names if name.lower().endswith(".parquet") and not is_hidden(name)
        ]
    return sorted(found)


def index_files(files: Mapping[str, Sequence[Path]], unlabelled: str = "refuse") -> Found:
    """Labels and places of all rows; train first. No image is read."""
    tables = {split: [_Table(path) for path in paths] for split, paths in files.items()}
    every = [table for found in tables.values() for table in found]
    names = _names(every)
    columns = {split: [table.column for table in found] for split, found in tables.items()}
    classes, labels = combine(columns, names)
    splits = {split: ParquetShards(found, labels[split]) for split, found in tables.items()}
    problems: list[tuple[Level, str, str]] = []
    for split, shards in list(splits.items()):
        if unlabelled == "refuse":
            shards.refuse_unlabelled()
        elif split != "train" and not len(shards.labelled):
            del splits[split]
            message = f"no row of {split} has a label, so the split was left out (unlabelled=drop)"
            problems.append(("warning", "unlabelled", message))
    return Found(classes, splits, Counter(), problems)


class ParquetShards(Shards):
    """Parquet files, in order of their names; a group is a row group of a file.

    ``sha256`` covers every file's size and footer (with the position of each page) and all labels, not the
    pixels: hashing those would read everything at each start.
    """

    def __init__(self, tables: Sequence[_Table], labels: NDArray[np.int64]) -> None:
        self.labels = labels
        self._groups = [(table, index) for table in tables for index in range(len(table.rows))]
        self.rows = tuple(table.rows[index] for table, index in self._groups)
        digest = hashlib.sha256()
        for table in tables:
            digest.update(table.footer)
        digest.update(labels.astype("<i8").tobytes())
        self.sha256 = digest.hexdigest()

    def read(self, group: int, rows: NDArray[np.int64]) -> Iterator[Cell]:
        """The images of ``rows`` of a row group."""
        table, index = self._groups[group]
        return table.cells(index, rows)

    def refuse_unlabelled(self) -> None:
        """Raise ``DataError`` naming the first row without a label."""
        if len(self.labelled) == len(self.labels):
            return
        row = int(np.flatnonzero(self.labels < 0)[0])
        group = int(np.searchsorted(self.starts, row, side="right")) - 1
        table, index = self._groups[group]
        within = row - int(self.starts[group]) + sum(table.rows[:index])
        value = "none" if table.column.codes[within] < 0 else "-1, which stands for none"
        count = len(self.labels) - len(self.labelled)
        raise DataError(
            f"every row of {table.path.name} needs a label, but row {within} has {value} ({count:,} of "
            f"{len(self.labels):,} rows); remove them, or leave them out with unlabelled=drop",
            "unlabelled",
        )


class _Table:
    """One parquet file: its labels, and where its images lie."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        try:
            with pq.ParquetFile(path) as file:
                self._look(file)
            self.footer = _footer(path)
        except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
            raise _unreadable(path, error) from error

    def _look(self, file: ParquetFile) -> None:
        meta = file.metadata
        if meta.num_rows > MAX_ROWS:
            raise DataError(
                f"a file may have {MAX_ROWS:,} rows, but {self.path.name} has {meta.num_rows:,}", "too_large"
            )
        schema = file.schema_arrow
        self.image_column, label = columns_of(schema, self.path.name)
        self.names = names_of(schema, label)
        self.rows = [meta.row_group(index).num_rows for index in range(meta.num_row_groups)]
        batches = (
            batch.column(0)
            for index in range(meta.num_row_groups)
            for batch in file.iter_batches(_rows_at_once(meta.row_group(index), label), [index], [label])
        )
        self.column = LabelColumn.read(self.path.name, schema.field(label).type, batches)
        if len(self.column.codes) != sum(self.rows):
            raise DataError(
                f"{self.path.name} must have a label for every row of its row groups", "unreadable_file"
            )

    def cells(self, group: int, rows: NDArray[np.int64]) -> Iterator[Cell]:
        """The images of ``rows`` of a row group, ascending; read in pieces that take at most ``BATCH_BYTES``."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        first = sum(self.rows[:group])
        try:
            with pq.ParquetFile(self.path) as file:
                start = position = 0
                size = _rows_at_once(file.metadata.row_group(group), self.image_column)
                for batch in file.iter_batches(size, [group], [self.image_column]):
                    if position == len(rows):
                        return
                    column = _encoded(batch.column(0))
                    while position < len(rows) and rows[position] < start + len(column):
                        row = int(rows[position])
                        name = f"row {first + row} of {self.path.name}"
                        yield Cell(name, self._image(column[row - start].as_py(), name))
                        position += 1
                    start += len(column)
        except (pa.ArrowException, OSError, MemoryError) as error:
            raise _unreadable(self.path, error) from error

    def _image(self, value: object, name: str) -> bytes:
        content = value["bytes"] if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise DataError(
                f"column {self.image_column!r} must hold an encoded image in every row, but {name} has none",
                "no_image",
            )
        return content


def _encoded(column: pyarrow.Array) -> pyarrow.Array:
    """The column of the bytes alone where rows are structs of bytes and a path, which take longer to read."""
    import pyarrow.types as types

    if not types.is_struct(column.type):
        return column
    return column.flatten()[column.type.get_field_index("bytes")]


def _rows_at_once(group: RowGroupMetaData, column: str) -> int:
    """How many rows of a column may be read at once; raises ``DataError`` beyond ``MAX_GROUP_BYTES``."""
    size = unpacked_bytes(group, [column])
    if size > MAX_GROUP_BYTES:
        raise DataError(
            f"a row group may take {MAX_GROUP_BYTES:,} bytes, but one of column {column!r} takes {size:,}; write the "
            f"file with smaller ones (row_group_size=1000)",
            "group_too_large",
        )
    return rows_at_once(group, [column], BATCH_BYTES, MAX_BATCH)


def _unreadable(path: Path, error: Exception) -> DataError:
    why = (str(error) or type(error).__name__).splitlines()[0]
    return DataError(f"{path.name} must be a parquet file that can be read, but: {why}", "unreadable_file")


def _footer(path: Path) -> bytes:
    """Size and footer of a parquet file; the four bytes before the closing mark are the footer's length."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, size - 8 - length))
        return size.to_bytes(8, "little") + file.read(length)


def columns_of(schema: pyarrow.Schema, label: str) -> tuple[str, str]:
    """Names of the image and the label column: known names first, otherwise the only column of a fitting type."""
    found = []
    for what, known, fits in (
        ("image", IMAGE_COLUMNS, _is_image),
        ("label", LABEL_COLUMNS, lambda kind: label_kind(kind) is not None),
    ):
        named = [name for name in known if name in schema.names]
        fitting = [column.name for column in schema if fits(column.type)]
        chosen = [name for name in named if name in fitting] or (named if what == "label" else []) or fitting
        if not chosen or (len(chosen) > 1 and chosen[0] not in known):
            raise DataError(
                f"{label} must have one {what} column (known names: {', '.join(known)}), but its columns are "
                f"{', '.join(f'{c.name}: {c.type}' for c in list(schema)[:20])}",
                "no_column",
            )
        found.append(chosen[0])
    return found[0], found[1]


def _is_image(kind: pyarrow.DataType) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_image(kind.field(place).type)
    if types.is_dictionary(kind):
        return _is_image(kind.value_type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def names_of(schema: pyarrow.Schema, label_column: str) -> tuple[str, ...]:
    """Class names from the hub's own note in the file, or none."""
    note = (schema.metadata or {}).get(b"huggingface")
    if note is None:
        return ()
    try:
        names = json.loads(note)["info"]["features"][label_column]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _names(tables: Sequence[_Table]) -> tuple[str, ...]:
    """The class names that the files state; the first file's, which the others may not contradict."""
    stated = [table for table in tables if table.names]
    if not stated:
        return ()
    other = next((table for table in stated if table.names != stated[0].names), None)
    if other is not None:
        raise DataError(
            f"all files must have the same classes, but {stated[0].path.name} has {list(stated[0].names[:10])} and "
            f"{other.path.name} {list(other.names[:10])}",
            "classes_differ",
        )
    return stated[0].names
