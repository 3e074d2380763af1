"""Parquet files with an image and a label column, as the Hugging Face hub writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from supernets.data.dataset import left_for_train
from supernets.data.facts import HEADERS, Facts
from supernets.data.images import common_form, opened, stack
from supernets.data.load import Piles, Request
from supernets.errors import DataError

IMAGE_COLUMNS = ("image", "img", "image_webp", "image_png", "picture")
LABEL_COLUMNS = ("label", "labels", "class", "target", "fine_label", "y")


@dataclass(frozen=True, eq=False)
class Table:
    """One file: ``images (n, c, r, r) uint8``, ``labels (n,) int64`` and their names."""

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]


def load(request: Request) -> Piles:
    """A file, which is split by seed, or a folder with a train and, if any, a validation and a test file."""
    path = request.path
    files = _files(path)
    resolution, channels = request.resolution, request.channels
    splits: dict[str, tuple[Tensor, Tensor]] = {}
    classes: tuple[str, ...] = ()
    for split, file in files.items():  # train first: the other splits take its form
        table = read_table(file, resolution, channels)
        if splits and table.classes != classes:
            raise DataError(
                f"all splits of {path} must have the same classes, but train has {list(classes)[:10]} and "
                f"{split} {list(table.classes)[:10]}"
            )
        classes = table.classes
        resolution, channels = table.images.shape[2], table.images.shape[1]
        splits[split] = table.images, table.labels
    return Piles(classes, splits)


def facts(request: Request) -> Facts:
    """From schemas and labels, and the headers of the first images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = _files(request.path)
    try:
        sizes = {split: pq.read_metadata(file).num_rows for split, file in files.items()}
        classes, column = known_classes(files["train"])
        headers = first_headers(files["train"], column)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{request.path.name} must hold parquet files that can be read, but: {error}"
        ) from error
    resolution, channels = common_form(headers, request.resolution, request.channels)
    return Facts(
        request.name, classes, channels, resolution, train=left_for_train(sizes), held=sum(sizes.values())
    )


def known_classes(path: Path) -> tuple[tuple[str, ...], str]:
    """Class names of a file, and the name of its image column."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        image_column, label_column = columns_of(file.schema_arrow, path.name)
        names = names_of(file.schema_arrow, label_column)
        values = file.read(columns=[label_column])[label_column].to_pylist()
    return labels_of(values, names, path.name)[1], image_column


def first_headers(path: Path, column: str) -> list[Image]:
    """The first images of a file, of its first row group and at most ``HEADERS``; headers read only."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        groups = [0] if file.metadata.num_rows else []
        batches = file.iter_batches(batch_size=HEADERS, row_groups=groups, columns=[column])
        cells: list[Any] = next((batch[column].to_pylist() for batch in batches), [])
    encoded = encoded_images(cells, column, path.name)
    return [opened(cell, f"row {row} of {path.name}") for row, cell in enumerate(encoded)]


def _files(path: Path) -> dict[str, Path]:
    return _splits(path) if path.is_dir() else {"train": path}


def _splits(folder: Path) -> dict[str, Path]:
    found = split_files(folder)
    for split, files in found.items():
        if len(files) > 1:
            raise DataError(
                f"one parquet file per split is read, but {folder} has {len(files)} for {split}; "
                f"stream:PATH reads any number, and holds little in memory"
            )
    return {split: files[0] for split, files in found.items()}


def split_files(folder: Path) -> dict[str, list[Path]]:
    """The parquet files of each split by what their names say, sorted; in ``folder`` or in ``data`` below it."""
    files = sorted(folder.glob("*.parquet")) or sorted((folder / "data").glob("*.parquet"))
    found: dict[str, list[Path]] = {}
    for split, words in (("train", ("train",)), ("validation", ("val", "dev")), ("test", ("test",))):
        if named := [file for file in files if any(word in file.stem.lower() for word in words)]:
            found[split] = named
    if "train" not in found:
        raise DataError(
            f"{folder} must hold a file with 'train' in its name and .parquet behind it, but has none"
        )
    return found


def encoded_images(cells: list[Any], column: str, label: str) -> list[bytes]:
    """The bytes of a column's images, which the hub keeps in a field of that name."""
    encoded = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
    if not encoded or any(not isinstance(cell, bytes) for cell in encoded):
        raise DataError(f"column {column!r} of {label} must hold an encoded image in every row")
    return encoded


def read_table(path: Path, resolution: int | None, channels: int | None) -> Table:
    """All rows of one file; image and label columns are found by name, otherwise by type."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        image_column, label_column = columns_of(file.schema_arrow, path.name)
        names = names_of(file.schema_arrow, label_column)
        table = file.read(columns=[image_column, label_column])
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path.name} must be a parquet file that can be read, but: {error}") from error
    encoded = encoded_images(table[image_column].to_pylist(), image_column, path.name)
    labels, classes = labels_of(table[label_column].to_pylist(), names, path.name)
    if resolution is None or channels is None:
        headers = [opened(cell, f"row {row} of {path.name}") for row, cell in enumerate(encoded)]
        resolution, channels = common_form(headers, resolution, channels)
    decoded = (opened(cell, f"row {row} of {path.name}") for row, cell in enumerate(encoded))
    return Table(stack(decoded, len(encoded), resolution, channels), torch.from_numpy(labels), classes)


def columns_of(schema: Any, label: str) -> tuple[str, str]:
    """Names of the image and the label column."""
    import pyarrow as pa

    def is_image(kind: Any) -> bool:
        is_struct = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        return bool(is_struct or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    def is_label(kind: Any) -> bool:
        return any(fits(kind) for fits in (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string))

    found = []
    for what, known, fits in (("image", IMAGE_COLUMNS, is_image), ("label", LABEL_COLUMNS, is_label)):
        fitting = [column.name for column in schema if fits(column.type)]
        chosen = [name for name in known if name in fitting] or fitting
        if not chosen or (len(chosen) > 1 and chosen[0] not in known):
            raise DataError(
                f"{label} must have one {what} column (known names: {', '.join(known)}), but its columns are "
                f"{', '.join(f'{c.name}: {c.type}' for c in schema)}"
            )
        found.append(chosen[0])
    return found[0], found[1]


def names_of(schema: Any, label_column: str) -> tuple[str, ...]:
    """Class names from the hub's own note in the file, or none."""
    note = (schema.metadata or {}).get(b"huggingface")
    if note is None:
        return ()
    try:
        names = json.loads(note)["info"]["features"][label_column]["names"]
    except (ValueError, KeyError, TypeError):
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def labels_of(
    values: list[Any], names: tuple[str, ...], label: str
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels ``(n,)`` as indices, and the class names: the known ones, or the values themselves, sorted."""
    if any(value is None for value in values):
        raise DataError(f"every row of {label} needs a label, but row {values.index(None)} has none")
    if names and all(isinstance(value, int) and 0 <= value < len(names) for value in values):
        return np.asarray(values, dtype=np.int64), names
    choices = sorted(set(values))
    index = {value: position for position, value in enumerate(choices)}
    return np.asarray([index[value] for value in values], dtype=np.int64), tuple(map(str, choices))
