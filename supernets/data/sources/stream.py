"""``stream:PATH``: parquet files, train streamed in the order of training."""

from __future__ import annotations

from supernets.data.sharded import ShardedSource
from supernets.data.sources.parquet import ParquetSource


class StreamSource(ParquetSource, ShardedSource):
    """Parquet files, several a split, each with row groups of about 1,000 rows."""
