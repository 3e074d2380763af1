"""``corpus:PATH``: running text, from a file or all text files of a folder, cut into windows of tokens."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernets.data.dataset import MIN_SPLIT, SPLITS, DataSet
from supernets.data.stored.names import is_hidden, is_system
from supernets.data.stored.order import permutation
from supernets.data.text.dataset import text_data
from supernets.data.text.source import TokenSource
from supernets.errors import DataError

SUFFIXES = (".txt", ".md", ".py", ".rst", ".text")
MAX_BYTES = 1 << 30
PIECES = 50
"""A corpus of fewer files is cut into about this many pieces, which are divided among the splits."""
HELD_OUT = 10
"""One piece in this many is validation, and one is test."""
MOST_HELD = 500
"""Windows of validation, and of test: of more, this many are kept, evenly spread."""


class CorpusSource(TokenSource):
    """Windows of a text, each with the tokens that follow; no window crosses the end of a file.

    Whole files (of a corpus of few: pieces of them) belong to one split, drawn by seed.
    """

    def texts(self) -> list[Path]:
        """A file, or those of a folder, sorted."""
        path = Path(self.spec.location)
        if path.is_file():
            return [path]
        found = sorted(text_files(path))
        if not found:
            raise DataError(
                f"corpus:PATH must name a text file or a folder with files ending in {', '.join(SUFFIXES)}, but "
                f"there is none at {path}",
                "data_missing",
            )
        return found

    def classes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def labels(self) -> Mapping[str, NDArray[np.int64]]:
        """A zero for each window."""
        return {split: np.zeros(len(tokens), dtype=np.int64) for split, (tokens, _) in self._piles.items()}

    def splits(self) -> DataSet:
        """All windows."""
        return text_data(str(self.spec), (), self._piles, self.tokenization)

    @cached_property
    def _piles(self) -> dict[str, tuple[Tensor, Tensor]]:
        pieces = self._pieces()
        order = permutation(len(pieces), self.seed)
        held = max(1, len(pieces) // HELD_OUT)
        parts = {
            "validation": order[:held],
            "test": order[held : 2 * held],
            "train": np.sort(order[2 * held :]),
        }
        piles = {split: _windows([pieces[k] for k in chosen], self.window) for split, chosen in parts.items()}
        for split in ("validation", "test"):
            tokens, following = piles[split]
            kept = torch.linspace(0, max(0, len(tokens) - 1), min(len(tokens), MOST_HELD)).long()
            piles[split] = tokens[kept], following[kept]
        for split in SPLITS:
            if len(piles[split][0]) < MIN_SPLIT:
                raise DataError(
                    f"every split needs at least {MIN_SPLIT} windows of {self.window} tokens, but {split} of "
                    f"{str(self.spec)!r} has {len(piles[split][0])}; add text, or set a smaller window",
                    "too_few_texts",
                )
        return piles

    def _pieces(self) -> list[list[int]]:
        """Token ids of every file, or of about equal pieces where there are few files."""
        paths = self.texts()
        total = sum(path.stat().st_size for path in paths)
        if total > MAX_BYTES:
            raise DataError(
                f"a corpus may have {MAX_BYTES:,} bytes, but {self.spec} has {total:,}", "too_large"
            )
        texts = [path.read_bytes().decode("utf-8", "replace") for path in paths]
        if len(texts) < PIECES:
            size = max(1, -(-sum(map(len, texts)) // PIECES))
            texts = [text[start : start + size] for text in texts for start in range(0, len(text), size)]
        return self.tokenization.encode(texts)


def text_files(folder: Path) -> list[Path]:
    """The text files at any depth below a folder; links to folders are not followed."""
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name) and not is_system(name)]
        found += [Path(where, name) for name in names if name.endswith(SUFFIXES) and not is_hidden(name)]
    return found


def _windows(pieces: Sequence[Sequence[int]], window: int) -> tuple[Tensor, Tensor]:
    """Tokens ``(n, window) int32`` and the token after each, ``(n, window) int64``; a rest is left out."""
    found = [
        np.asarray(piece[: (len(piece) - 1) // window * window + 1], dtype=np.int64)
        for piece in pieces
        if len(piece) > window
    ]
    empty = np.zeros((0, window), dtype=np.int64)
    tokens = np.concatenate([empty, *(each[:-1].reshape(-1, window) for each in found)])
    following = np.concatenate([empty, *(each[1:].reshape(-1, window) for each in found)])
    return torch.from_numpy(tokens.astype(np.int32)), torch.from_numpy(following)
