"""Reads imported files of measurements, Parquet or CSV, with size limits; pickles are never read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from predictors.errors import TableError
from supernets.data_facts.parquet_bounds import rows_at_once, unpacked_bytes
from supernets.spaces.columns import Cell

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyarrow.parquet import ParquetFile

MAX_BYTES = 64 << 20
MAX_UNPACKED = 256 << 20
MAX_BATCH_BYTES = 32 << 20
MAX_BATCH_ROWS = 4096
MAX_ROWS = 100_000
MAX_COLUMNS = 4096
MAX_FIELD = 1 << 16
SHOWN_COLUMNS = 60
PARQUET = b"PAR1"


@dataclass(frozen=True)
class Table:
    """Named columns of equal length. ``typed``: cells have types; otherwise every cell is text or missing."""

    columns: dict[str, list[Cell]]
    names: tuple[str, ...]
    rows: int
    typed: bool

    def __getitem__(self, name: str) -> list[Cell]:
        return self.columns[name]


def read_table(content: bytes, requested: Sequence[str] | None = None) -> Table:
    """The ``requested`` columns of a file (``None``: no columns, only their names and the number of rows).

    Raises:
        TableError: neither Parquet nor CSV, damaged, too large, or without a requested column (the message
            lists the existing ones).
    """
    if len(content) > MAX_BYTES:
        raise TableError(f"a table may take at most {MAX_BYTES} bytes, got {len(content)}")
    if not content:
        raise TableError("a table must hold rows, got an empty file")
    columns = list(dict.fromkeys(requested or ()))
    return _parquet(content, columns) if content[:4] == PARQUET else _csv(content, columns)


def _require(columns: Sequence[str], names: Sequence[str]) -> None:
    missing = [column for column in columns if column not in names]
    if missing:
        shown = ", ".join(names[:SHOWN_COLUMNS]) + (", …" if len(names) > SHOWN_COLUMNS else "")
        raise TableError(
            f"columns must be in the table, got {', '.join(map(repr, missing))}; it has {len(names)}: {shown}"
        )


def _check_size(rows: int, columns: int) -> None:
    if not 1 <= rows <= MAX_ROWS:
        raise TableError(f"a table must have 1 to {MAX_ROWS} rows, got {rows}")
    if columns > MAX_COLUMNS:
        raise TableError(f"a table may have at most {MAX_COLUMNS} columns, got {columns}")


def _parquet(content: bytes, columns: list[str]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        names = tuple(file.schema_arrow.names)
        _check_size(file.metadata.num_rows, len(names))
        _require(columns, names)
        found: dict[str, list[Cell]] = {column: [] for column in columns}
        unpacked = 0
        for batch in _batches(file, columns):
            unpacked += batch.nbytes
            if unpacked > MAX_UNPACKED:
                raise TableError(f"columns may take at most {MAX_UNPACKED} bytes unpacked, got more")
            for column in columns:
                cells = batch.column(column).to_pylist()
                _check_lengths(column, cells)
                found[column] += map(_plain, cells)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(f"the parquet file cannot be read: {error}") from error
    for column, cells in found.items():
        odd = next((cell for cell in cells if not isinstance(cell, str | int | float | bool | None)), None)
        if odd is not None:
            raise TableError(f"column {column!r} must hold numbers or text, got {type(odd).__name__}")
    return Table(found, names, file.metadata.num_rows, typed=True)


def _check_lengths(column: str, cells: Sequence[object]) -> None:
    """The bound that CSV fields have. Checked for each batch, so that a few long cells are not collected first."""
    longest = max((len(cell) for cell in cells if isinstance(cell, str | bytes)), default=0)
    if longest > MAX_FIELD:
        raise TableError(f"cells may have at most {MAX_FIELD} characters, got {longest} in column {column!r}")


def _plain(cell: object) -> Any:
    """Converts decimals, which SQL databases export, and returns other values unchanged."""
    return float(cell) if isinstance(cell, Decimal) else cell


def _batches(file: ParquetFile, columns: list[str]) -> Iterator[RecordBatch]:
    """The rows in batches; their size is checked in the metadata before decompression."""
    if not columns:
        return
    for index in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(index)
        if unpacked_bytes(group, columns) > MAX_UNPACKED:
            raise TableError(f"columns may take at most {MAX_UNPACKED} bytes unpacked, got more")
        rows = rows_at_once(group, columns, MAX_BATCH_BYTES, MAX_BATCH_ROWS)
        yield from file.iter_batches(rows, row_groups=[index], columns=columns)


def _csv(content: bytes, columns: list[str]) -> Table:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"a table must be parquet, or CSV in UTF-8, got other bytes ({error})") from error
    if "\0" in text:
        raise TableError("a table must be parquet or CSV, got a file with zero bytes in it")
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    csv.field_size_limit(MAX_FIELD)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = tuple(name.strip() for name in next(lines))
        if len(set(names)) != len(names):
            raise TableError(f"column names must differ, got {', '.join(names[:SHOWN_COLUMNS])}")
        _require(columns, names)
        at = [names.index(column) for column in columns]
        found: dict[str, list[Cell]] = {column: [] for column in columns}
        rows = 0
        for line in lines:
            if not line:
                continue
            rows += 1
            if len(line) != len(names):
                raise TableError(
                    f"row {rows} must have {len(names)} cells as the header has, got {len(line)}"
                )
            if rows > MAX_ROWS:
                break
            for column, index in zip(columns, at, strict=True):
                found[column].append(line[index].strip() or None)
    except csv.Error as error:
        raise TableError(f"the CSV file cannot be read: {error}") from error
    _check_size(rows, len(names))
    return Table(found, names, rows, typed=False)
