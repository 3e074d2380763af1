"""Training images that need not fit into memory: read in the order in which they are trained on.

Validation and test, and a class-balanced sample of train, are held in memory.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernets.data.dataset import stratified
from supernets.data.images import Form, decode_all
from supernets.data.splits import Split
from supernets.data.stored.examples import Cell
from supernets.data.stored.order import permutation
from supernets.data.stored.shards import Shards
from supernets.errors import DataError

BUFFER = 4096
"""Rows that are shuffled among each other, after the groups themselves have been."""
SAMPLE = 2048
"""Training images held in memory: for recalibration, mean and deviation, and gradients between steps."""
HELD = 10_000
"""The most images of a split that is cut out of train."""
KEPT_BUFFERS = 2
MAX_BUFFER_BYTES = 4 << 30
"""The most bytes of encoded images that one buffer may hold."""
NEAR_GROUPS = 64
"""What is held in memory comes from at most this many row groups, drawn by seed: all would mean reading everything."""


class StreamedSplit:
    """The train split of a data set larger than memory.

    The order of an epoch is a function of seed and epoch: row groups are shuffled and taken together until they
    hold at least ``buffer`` rows, and the rows of each such buffer are shuffled. Where step ``s`` stands is
    therefore ``divmod(s, len(split) // batch_size)``: epoch, and position in batches. A resumed training reads
    the buffer it stopped in and goes on with the very batch; there is no other state. Each process decodes
    its own share of a batch only. Memory: the encoded images of at most two buffers, and the sample.
    """

    name = "train"

    def __init__(
        self,
        shards: Shards,
        rows: NDArray[np.int64],
        form: Form,
        *,
        buffer: int = BUFFER,
        sample: int = SAMPLE,
        seed: int = 0,
    ) -> None:
        self._shards, self._rows = shards, np.sort(rows)
        self._form, self._buffer = form, buffer
        self.labels = torch.from_numpy(shards.labels[self._rows])
        bounds = np.searchsorted(self._rows, shards.starts)
        self._members = [self._rows[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
        self._occupied = np.array([g for g, rows in enumerate(self._members) if len(rows)], dtype=np.int64)
        near = np.intersect1d(self._rows, some_rows(shards, seed))
        chosen = near[stratified(shards.labels[near], seed)[:sample]]
        self._sample = held(shards, chosen, form, self.name)
        digest = hashlib.sha256(repr((shards.sha256, form)).encode())
        digest.update(self._rows.astype("<i8").tobytes())
        self.sha256 = digest.hexdigest()
        self._buffers: dict[tuple[int, int, int], list[tuple[Cell, int]]] = {}
        self._ahead: tuple[tuple[int, ...], Future[tuple[Tensor, Tensor]]] | None = None
        self._reader = ThreadPoolExecutor(1, "netwright-read-ahead")
        self._order = lru_cache(maxsize=2)(self._ordered)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width of an image."""
        return (self._form.channels, self._form.resolution, self._form.resolution)

    @property
    def stored_bytes(self) -> int:
        """Memory of the sample, and of two buffers of images as large as its mean when encoded (at most raw)."""
        return self._sample.stored_bytes + KEPT_BUFFERS * min(self._buffer, len(self)) * int(
            np.prod(self.shape)
        )

    def head(self, n: int) -> Tensor:
        """The first ``n`` images of the sample, or all of it: the classes in proportion."""
        return self._sample.images[:n]

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Tensor, Tensor]:
        """``n`` images, or as many as are held, drawn without replacement from the sample."""
        return self._sample.sample(rng, min(n, len(self._sample)))

    def batch(
        self, batch_size: int, seed: int, step: int, part: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Images and labels of ``part`` of the batch of global step ``step``; the next one is read meanwhile."""
        if not 1 <= batch_size <= len(self):
            raise DataError(f"1 <= batch_size <= {len(self)} must hold, but got {batch_size}")
        first, last, _ = part.indices(batch_size)
        requested = (batch_size, seed, step, first, last)
        if self._ahead is not None and self._ahead[0] == requested:
            found = self._ahead[1].result()
        else:
            if self._ahead is not None:
                self._ahead[1].exception()  # one reader at a time
            found = self._batch(*requested)
        after = (batch_size, seed, step + 1, first, last)
        self._ahead = after, self._reader.submit(self._batch, *after)
        return found

    def _batch(self, batch_size: int, seed: int, step: int, first: int, last: int) -> tuple[Tensor, Tensor]:
        epoch, batch = divmod(step, len(self) // batch_size)
        position = batch * batch_size
        cells = self._cells(seed, epoch, position + first, position + last)
        labels = torch.tensor([label for _, label in cells], dtype=torch.int64)
        return decode_all((cell for cell, _ in cells), len(cells), self._form), labels

    def _ordered(self, seed: int, epoch: int) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
        """The groups of each buffer of an epoch, and the positions at which the buffers begin."""
        buffers: list[list[int]] = [[]]
        counts = [0]
        for group in self._occupied[permutation(len(self._occupied), seed, epoch)].tolist():
            if counts[-1] >= self._buffer:
                buffers.append([])
                counts.append(0)
            buffers[-1].append(group)
            counts[-1] += len(self._members[group])
        return [np.array(b) for b in buffers], np.concatenate([[0], np.cumsum(counts)])

    def _cells(self, seed: int, epoch: int, first: int, last: int) -> list[tuple[Cell, int]]:
        """Encoded image and label of the positions ``first`` to ``last`` of an epoch."""
        _, starts = self._order(seed, epoch)
        found: list[tuple[Cell, int]] = []
        number = int(np.searchsorted(starts, first, side="right")) - 1
        while first < last:
            stop = min(last, int(starts[number + 1]))
            rows = self._read(seed, epoch, number)
            found += rows[first - int(starts[number]) : stop - int(starts[number])]
            first, number = stop, number + 1
        return found

    def _read(self, seed: int, epoch: int, number: int) -> list[tuple[Cell, int]]:
        """A buffer, shuffled; the last ones are kept."""
        key = (seed, epoch, number)
        if key not in self._buffers:
            while len(self._buffers) >= KEPT_BUFFERS:
                self._buffers.pop(next(iter(self._buffers)))
            rows: list[tuple[Cell, int]] = []
            size = 0
            for group in self._order(seed, epoch)[0][number].tolist():
                members, start = self._members[group], int(self._shards.starts[group])
                cells = self._shards.whole(group, members - start)
                size += sum(len(cell.content) for cell in cells if isinstance(cell.content, bytes))
                if size > MAX_BUFFER_BYTES:
                    raise DataError(
                        f"{self._buffer:,} shuffled images may take {MAX_BUFFER_BYTES:,} bytes, but those of "
                        f"{cells[0].name} take more; store smaller images",
                        "too_large",
                    )
                rows += zip(cells, self._shards.labels[members].tolist(), strict=True)
            self._buffers[key] = [rows[k] for k in permutation(len(rows), seed, epoch, number + 1)]
        return self._buffers[key]


def some_rows(shards: Shards, seed: int) -> NDArray[np.int64]:
    """The labelled rows of ``NEAR_GROUPS`` groups, ascending; of all groups where there are no more."""
    groups = np.sort(permutation(len(shards.rows), seed)[:NEAR_GROUPS])
    rows = np.concatenate([np.arange(shards.starts[g], shards.starts[g + 1]) for g in groups.tolist()])
    return np.asarray(rows[shards.labels[rows] >= 0])


def held(shards: Shards, rows: NDArray[np.int64], form: Form, name: str) -> Split:
    """These rows of ``shards``, in this order, in memory; every group is read once."""
    order = np.argsort(rows, kind="stable")
    images = decode_all(shards.cells(rows[order]), len(rows), form)
    place = torch.from_numpy(np.argsort(order, kind="stable"))
    return Split(name, images[place], torch.from_numpy(shards.labels[rows].copy()))
