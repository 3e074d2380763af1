"""Training images that need not fit into memory: read in the order in which they are trained on.

``stream:PATH`` is a folder of parquet files (several a split, each with row groups), ``hub:NAME`` a listed data set
of the Hugging Face hub. Validation and test, and a class-balanced sample of train, are held in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernets.data.dataset import MIN_SPLIT, SHARES, SPLITS, DataSet, Split, stratified
from supernets.data.facts import Facts
from supernets.data.hub import STREAMED, HubSource
from supernets.data.images import DEFAULT_RESOLUTION, GREY_MODES, opened, stack
from supernets.data.load import Request
from supernets.data.order import permutation
from supernets.data.parquet import first_headers, split_files
from supernets.data.shards import HubShards, ParquetShards, Shards
from supernets.errors import DataError

BUFFER = 4096
"""Rows that are shuffled among each other, after the groups themselves have been."""
SAMPLE = 2048
"""Training images held in memory: for recalibration, mean and deviation, and gradients between steps."""
HELD = 10_000
"""The most images of a split that is carved out of train."""
KEPT_BUFFERS = 2
NEAR_GROUPS = 64
"""What is held in memory comes from so many row groups, drawn by seed: drawing from all would read everything."""


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
        resolution: int,
        channels: int,
        *,
        buffer: int = BUFFER,
        sample: int = SAMPLE,
        seed: int = 0,
    ) -> None:
        self._shards, self._rows = shards, np.sort(rows)
        self._resolution, self._channels, self._buffer = resolution, channels, buffer
        self.labels = torch.from_numpy(shards.labels[self._rows])
        bounds = np.searchsorted(self._rows, shards.starts)
        self._members = [self._rows[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
        self._occupied = np.array([g for g, rows in enumerate(self._members) if len(rows)], dtype=np.int64)
        near = np.intersect1d(self._rows, some_rows(shards, seed))
        chosen = near[stratified(shards.labels[near], seed)[:sample]]
        self._sample = held(shards, chosen, resolution, channels, self.name)
        digest = hashlib.sha256(repr((shards.sha256, resolution, channels)).encode())
        digest.update(self._rows.astype("<i8").tobytes())
        self.sha256 = digest.hexdigest()
        self._buffers: dict[tuple[int, int, int], list[tuple[bytes, int]]] = {}
        self._ahead: tuple[tuple[int, ...], Future[tuple[Tensor, Tensor]]] | None = None
        self._reader = ThreadPoolExecutor(1, "netwright-read-ahead")
        self._order = lru_cache(maxsize=2)(self._ordered)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width of an image."""
        return (self._channels, self._resolution, self._resolution)

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
        wanted = (batch_size, seed, step, first, last)
        if self._ahead is not None and self._ahead[0] == wanted:
            found = self._ahead[1].result()
        else:
            if self._ahead is not None:
                self._ahead[1].exception()  # one reader at a time
            found = self._batch(*wanted)
        after = (batch_size, seed, step + 1, first, last)
        self._ahead = after, self._reader.submit(self._batch, *after)
        return found

    def _batch(self, batch_size: int, seed: int, step: int, first: int, last: int) -> tuple[Tensor, Tensor]:
        epoch, batch = divmod(step, len(self) // batch_size)
        position = batch * batch_size
        cells = self._cells(seed, epoch, position + first, position + last)
        images = (opened(cell, "a streamed row") for cell, _ in cells)
        labels = torch.tensor([label for _, label in cells], dtype=torch.int64)
        return stack(images, len(cells), self._resolution, self._channels), labels

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

    def _cells(self, seed: int, epoch: int, first: int, last: int) -> list[tuple[bytes, int]]:
        """Encoded image and label of the positions ``first`` to ``last`` of an epoch."""
        _, starts = self._order(seed, epoch)
        found: list[tuple[bytes, int]] = []
        number = int(np.searchsorted(starts, first, side="right")) - 1
        while first < last:
            stop = min(last, int(starts[number + 1]))
            rows = self._read(seed, epoch, number)
            found += rows[first - int(starts[number]) : stop - int(starts[number])]
            first, number = stop, number + 1
        return found

    def _read(self, seed: int, epoch: int, number: int) -> list[tuple[bytes, int]]:
        """A buffer, shuffled; the last ones are kept."""
        key = (seed, epoch, number)
        if key not in self._buffers:
            while len(self._buffers) >= KEPT_BUFFERS:
                self._buffers.pop(next(iter(self._buffers)))
            rows: list[tuple[bytes, int]] = []
            for group in self._order(seed, epoch)[0][number].tolist():
                start, cells = self._shards.starts[group], self._shards.read(group)
                members = self._members[group]
                rows += [(cells[row - start], int(self._shards.labels[row])) for row in members.tolist()]
            self._buffers[key] = [rows[k] for k in permutation(len(rows), seed, epoch, number + 1)]
        return self._buffers[key]


def some_rows(shards: Shards, seed: int) -> NDArray[np.int64]:
    """The rows of ``NEAR_GROUPS`` groups, ascending; of all groups where there are no more."""
    groups = np.sort(permutation(len(shards.rows), seed)[:NEAR_GROUPS])
    return np.concatenate([np.arange(shards.starts[g], shards.starts[g + 1]) for g in groups.tolist()])


def held(shards: Shards, rows: NDArray[np.int64], resolution: int, channels: int, name: str) -> Split:
    """These rows of ``shards``, in this order, in memory; every group is read once."""
    cells: dict[int, bytes] = {}
    groups = np.searchsorted(shards.starts, rows, side="right") - 1
    for group in np.unique(groups).tolist():
        content, start = shards.read(group), int(shards.starts[group])
        cells |= {row: content[row - start] for row in rows[groups == group].tolist()}
    images = (opened(cells[row], f"row {row} of {name}") for row in rows.tolist())
    return Split(
        name, stack(images, len(rows), resolution, channels), torch.from_numpy(shards.labels[rows].copy())
    )


def load(request: Request) -> DataSet:
    """``stream:PATH``: a folder with parquet files whose names say train, and maybe validation and test."""
    files = split_files(request.path)
    return assemble({split: ParquetShards(found) for split, found in files.items()}, request)


def facts(request: Request) -> Facts:
    """From labels and footers, and the headers of the first images."""
    files = split_files(request.path)
    train = ParquetShards(files["train"])
    missing = [split for split in SPLITS[1:] if split not in files]
    near = len(some_rows(train, request.seed))
    carved = _share(near, len(missing)) * len(missing)
    brought = sum(len(ParquetShards(found).labels) for split, found in files.items() if split != "train")
    headers = first_headers(files["train"][0], train.image_column)
    sides = {min(image.size) for image in headers}
    grey = all(image.mode in GREY_MODES for image in headers)
    whole = len(headers) == train.rows[0]  # the first group decides
    buffered = min(BUFFER, len(train.labels) - carved)
    return Facts(
        request.name,
        train.classes,
        request.channels or ((1 if whole else None) if grey else 3),
        request.resolution or (sides.pop() if len(sides) == 1 else DEFAULT_RESOLUTION),
        train=len(train.labels) - carved,
        held=min(SAMPLE, near - carved) + KEPT_BUFFERS * buffered + carved + brought,
    )


def hub_facts(request: Request) -> Facts:
    """Whether it is listed; the hub is not asked."""
    _listed(request)
    return Facts(request.name)


def _listed(request: Request) -> HubSource:
    name = request.name.partition(":")[2]
    if name not in STREAMED:
        raise DataError(f"only {', '.join(STREAMED)} may be streamed from the hub, but got {name!r}")
    return STREAMED[name]


def load_hub(request: Request) -> DataSet:
    """``hub:NAME``: a listed data set of the hub, streamed by ``datasets``; no code from there is run."""
    source, name = _listed(request), request.path.name
    try:
        shards = {ours: HubShards(source, theirs) for ours, theirs in source.splits.items()}
    except DataError:
        raise
    except Exception as error:  # the hub's client raises a dozen unrelated types when there is no network
        raise DataError(
            f"{name} must come from the Hugging Face hub ({source.repository}), which failed with "
            f"{type(error).__name__}: {error}"
        ) from error
    return assemble(shards, request)


def assemble(splits: Mapping[str, Shards], request: Request) -> DataSet:
    """Train streamed, validation and test in memory; what the source does not bring is carved out of train.

    A sixth each, or a fifth if both are missing, of what ``NEAR_GROUPS`` groups hold, and at most 10,000 images.
    """
    train = splits["train"]
    for split, shards in splits.items():
        if shards.classes != train.classes:
            raise DataError(
                f"all splits of {request.name} must have the same classes, but train has "
                f"{list(train.classes)[:10]} and {split} {list(shards.classes)[:10]}"
            )
    resolution, channels = _form(train, request)
    missing = [split for split in SPLITS[1:] if split not in splits]
    near = some_rows(train, request.seed)
    share = _share(len(near), len(missing))
    if missing and share < MIN_SPLIT:
        raise DataError(
            f"{request.name} has {len(train.labels)} training images, too few to carve out splits"
        )
    order = near[stratified(train.labels[near], request.seed)]
    parts = {
        split: held(train, order[share * k : share * (k + 1)], resolution, channels, split)
        for k, split in enumerate(missing)
    }
    for split, shards in splits.items():
        if split != "train":
            rows = np.arange(len(shards.labels))
            parts[split] = held(shards, rows, resolution, channels, split)
    rest = np.setdiff1d(np.arange(len(train.labels)), order[: share * len(missing)])
    streamed = StreamedSplit(train, rest, resolution, channels, seed=request.seed)
    return DataSet(request.name, train.classes, streamed, parts["validation"], parts["test"])


def _share(near: int, missing: int) -> int:
    """How many of ``near`` images each of the missing splits gets."""
    return min(near // SHARES[missing], HELD)


def _form(shards: Shards, request: Request) -> tuple[int, int]:
    """Resolution and channels: what was asked for, or what the images of the first group have."""
    headers = [opened(cell, "a streamed row") for cell in shards.read(0)]
    sides = {min(image.size) for image in headers}
    grey = all(image.mode in GREY_MODES for image in headers)
    return (
        request.resolution or (sides.pop() if len(sides) == 1 else DEFAULT_RESOLUTION),
        request.channels or (1 if grey else 3),
    )
