"""Splits and data sets of token ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NoReturn

import numpy as np
import torch
from torch import Tensor

from supernets.data.dataset import SPLITS, DataSet
from supernets.data.splits import HeldSplit
from supernets.data.text.tokenization import Tokenization
from supernets.errors import DataError

NO_TOKEN = -1
"""Stored where a text has ended."""


class TokenSplit(HeldSplit):
    """Tokens ``(n, window) int32``, ``NO_TOKEN`` after the end; labels ``(n,)``, or ``(n, window)`` of running text."""

    def check(self) -> None:
        """See :meth:`HeldSplit.check`."""
        tokens, labels = self.stored, self.labels
        if tokens.dtype != torch.int32 or tokens.ndim != 2:
            raise DataError(
                f"tokens must be int32 (n, window), but {self.name} is {tokens.dtype} {tuple(tokens.shape)}"
            )
        if labels.dtype != torch.int64 or labels.shape not in (tokens.shape[:1], tokens.shape):
            raise DataError(
                f"labels must be int64 ({len(tokens)},) or {tuple(tokens.shape)}, but {self.name} has {labels.dtype} "
                f"{tuple(labels.shape)}"
            )


@dataclass(frozen=True, eq=False)
class TextData(DataSet):
    """Texts in three splits; without ``classes`` each token's label is the token that follows it."""

    tokenization: Tokenization = Tokenization(b"", 256)
    reads: ClassVar[str] = "text"

    def check_labels(self) -> None:
        """As for images where texts have classes."""
        if self.classes:
            super().check_labels()

    @property
    def channels(self) -> NoReturn:
        """Refused: texts have none."""
        raise DataError(f"{self.name!r} holds texts, which have no channels")

    @property
    def base_resolution(self) -> NoReturn:
        """Refused: texts have none."""
        raise DataError(f"{self.name!r} holds texts, which have no resolution")

    def tokenizer_file(self) -> str | None:
        """The content of ``tokenizer.json``; None for bytes."""
        return self.tokenization.content.decode() or None

    def preprocessing(self) -> dict[str, object]:
        """The tokenizer (its hash), special tokens and padding; the network's sequence length is its own."""
        return self.tokenization.as_json()


def padded(texts: Sequence[Sequence[int]], window: int) -> Tensor:
    """Token ids ``(n, window) int32`` of texts, longer ones cut."""
    tokens = np.full((len(texts), window), NO_TOKEN, dtype=np.int32)
    for row, text in enumerate(texts):
        kept = text[:window]
        tokens[row, : len(kept)] = kept
    return torch.from_numpy(tokens)


def text_data(
    name: str,
    classes: Sequence[str],
    piles: Mapping[str, tuple[Tensor, Tensor]],
    tokenization: Tokenization,
) -> TextData:
    """A data set of three splits of tokens and labels."""
    train, validation, test = (TokenSplit(split, *piles[split]) for split in SPLITS)
    return TextData(name, tuple(classes), train, validation, test, tokenization=tokenization)
