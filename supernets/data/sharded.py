"""Sources whose train split is streamed; validation and test are held in memory."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from supernets.data.dataset import SHARES, SPLITS, DataSet, stratified
from supernets.data.encoded import EncodedSource
from supernets.data.source import Look
from supernets.data.stored.examples import Found
from supernets.data.stored.shards import Shards
from supernets.data.streamed import BUFFER, HELD, KEPT_BUFFERS, SAMPLE, StreamedSplit, held, some_rows

SURVEYED = 100_000
"""The most images of a split whose header is read before training; a later one of another form ends the training."""
EXAMINED = 2_000
"""Images of each split that are decoded for the report."""


class ShardedSource(EncodedSource):
    """Splits that the source lacks are cut out of train.

    A sixth each, or a fifth if both are missing, of what ``NEAR_GROUPS`` groups hold, and at most 10,000 images.
    """

    def splits(self) -> DataSet:
        """The data set; refused where the report has an error."""
        found = self.found()
        report, _, form = self._examined(found, _spread(found, EXAMINED), _spread(found, SURVEYED))
        report.refuse()
        train, made, order = _train(found), self.made(found), self._order(found)
        bounds = np.cumsum([0, *made.values()])
        parts = {
            split: held(train, order[a:b], form, split)
            for split, a, b in zip(made, bounds[:-1], bounds[1:], strict=True)
        }
        for split, examples in found.splits.items():
            if split != "train":
                parts[split] = held(cast(Shards, examples), examples.labelled, form, split)
        rest = self._rest(found)
        streamed = StreamedSplit(train, rest, form, seed=self.seed)
        return DataSet(str(self.spec), found.classes, streamed, parts["validation"], parts["test"], report)

    def look(self, limit: int | None = None) -> Look:
        """The headers of at most ``SURVEYED`` images of a split, and a sample that is decoded."""
        found = self.found()
        headers = _spread(found, SURVEYED if limit is None else limit)
        rows = _spread(found, min(limit or EXAMINED, EXAMINED))
        report, piles, _ = self._examined(found, rows, headers)
        return Look(report, piles, found.classes)

    def made(self, found: Found) -> dict[str, int]:
        """The splits that are cut out of the part of train that is read for them."""
        missing = [split for split in SPLITS[1:] if split not in found.splits]
        near = len(some_rows(_train(found), self.seed))
        return dict.fromkeys(missing, min(near // SHARES[len(missing)], HELD))

    def left(self, found: Found) -> NDArray[np.int64]:
        """Labels of the images that train keeps when the missing splits are cut out of it."""
        return _train(found).labels[self._rest(found)]

    def _order(self, found: Found) -> NDArray[np.int64]:
        """The rows of train that are read for the splits that are cut out of it, in the order of the cut."""
        near = some_rows(_train(found), self.seed)
        return near[stratified(_train(found).labels[near], self.seed)]

    def _rest(self, found: Found) -> NDArray[np.int64]:
        cut = sum(self.made(found).values())
        return np.setdiff1d(_train(found).labelled, self._order(found)[:cut])

    def held(self, found: Found) -> int:
        """Validation, test, the sample, and buffers of encoded images, counted as if they were decoded."""
        train, cut = _train(found), sum(self.made(found).values())
        near = len(some_rows(train, self.seed))
        own = sum(len(each.labelled) for name, each in found.splits.items() if name != "train")
        return min(SAMPLE, near - cut) + KEPT_BUFFERS * min(BUFFER, len(train.labelled) - cut) + cut + own


def _train(found: Found) -> Shards:
    return cast(Shards, found.splits["train"])


def _spread(found: Found, n: int) -> dict[str, NDArray[np.int64]]:
    """All rows of small splits, ``n`` of the others."""
    return {
        name: each.labelled if len(each.labelled) <= n else each.spread(n)
        for name, each in found.splits.items()
    }
