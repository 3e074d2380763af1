"""Sources whose images are encoded files or cells: looked at before they are trained on, and decoded into memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from supernets.data.dataset import MIN_SPLIT, SHARES, DataSet, assemble, cut_out, stratified
from supernets.data.examine import Pile, make_report
from supernets.data.images import Form, Survey, common_form, decode, survey
from supernets.data.source import DataSource, Facts, Look
from supernets.data.stored.examples import Examples, Found
from supernets.data_facts.report import DataReport
from supernets.errors import DataError

HEADERS = 1000
"""The most images of a split whose header is read for facts; a split of more may turn out to hold others."""
MAX_DECODED = 400_000_000
"""Pixels that the report of a sample decodes: a bound on its time."""
Rows = Mapping[str, NDArray[np.int64]]


class EncodedSource(DataSource):
    """A user's own images."""

    @abstractmethod
    def found(self) -> Found:
        """Names and labels of everything; no image is read."""

    def made(self, found: Found) -> dict[str, int]:
        """The splits that are cut out of train, with their number of images."""
        return cut_out(_sizes(found))

    def left(self, found: Found) -> NDArray[np.int64]:
        """Labels of the images that train keeps when the missing splits are cut out of it."""
        labels = found.splits["train"].labels[found.splits["train"].labelled]
        return labels[stratified(labels, self.seed)[sum(self.made(found).values()) :]]

    def held(self, found: Found) -> int:
        """Number of images in memory while training."""
        return sum(_sizes(found).values())

    def facts(self) -> Facts:
        """From names, labels, and the headers of at most ``HEADERS`` images of a split."""
        found = self.found()
        if errors := [(code, message) for level, code, message in found.problems if level == "error"]:
            raise DataError(errors[0][1], errors[0][0])
        seen = self._survey(found, {name: each.spread(HEADERS) for name, each in found.splits.items()})
        form = common_form(seen, self.spec)
        return Facts(
            str(self.spec),
            found.classes,
            form.channels,
            form.resolution,
            train=len(found.splits["train"].labelled) - sum(self.made(found).values()),
            held=self.held(found),
        )

    def splits(self) -> DataSet:
        """All images, decoded; refused where the report has an error."""
        found = self.found()
        every = {name: each.labelled for name, each in found.splits.items()}
        report, piles, _ = self._examined(found, every, every)
        report.refuse()
        tensors = {name: (pile.images, torch.from_numpy(pile.labels)) for name, pile in piles.items()}
        return assemble(str(self.spec), found.classes, tensors, self.seed, report)

    def look(self, limit: int | None = None) -> Look:
        """All images, or a sample of each split."""
        found = self.found()
        rows = {
            name: each.labelled if limit is None else each.spread(limit)
            for name, each in found.splits.items()
        }
        report, piles, _ = self._examined(found, rows, rows, bounded=limit is not None)
        return Look(report, piles, found.classes)

    def _survey(self, found: Found, rows: Rows) -> Survey:
        seen = Survey()
        for name, examples in found.splits.items():
            survey(examples.cells(rows[name]), self.spec, seen)
        if not seen.n:
            raise DataError(
                seen.unreadable[0] if seen.unreadable else f"{self.spec} has no images", "no_images"
            )
        return seen

    def _examined(
        self, found: Found, rows: Rows, headers: Rows, bounded: bool = False
    ) -> tuple[DataReport, dict[str, Pile], Form]:
        """The report, what was decoded for it, and its form.

        Args:
            found: what there is.
            rows: what is decoded of each split.
            headers: whose headers are read.
            bounded: decode fewer rows where they have more than ``MAX_DECODED`` pixels.
        """
        seen = self._survey(found, headers)
        form = common_form(seen, self.spec)
        if bounded:
            pixels = sum(w * h * n for (w, h), n in seen.sizes.items())
            rows = {name: chosen[:: -(-pixels // MAX_DECODED)] for name, chosen in rows.items()}
        piles = {name: _pile(examples, rows[name], form) for name, examples in found.splits.items()}
        made = self.made(found)
        report = make_report(found, piles, form, seen, str(self.spec), made, self.left(found))
        if made and min(made.values()) < MIN_SPLIT:
            error = too_few(str(self.spec), len(found.splits["train"].labelled), made)
            report.add_error(error.code, str(error))
        return report, piles, form


def too_few(name: str, train: int, made: Iterable[str]) -> DataError:
    """The refusal of a train split from which no other can be cut."""
    missing = list(made)
    return DataError(
        f"{name} has {train} training images, too few to cut out {' and '.join(missing)}: at least "
        f"{MIN_SPLIT * SHARES[len(missing)]} are needed",
        "too_few_images",
    )


def _pile(examples: Examples, rows: NDArray[np.int64], form: Form) -> Pile:
    decoded = decode(examples.cells(rows), len(rows), form)
    kept = rows[decoded.kept]
    return Pile(decoded.images, examples.labels[kept], kept, decoded.unreadable)


def _sizes(found: Found) -> dict[str, int]:
    return {name: len(examples.labelled) for name, examples in found.splits.items()}
