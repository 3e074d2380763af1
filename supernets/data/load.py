"""``load_data``: a name to three splits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from supernets.data.dataset import DataSet, assemble
from supernets.errors import DataError
from supernets.registry import Registry

DATASETS = Registry(
    "data set",
    {
        "digits": "supernets.data.digits:load",
        "fashion_mnist": "supernets.data.fashion_mnist:load",
        "cifar10": "supernets.data.cifar10:load",
        "folder": "supernets.data.folder:load",
        "parquet": "supernets.data.parquet:load",
        "stream": "supernets.data.stream:load",
        "hub": "supernets.data.stream:load_hub",
    },
)
"""A name, or the word before the colon in ``folder:PATH``, ``stream:PATH`` …, to its loader."""

WITH_PATH = ("folder", "parquet", "stream")
WITH_WORD = (*WITH_PATH, "hub")
FILES = {
    "fashion_mnist": ("fashion_mnist.npz",),
    "cifar10": ("cifar10_train.parquet", "cifar10_test.parquet"),
}
"""What the data folder must hold, if there is one, for the data sets that do not come with a library."""
MAX_RESOLUTION = 1024


@dataclass(frozen=True)
class Request:
    """What a loader is asked for.

    Attributes:
        name: of the data set.
        data_dir: folder with the files of known data sets, or None: the Hugging Face hub.
        path: what stands behind the colon of ``folder:PATH`` and ``parquet:PATH``.
        resolution: height and width in pixels, or None: that of the source.
        channels: 1 (grey) or 3 (RGB), or None: that of the source.
        seed: of the splits that the source does not bring.
    """

    name: str
    data_dir: Path | None
    path: Path
    resolution: int | None
    channels: int | None
    seed: int


@dataclass(frozen=True)
class Piles:
    """What a loader returns: class names, and images and labels per split that the source brings."""

    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Tensor, Tensor]]


def load_data(
    name: str,
    data_dir: Path | None = None,
    *,
    seed: int = 0,
    resolution: int | None = None,
    channels: int | None = None,
) -> DataSet:
    """The data set called ``name``: a key of ``DATASETS``, with ``:PATH`` or ``:NAME`` behind it where it takes one.

    Args:
        name: which.
        data_dir: where the files of ``fashion_mnist`` and ``cifar10`` lie; the default is the environment's
            ``NETWRIGHT_DATA``, and without that they come from the Hugging Face hub.
        seed: of the splits that the source does not bring; another seed gives other hashes.
        resolution: height and width of the stored images; the default is that of the source.
        channels: 1 or 3, to convert the images of a folder or a parquet file; the default is as they are.

    Raises:
        UnknownNameError: no such data set.
        DataError: it is absent (the message says how to get it), too small, or contradicts itself.
    """
    kind, request = requested(name, data_dir, seed, resolution, channels)
    made: Piles | DataSet = DATASETS.load(kind)(request)
    return made if isinstance(made, DataSet) else assemble(name, made.classes, made.splits, seed)


def check_data(name: str, data_dir: Path | None = None) -> None:
    """Raise what :func:`load_data` would for a name that is wrong or files that are not there; answers at once.

    The hub is not asked: whether it answers is known only when the data are loaded.
    """
    requested(name, data_dir)


def requested(
    name: str,
    data_dir: Path | None = None,
    seed: int = 0,
    resolution: int | None = None,
    channels: int | None = None,
) -> tuple[str, Request]:
    """The kind of data set and what its loader is asked for, checked."""
    kind, colon, text = name.partition(":")
    _ = DATASETS[kind]
    if bool(colon) != (kind in WITH_WORD) or (colon and not text):
        words = dict.fromkeys(WITH_PATH, ":PATH") | {"hub": ":NAME"}
        allowed = ", ".join(f"{k}{words.get(k, '')}" for k in DATASETS)
        raise DataError(f"a data set is one of {allowed}, but got {name!r}")
    if resolution is not None and not 1 <= resolution <= MAX_RESOLUTION:
        raise DataError(f"1 <= resolution <= {MAX_RESOLUTION} must hold, but got {resolution}")
    if channels not in (None, 1, 3) or (channels is not None and kind not in WITH_WORD):
        raise DataError(f"channels must be 1 or 3, for a folder or parquet file only, but got {channels}")
    if data_dir is None and os.environ.get("NETWRIGHT_DATA"):
        data_dir = Path(os.environ["NETWRIGHT_DATA"])
    path = Path(text)
    if kind == "folder" and not path.is_dir():
        raise DataError(f"folder:PATH must name a folder of class sub-folders, but {path} is none")
    if kind == "parquet" and not path.exists():
        raise DataError(f"parquet:PATH must name a parquet file or a folder of them, but {path} is none")
    if kind == "stream" and not path.is_dir():
        raise DataError(f"stream:PATH must name a folder of parquet files, but {path} is none")
    if data_dir is not None:
        _check_files(kind, data_dir)
    return kind, Request(name, data_dir, path, resolution, channels, seed)


def _check_files(kind: str, data_dir: Path) -> None:
    missing = [file for file in FILES.get(kind, ()) if not (data_dir / file).is_file()]
    if missing:
        raise DataError(
            f"{kind} must lie in the data folder as {' and '.join(FILES[kind])}, but {data_dir} has no "
            f"{' and no '.join(missing)}; put it there, set NETWRIGHT_DATA to the folder that has it, or unset "
            "NETWRIGHT_DATA to use the Hugging Face hub"
        )
