"""Parquet files with a text and a label column, and perhaps one that names the split of each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from supernets.data.stored.labels import LabelColumn
from supernets.data.stored.names import SPLIT_WORDS
from supernets.data.stored.tables import LABEL_COLUMNS
from supernets.data_facts.parquet_bounds import rows_at_once
from supernets.errors import DataError

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

TEXT_COLUMNS = ("text", "sentence", "utterance", "content", "question")
SPLIT_COLUMN = "split"
MAX_ROWS = 5_000_000
BATCH_BYTES, BATCH_ROWS = 64 << 20, 8192


@dataclass(frozen=True, eq=False)
class TextTable:
    """One file: ``texts`` (cut to the characters that can matter), their labels, and the split of each row or none."""

    path: Path
    texts: list[str]
    column: LabelColumn
    splits: list[str] | None

    @classmethod
    def read(cls, path: Path, characters: int) -> TextTable:
        """The file at ``path``; each text is cut after ``characters``.

        Raises:
            DataError: no parquet file, a missing or wrong column, an empty text or too many rows; it names the row.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(path) as file:
                return cls._of(file, path, characters)
        except (pa.ArrowException, OSError, MemoryError) as error:
            why = (str(error) or type(error).__name__).splitlines()[0]
            raise DataError(
                f"{path.name} must be a parquet file that can be read, but: {why}", "unreadable_file"
            ) from error

    @classmethod
    def _of(cls, file: ParquetFile, path: Path, characters: int) -> TextTable:
        if not 0 < file.metadata.num_rows <= MAX_ROWS:
            raise DataError(
                f"a file may have 1 to {MAX_ROWS:,} rows, but {path.name} has {file.metadata.num_rows:,}",
                "too_large",
            )
        text, label = _columns(file.schema_arrow, path.name)
        texts = [
            _checked(value, row, path.name)[:characters] for row, value in enumerate(_values(file, text))
        ]
        kind = file.schema_arrow.field(label).type
        column = LabelColumn.read(path.name, kind, (batch.column(0) for batch in _batches(file, label)))
        splits = None
        if SPLIT_COLUMN in file.schema_arrow.names:
            splits = [_split(value, path.name) for value in _values(file, SPLIT_COLUMN)]
        if (missing := np.flatnonzero(column.codes < 0)).size:
            raise DataError(
                f"every row of {path.name} needs a label, but row {int(missing[0])} has none ({missing.size:,} of "
                f"{len(texts):,} rows)",
                "unlabelled",
            )
        return cls(path, texts, column, splits)


def _batches(file: ParquetFile, column: str) -> Iterator[pyarrow.RecordBatch]:
    for index in range(file.num_row_groups):
        size = rows_at_once(file.metadata.row_group(index), [column], BATCH_BYTES, BATCH_ROWS)
        yield from file.iter_batches(size, [index], [column])


def _values(file: ParquetFile, column: str) -> Iterator[object]:
    for batch in _batches(file, column):
        yield from batch.column(0).to_pylist()


def _checked(value: object, row: int, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        got = "none" if value is None else repr(value)
        raise DataError(f"every row of {name} needs a text, but row {row} has {got}", "no_text")
    return value


def _split(value: object, name: str) -> str:
    split = SPLIT_WORDS.get(str(value).lower())
    if split is None:
        raise DataError(
            f"column {SPLIT_COLUMN!r} must hold train, validation or test, but {name} has {value!r}",
            "unknown_split",
        )
    return split


def _columns(schema: pyarrow.Schema, name: str) -> tuple[str, str]:
    """Names of the text and the label column; known names first, else the only column of type text."""
    import pyarrow.types as types

    def is_text(kind: pyarrow.DataType) -> bool:
        if types.is_dictionary(kind):
            return is_text(kind.value_type)
        return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))

    listed = ", ".join(f"{column.name}: {column.type}" for column in list(schema)[:20])
    labels = [column for column in LABEL_COLUMNS if column in schema.names]
    if not labels:
        raise DataError(
            f"{name} must have one label column (known names: {', '.join(LABEL_COLUMNS)}), but its columns are "
            f"{listed}",
            "no_column",
        )
    named = [column for column in TEXT_COLUMNS if column in schema.names]
    others = [
        column.name
        for column in schema
        if is_text(column.type) and column.name not in (labels[0], SPLIT_COLUMN)
    ]
    chosen = named[:1] or others
    if len(chosen) != 1 or not is_text(schema.field(chosen[0]).type):
        raise DataError(
            f"{name} must have one column of texts (known names: {', '.join(TEXT_COLUMNS)}; type string), but its "
            f"columns are {listed}",
            "no_column",
        )
    return chosen[0], labels[0]
