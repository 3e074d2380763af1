"""``text:PATH``: a parquet file, or a folder of them, with a text and a label in each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from supernets.data.dataset import SPLITS, DataSet, cut_out, stratified
from supernets.data.encoded import too_few
from supernets.data.stored.labels import LabelColumn, combine
from supernets.data.stored.tables import split_files
from supernets.data.text.dataset import padded, text_data
from supernets.data.text.source import TokenSource
from supernets.data.text.table import TextTable
from supernets.data_facts.spec import OF_SUPERNET
from supernets.errors import DataError
from supernets.words import counted

CHARACTERS = 64
"""Characters of a text that are read for each token of the window: the rest is cut off anyway."""
MIN_CUT = 20


@dataclass(frozen=True, eq=False)
class _Rows:
    """Texts with the class of each, by split."""

    classes: tuple[str, ...]
    texts: Mapping[str, list[str]]
    labels: Mapping[str, NDArray[np.int64]]


class TextSource(TokenSource):
    """Texts with one label each; a column ``split`` or the names of files give the split of a row.

    Missing splits are cut out of train, stratified by class.
    """

    def texts(self) -> list[Path]:
        """The parquet files."""
        return [path for paths in self._files().values() for path in paths]

    def classes(self) -> tuple[str, ...]:
        """The labels of train."""
        return self._rows.classes

    def labels(self) -> Mapping[str, NDArray[np.int64]]:
        """Class of each row."""
        return self._rows.labels

    def lengths(self, limit: int | None) -> NDArray[np.int64]:
        """Tokens of the training texts, special ones included; those beyond the window were not read."""
        if self.spec.tokenizer == OF_SUPERNET and self.beside is None:
            return np.empty(0, dtype=np.int64)
        tokenization = self.tokenization
        ends = len(tokenization.prefix) + len(tokenization.suffix)
        encoded = tokenization.encode(self._rows.texts["train"][:limit])
        return np.array([len(text) + ends for text in encoded], dtype=np.int64)

    def splits(self) -> DataSet:
        """All texts as tokens."""
        rows = self._rows
        encoded = {split: self._encoded(split, texts) for split, texts in rows.texts.items()}
        longest = max(len(text) for texts in encoded.values() for text in texts)
        window = max(1, min(self.window, longest))
        piles = {
            split: (padded(texts, window), torch.from_numpy(rows.labels[split]))
            for split, texts in encoded.items()
        }
        return text_data(str(self.spec), rows.classes, piles, self.tokenization)

    def _encoded(self, split: str, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text; without any, not even a special one, a network would have nothing to compute from."""
        tokenization = self.tokenization
        encoded = tokenization.encode(texts)
        if tokenization.prefix or tokenization.suffix:
            return encoded
        empty = [row for row, tokens in enumerate(encoded) if not tokens]
        if empty:
            raise DataError(
                f"every text must have a token, but {tokenization.name} gives none for "
                f"{counted(len(empty), 'text')} of {split}, the first is {texts[empty[0]][:50]!r}",
                "empty_text",
            )
        return encoded

    def _files(self) -> dict[str, list[Path]]:
        path = Path(self.spec.location)
        if path.is_dir():
            return split_files(path)[0]
        if not path.is_file():
            raise DataError(
                f"text:PATH must name a parquet file or a folder of them, but there is none at {path}",
                "data_missing",
            )
        return {"train": [path]}

    @cached_property
    def _rows(self) -> _Rows:
        files = self._files()
        tables = {
            split: [TextTable.read(path, CHARACTERS * self.window) for path in paths]
            for split, paths in files.items()
        }
        texts: dict[str, list[str]] = {}
        columns: dict[str, list[LabelColumn]] = {}
        for split, found in tables.items():
            for table in found:
                for part, rows in _parts(table, split).items():
                    texts.setdefault(part, []).extend(table.texts[row] for row in rows)
                    columns.setdefault(part, []).append(_of(table.column, rows))
        if "train" not in texts:
            raise DataError(
                f"{self.spec} must have rows of train, but has {', '.join(texts)}", "no_train_split"
            )
        ordered = {str(split): columns[split] for split in SPLITS if split in columns}
        classes, labels = combine(ordered, ())
        return self._with_missing(classes, texts, labels)

    def _with_missing(
        self, classes: tuple[str, ...], texts: dict[str, list[str]], labels: dict[str, NDArray[np.int64]]
    ) -> _Rows:
        """The rows with all three splits."""
        made = cut_out({split: len(found) for split, found in labels.items()})
        if made and min(made.values()) < MIN_CUT:
            raise too_few(str(self.spec), len(labels["train"]), made)
        order = stratified(labels["train"], self.seed)
        start = 0
        rows: dict[str, NDArray[np.int64]] = {}
        for split, size in made.items():
            rows[split], start = order[start : start + size], start + size
        rows["train"] = np.sort(order[start:])
        whole = texts["train"], labels["train"]
        for split, chosen in rows.items():
            texts[split], labels[split] = [whole[0][row] for row in chosen], whole[1][chosen]
        return _Rows(classes, texts, labels)


def _parts(table: TextTable, split: str) -> dict[str, NDArray[np.int64]]:
    """The rows of each split of a file."""
    if table.splits is None:
        return {split: np.arange(len(table.texts))}
    named = np.array(table.splits)
    return {str(part): np.flatnonzero(named == part) for part in np.unique(named)}


def _of(column: LabelColumn, rows: NDArray[np.int64]) -> LabelColumn:
    """The labels of some rows."""
    codes = column.codes[rows]
    used, codes = np.unique(codes, return_inverse=True)
    values = tuple(column.values[code] for code in used)
    return LabelColumn(column.file, column.kind, column.type, codes.astype(np.int64), values)
