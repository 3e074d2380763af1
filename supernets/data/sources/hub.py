"""``hub:NAME``: a listed data set of the Hugging Face hub, streamed by ``datasets``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supernets.data.listed import STREAMED, Listed
from supernets.data.sharded import ShardedSource
from supernets.data.source import Facts
from supernets.data.stored.examples import Cell, Found
from supernets.data.stored.labels import LabelColumn, combine
from supernets.data.stored.shards import Shards
from supernets.errors import DataError


class HubSource(ShardedSource):
    """No code from the hub is run."""

    def files(self) -> list[Path]:
        """None; whether the hub answers is known when the data are loaded."""
        self._listed()
        return []

    def facts(self) -> Facts:
        """Only that it is listed: the hub is not asked."""
        self._listed()
        return Facts(str(self.spec))

    def found(self) -> Found:
        """Rows and labels of the official splits."""
        source, name = self._listed(), self.spec.location
        try:
            parts = {ours: _Part(source, theirs) for ours, theirs in source.splits.items()}
        except DataError:
            raise
        except Exception as error:  # the hub's client raises a dozen unrelated types when there is no network
            raise DataError(
                f"{name} must come from the Hugging Face hub ({source.repository}), which failed with "
                f"{type(error).__name__}: {error}",
                "hub_unavailable",
            ) from error
        names = next((part.names for part in parts.values() if part.names), ())
        classes, labels = combine({split: [part.column] for split, part in parts.items()}, names)
        return Found(classes, {split: HubShards(part, labels[split]) for split, part in parts.items()})

    def _listed(self) -> Listed:
        name = self.spec.location
        if name not in STREAMED:
            raise DataError(
                f"only {', '.join(STREAMED)} may be streamed from the hub, but got {name!r}", "unknown_name"
            )
        return STREAMED[name]


class _Part:
    """A split on the hub: its files, and the labels of all rows, which are read once, without images."""

    def __init__(self, source: Listed, split: str) -> None:
        import datasets

        self.source, self.split = source, split
        stream = datasets.load_dataset(source.repository, split=split, streaming=True)
        feature = (stream.features or {}).get(source.label)
        self.names = tuple(getattr(feature, "names", None) or ())
        plain = stream.cast_column(source.image, datasets.Image(decode=False))
        self.files = [plain.shard(stream.num_shards, index) for index in range(stream.num_shards)]
        values = [[row[source.label] for row in file.select_columns([source.label])] for file in self.files]
        self.rows = tuple(map(len, values))
        self.column = _column(source.repository, [value for found in values for value in found])


def _column(repository: str, values: list[object]) -> LabelColumn:
    import pyarrow as pa

    array = pa.array(values)
    return LabelColumn.read(repository, array.type, iter([array]))


class HubShards(Shards):
    """A split of a data set on the hub; a group is one of its files.

    ``sha256`` covers the labels and the number of rows of each file.
    """

    def __init__(self, part: _Part, labels: NDArray[np.int64]) -> None:
        self._part, self.labels, self.rows = part, labels, part.rows
        digest = hashlib.sha256(repr((part.source.repository, part.split, self.rows)).encode())
        digest.update(labels.astype("<i8").tobytes())
        self.sha256 = digest.hexdigest()

    def read(self, group: int, rows: NDArray[np.int64]) -> Iterator[Cell]:
        """The images of ``rows`` of a file."""
        image, repository = self._part.source.image, self._part.source.repository
        requested = set(rows.tolist())
        for index, row in enumerate(self._part.files[group].select_columns([image])):
            if index in requested:
                yield Cell(f"row {index} of file {group} of {repository}", row[image]["bytes"])
