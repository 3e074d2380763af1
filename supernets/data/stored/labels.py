"""Label columns of parquet files: which types are labels, and how their values become class indices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from supernets.data.stored.order import NO_LABEL
from supernets.errors import DataError

if TYPE_CHECKING:
    import pyarrow

MAX_NAME = 200
"""Characters of a class name."""
MAX_CLASSES = 100_000


@dataclass(frozen=True, eq=False)
class LabelColumn:
    """The labels of one file. ``codes (n,) int64`` index ``values``; ``NO_LABEL`` where a row has none.

    ``kind`` is "integer", "boolean" or "text"; ``values`` are distinct and sorted.
    """

    file: str
    kind: str
    type: str
    codes: NDArray[np.int64]
    values: tuple[int | str, ...]

    @classmethod
    def read(cls, file: str, kind: pyarrow.DataType, batches: Iterator[pyarrow.Array]) -> LabelColumn:
        """The column of arrow type ``kind`` whose values come in arrow arrays, read one at a time."""
        word = label_kind(kind)
        if word is None:
            raise DataError(
                f"labels must be integers, booleans or text (categories and whole decimals too), but the label "
                f"column of {file} has type {kind}",
                "label_type",
            )
        index: dict[int | str, int] = {}
        parts = [_codes(batch, word, file, index) for batch in batches]
        codes = np.concatenate([np.zeros(0, np.int64), *parts])
        values = sorted(index)
        place = np.empty(len(values) + 1, np.int64)
        for position, value in enumerate(values):
            place[index[value]] = position
        place[NO_LABEL] = NO_LABEL
        return cls(file, word, str(kind), place[codes], tuple(values))


def label_kind(kind: pyarrow.DataType) -> str | None:
    """What an arrow type holds as a label: "integer", "boolean", "text", or none."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return label_kind(kind.value_type)
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "integer"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    return None


def _codes(batch: pyarrow.Array, word: str, file: str, index: dict[int | str, int]) -> NDArray[np.int64]:
    """Index of each value, in order of first appearance."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if (
        word == "text"
        and not pa.types.is_dictionary(batch.type)
        and batch.nbytes > len(batch) * MAX_NAME // 2
    ):
        _check_length(batch, file)
    encoded = batch if pa.types.is_dictionary(batch.type) else pc.dictionary_encode(batch)
    if word == "text":
        _check_length(encoded.dictionary, file)
    names = [_plain(value, word, file) for value in encoded.dictionary.to_pylist()]
    places = [NO_LABEL if name is None else index.setdefault(name, len(index)) for name in names]
    if len(index) > MAX_CLASSES:
        raise DataError(
            f"a data set may have {MAX_CLASSES:,} classes, but {file} has more", "too_many_classes"
        )
    found = encoded.indices.to_numpy(zero_copy_only=False)
    missing = np.asarray(encoded.indices.is_null())
    whole = np.where(missing, len(places), found).astype(np.int64)
    return np.array([*places, NO_LABEL], dtype=np.int64)[whole]


def _check_length(values: pyarrow.Array, file: str) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string_view(values.type):
        values = values.cast(pa.large_string())
    longest = pc.max(pc.binary_length(values)).as_py() if len(values) else 0
    if (longest or 0) > 4 * MAX_NAME:
        raise DataError(
            f"a class name may have {MAX_NAME} characters, but a label of {file} has {longest:,} bytes",
            "label_type",
        )


def _plain(value: bool | int | float | Decimal | str | None, word: str, file: str) -> int | str | None:
    """A label as a Python value; whole floats and decimals are integers, blank text is no label."""
    if value is None or word == "text":
        return None if value is None or not str(value).strip() else str(value)
    if isinstance(value, float) and value != value:
        return None
    if value in (float("inf"), float("-inf")) or value != int(value) or not -(2**63) <= value < 2**63:
        raise DataError(
            f"labels must be classes, whole numbers or text, but {file} has {value}; a column of measured values is "
            f"no label",
            "label_type",
        )
    return int(value)


def combine(
    columns: Mapping[str, Sequence[LabelColumn]], names: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Class names, and the labels ``(n,) int64`` of every split, of all its files in order.

    Args:
        columns: split to its files; train first.
        names: known names of classes 0, 1, ..., or none: then the values of train are the classes.

    Raises:
        DataError: files of different kinds, or labels that are no class of train.
    """
    files = [column for found in columns.values() for column in found]
    kinds = {column.kind: column for column in reversed(files)}
    if len(kinds) > 1:
        first, second = sorted(kinds.values(), key=files.index)[:2]
        raise DataError(
            f"all files must have labels of one type, but {first.file} has {first.type} ({first.kind}) and "
            f"{second.file} {second.type} ({second.kind}); write them with the same type",
            "label_types_differ",
        )
    if names and next(iter(kinds)) != "text":
        known: Sequence[int | str] = range(len(names))
        shown = names
    else:
        known = sorted({value for column in columns["train"] for value in column.values})
        boolean = next(iter(kinds)) == "boolean"
        shown = tuple(("false", "true")[int(value)] if boolean else str(value) for value in known)
    index = {value: position for position, value in enumerate(known)}
    labels = {
        split: np.concatenate([_mapped(column, index, split) for column in found])
        for split, found in columns.items()
    }
    return tuple(shown), labels


def _mapped(column: LabelColumn, index: Mapping[int | str, int], split: str) -> NDArray[np.int64]:
    """The labels of a file as class indices; -1 marks a row without a label unless train has it as a class."""
    places = []
    for value in column.values:
        if value in index:
            places.append(index[value])
        elif value == NO_LABEL:
            places.append(NO_LABEL)
        else:
            row = int(np.flatnonzero(column.codes == len(places))[0])
            choices = ", ".join(map(str, list(index)[:10])) + (", ..." if len(index) > 10 else "")
            raise DataError(
                f"every label must be a class of train ({choices}), but row {row} of {column.file} ({split}) has "
                f"{value!r}",
                "unknown_label",
            )
    return np.array([*places, NO_LABEL], dtype=np.int64)[column.codes]
