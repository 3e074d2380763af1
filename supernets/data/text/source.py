"""What sources of texts share: the tokenizer, the facts, and the report."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supernets.data.source import DataSource, Facts, Look
from supernets.data.text.tokenization import TOKENIZER_FILE, Tokenization
from supernets.data_facts.report import DataReport, Details, SplitReport
from supernets.data_facts.spec import BYTES, OF_SUPERNET
from supernets.errors import DataError

WINDOW = 256
"""Tokens of a stored text unless the spec has ``window``."""


class TokenSource(DataSource):
    """Texts of any kind, held in memory as token ids."""

    @cached_property
    def tokenization(self) -> Tokenization:
        """That of the spec, or of the supernet that the data are for."""
        if self.spec.tokenizer != OF_SUPERNET:
            return Tokenization.read(self.spec.tokenizer)
        if self.beside is None:
            raise DataError(
                f"tokenizer={OF_SUPERNET} is that of the supernet which texts are for, but {self.spec} was read "
                f"without one; give {BYTES!r} or the path of a {TOKENIZER_FILE}",
                "tokenizer",
            )
        return Tokenization.read(str(self.beside / TOKENIZER_FILE))

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
        if self.spec.tokenizer == BYTES:
            return self.texts()
        if self.spec.tokenizer != OF_SUPERNET:
            return [*self.texts(), Path(self.spec.tokenizer)]
        return [*self.texts(), *([] if self.beside is None else [self.beside / TOKENIZER_FILE])]

    def facts(self) -> Facts:
        """From the columns and the tokenizer."""
        sizes = {split: len(labels) for split, labels in self.labels().items()}
        known = self.spec.tokenizer != OF_SUPERNET or self.beside is not None
        return Facts(
            str(self.spec),
            self.classes(),
            train=sizes["train"],
            held=sum(sizes.values()),
            reads="text",
            vocabulary=self.tokenization.vocabulary if known else None,
        )

    def lengths(self, limit: int | None) -> NDArray[np.int64]:
        """Tokens of each text of train, or of the first ``limit``, before any is cut; none for running text."""
        del limit
        return np.empty(0, dtype=np.int64)

    def look(self, limit: int | None = None) -> Look:
        """Counts of classes and lengths of texts; there are no images to look at."""
        classes = self.classes()
        splits = {}
        for split, labels in self.labels().items():
            counts = np.bincount(labels, minlength=len(classes))
            splits[split] = SplitReport(
                images=len(labels), classes=dict(zip(classes, map(int, counts), strict=False))
            )
        details = Details(spec=str(self.spec), reads="text")
        found = self.lengths(limit)
        if len(found):
            middle, most = np.quantile(found, (0.5, 0.9), method="higher").tolist()
            tokens = {"median": middle, "p90": most, "longest": int(found.max())}
            details = details.model_copy(update={"tokens": tokens, "examined": len(found)})
        return Look(DataReport(splits=splits, details=details), {}, classes)
