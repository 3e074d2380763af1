"""What sources of texts share: the tokenizer, the facts, and the report."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supernets.data.source import DataSource, Facts, Look
from supernets.data.text.tokenization import BYTES, Tokenization
from supernets.data_facts.report import DataReport, Details, SplitReport

WINDOW = 256
"""Tokens of a stored text unless the spec has ``window``."""


class TokenSource(DataSource):
    """Texts of any kind, held in memory as token ids."""

    @cached_property
    def tokenization(self) -> Tokenization:
        """That of the spec."""
        return Tokenization.read(self.spec.tokenizer)

    @property
    def window(self) -> int:
        """Tokens of a stored text."""
        return WINDOW if self.spec.window is None else self.spec.window

    @abstractmethod
    def texts(self) -> list[Path]:
        """The files with texts."""

    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; none for running text."""

    @abstractmethod
    def labels(self) -> Mapping[str, NDArray[np.int64]]:
        """For each split the label of each example, ``(n,)``; zeros where there are no classes."""

    def files(self) -> list[Path]:
        """Those with texts, and the tokenizer."""
        own = [] if self.spec.tokenizer == BYTES else [Path(self.spec.tokenizer)]
        return [*self.texts(), *own]

    def facts(self) -> Facts:
        """From the columns and the tokenizer."""
        sizes = {split: len(labels) for split, labels in self.labels().items()}
        return Facts(
            str(self.spec),
            self.classes(),
            train=sizes["train"],
            held=sum(sizes.values()),
            reads="text",
            vocabulary=self.tokenization.vocabulary,
        )

    def look(self, limit: int | None = None) -> Look:  # noqa: ARG002 (labels are read whole)
        """Counts of classes; there are no images to look at."""
        classes = self.classes()
        splits = {}
        for split, labels in self.labels().items():
            counts = np.bincount(labels, minlength=len(classes))
            splits[split] = SplitReport(
                images=len(labels), classes=dict(zip(classes, map(int, counts), strict=False))
            )
        return Look(DataReport(splits=splits, details=Details(spec=str(self.spec))), {}, classes)
