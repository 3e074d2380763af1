"""Any folder of images: a sub-folder per class, below ``train``/``validation``/``test`` if it has splits."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from supernets.data.dataset import left_for_train
from supernets.data.facts import HEADERS, Facts
from supernets.data.images import common_form, opened, stack
from supernets.data.load import Piles, Request
from supernets.errors import DataError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


def load(request: Request) -> Piles:
    """All images below ``request.path``; classes are the names of the sub-folders, sorted."""
    files, classes = _found(request.path)
    return Piles(classes, _read(files, classes, request))


def facts(request: Request) -> Facts:
    """From the names of all files, and the headers of some from every part of the folder."""
    files, classes = _found(request.path)
    sizes = {split: sum(map(len, found.values())) for split, found in files.items()}
    if not sizes.get("train"):
        raise DataError(f"{request.path} must bring a train split with images, but has none")
    paths = [path for found in files.values() for name in found for path in found[name]]
    resolution, channels = _form(paths[:: -(-len(paths) // HEADERS)], request)
    return Facts(
        request.name, classes, channels, resolution, train=left_for_train(sizes), held=sum(sizes.values())
    )


def _found(root: Path) -> tuple[dict[str, dict[str, list[Path]]], tuple[str, ...]]:
    """Split to class to files, and all classes."""
    subfolders = _subfolders(root)
    splits = {SPLIT_NAMES[folder.name]: folder for folder in subfolders if folder.name in SPLIT_NAMES}
    if not splits:
        splits = {"train": root}
    elif len(splits) < len(subfolders):
        other = ", ".join(folder.name for folder in subfolders if folder.name not in SPLIT_NAMES)
        raise DataError(
            f"{root} must hold either splits or classes, but holds {', '.join(splits)} beside {other}"
        )
    files = {split: _files(folder, root) for split, folder in splits.items()}
    classes = tuple(sorted({name for found in files.values() for name in found}))
    if not classes:
        raise DataError(
            f"{root} must hold class sub-folders with images ({', '.join(SUFFIXES)}), but has none"
        )
    return files, classes


def _read(
    files: dict[str, dict[str, list[Path]]], classes: tuple[str, ...], request: Request
) -> dict[str, tuple[Tensor, Tensor]]:
    rows = {
        split: [(path, classes.index(name)) for name, paths in sorted(found.items()) for path in paths]
        for split, found in files.items()
    }
    resolution, channels = _form([path for found in rows.values() for path, _ in found], request)
    return {
        split: (
            stack(
                (opened(path.read_bytes(), _named(path)) for path, _ in found),
                len(found),
                resolution,
                channels,
            ),
            torch.tensor([label for _, label in found], dtype=torch.int64),
        )
        for split, found in rows.items()
    }


def _named(path: Path) -> str:
    """A file in an error: many classes may have a ``1.png``."""
    return f"{path.parent.name}/{path.name}"


def _form(paths: list[Path], request: Request) -> tuple[int, int]:
    if request.resolution is not None and request.channels is not None:
        return request.resolution, request.channels
    headers = []
    for path in paths:
        with opened(path, _named(path)) as image:
            headers.append(image)
    return common_form(headers, request.resolution, request.channels)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _files(folder: Path, root: Path) -> dict[str, list[Path]]:
    """Class name to its image files, sorted; a link that leads out of ``root`` is refused."""
    found = {}
    for subfolder in _subfolders(folder):
        paths = sorted(
            Path(where) / name
            for where, _, names in os.walk(subfolder)
            for name in names
            if name.lower().endswith(SUFFIXES)
        )
        for path in paths:
            if not path.resolve().is_relative_to(root.resolve()):
                raise DataError(f"images must lie below {root}, but {path} is a link that leads out of it")
        if paths:
            found[subfolder.name] = paths
    return found
