"""How much of a parquet file may be read at once, from its metadata alone. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyarrow.parquet import RowGroupMetaData


def unpacked_bytes(group: RowGroupMetaData, columns: Sequence[str]) -> int:
    """Bytes that the pages of some columns of a row group take when they are unpacked, dictionaries not expanded.

    ``group`` is pyarrow's metadata of a row group; a nested column counts with all its leaves.
    """
    chunks = (group.column(index) for index in range(group.num_columns))
    return sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.split(".")[0] in columns)


def rows_at_once(group: RowGroupMetaData, columns: Sequence[str], max_bytes: int, max_rows: int) -> int:
    """How many rows may be read so that they take at most about ``max_bytes``, and at least one.

    No value is larger than the pages of its column, however often rows repeat it: a page that holds a value once
    stands for any number of rows, so the product of rows and bytes is what must be bounded.
    """
    return int(min(max_rows, max(1, max_bytes // max(1, unpacked_bytes(group, columns)))))
