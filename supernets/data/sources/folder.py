"""``folder:PATH``: a sub-folder of images for each class; below ``train``, ``validation``, ``test`` if it has them."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from supernets.data.encoded import EncodedSource
from supernets.data.stored.examples import Files, Found
from supernets.data.stored.names import is_hidden, is_system, one_each, split_of_folder
from supernets.data_facts.report import Level
from supernets.errors import DataError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
ORDER = ("train", "validation", "test")
SHOWN = 5
MAX_DEPTH = 20
HIDDEN, SYSTEM, LINKS, DEEP, LOOSE = (
    "hidden",
    "files of the operating system",
    "links to folders",
    "folders too deep",
    "files outside a class folder",
)


@dataclass
class _Listing:
    """What was found below the root: split to class to image files, and what was left out."""

    files: dict[str, dict[str, list[Path]]] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    lost: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


class FolderSource(EncodedSource):
    """Classes are the names of the sub-folders, sorted; so are the files of a class, by path."""

    def files(self) -> list[Path]:
        """Every image."""
        found = _listed(self._root()).files
        return [path for classes in found.values() for paths in classes.values() for path in paths]

    def found(self) -> Found:
        """Files and classes of every split."""
        root = self._root()
        listing = _listed(root)
        if "train" not in listing.files:
            raise DataError(
                f"{root} must have a train split, but has only {', '.join(listing.files)}", "no_train_split"
            )
        classes = tuple(
            sorted({name for found in listing.files.values() for name in found} | set(listing.lost))
        )
        if len(classes) < 2:
            hint = _one_level_down(root)
            raise DataError(
                f"a data set needs at least 2 classes, but {root} has {len(classes)}: {', '.join(classes)}{hint}",
                "one_class",
            )
        _refuse_shared(listing.files)
        index = {name: label for label, name in enumerate(classes)}
        splits = {split: _examples(listing.files[split], index) for split in ORDER if split in listing.files}
        return Found(classes, splits, listing.skipped, _problems(listing))

    def _root(self) -> Path:
        root = Path(self.spec.location)
        if not root.is_dir():
            raise DataError(
                f"folder:PATH must name a folder of class sub-folders, but there is none at {root}",
                "data_missing",
            )
        return root


def _examples(found: Mapping[str, list[Path]], index: Mapping[str, int]) -> Files:
    rows = [(path, index[name]) for name, paths in sorted(found.items()) for path in paths]
    return Files([path for path, _ in rows], np.array([label for _, label in rows], dtype=np.int64))


def _listed(root: Path) -> _Listing:
    listing = _Listing()
    try:
        splits = _splits(root, listing)
        for split, folder in splits.items():
            found = {}
            subfolders = _subfolders(folder, listing)
            _refuse_inner_splits(folder, subfolders, has_splits=folder != root)
            for subfolder in subfolders:
                paths = _images(subfolder, root, listing, f"{folder.name}/" if folder != root else "")
                if paths:
                    found[subfolder.name] = paths
            if not found and not listing.lost:
                raise DataError(
                    f"{folder} must hold class sub-folders with images ({', '.join(SUFFIXES)}), but has none",
                    "no_images",
                )
            if found:
                listing.files[split] = found
    except OSError as error:
        raise DataError(
            f"{error.filename or root} cannot be read: {error.strerror}", "data_missing"
        ) from error
    return listing


def _splits(root: Path, listing: _Listing) -> dict[str, Path]:
    """Split to folder; the root itself is train where no sub-folder is named after a split."""
    folders = {folder.name: folder for folder in _subfolders(root, None)}
    named = {name: split for name in folders if (split := split_of_folder(name)) is not None}
    others = [name for name in folders if name not in named]
    if named and others and not any(_subfolders(folders[name], None) for name in named):
        named = {}  # classes that happen to be called so, such as trains
    if not named:
        return {"train": root}
    if others:
        raise DataError(
            f"{root} must hold either splits or classes, but holds the splits {', '.join(named)} and also "
            f"{', '.join(others[:SHOWN])}; move or rename one of them",
            "ambiguous_split",
        )
    _subfolders(root, listing)
    return {split: folders[name] for split, name in one_each(sorted(named.items()), str(root)).items()}


def _refuse_inner_splits(folder: Path, classes: Sequence[Path], has_splits: bool) -> None:
    """Refuse folders of splits where classes or images are expected: their images would be mixed."""
    named = {path.name: split for path in classes if (split := split_of_folder(path.name)) is not None}
    if has_splits and len(set(named.values())) > 1:
        raise DataError(
            f"a split must hold classes, but {folder} holds the splits {', '.join(named)}; did you mean "
            f"folder:{folder}?",
            "ambiguous_split",
        )
    inner = {
        path: {name: split for name in _folder_names(path) if (split := split_of_folder(name))}
        for path in classes
        if len(classes) > 1  # a single one is answered with a hint to look one level deeper
    }
    several = [path for path, names in inner.items() if len(set(names.values())) > 1]
    if not several and all(inner.values()):
        several = list(inner)
    if several:
        name = next(iter(inner[several[0]]))
        raise DataError(
            f"splits must stand above classes ({name}/{several[0].name}), but {several[0]} holds "
            f"{', '.join(inner[several[0]])}; move the folders",
            "ambiguous_split",
        )


def _folder_names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:  # no image of a large class is asked for its kind
        return sorted(entry.name for entry in entries if entry.is_dir() and not is_hidden(entry.name))


def _subfolders(folder: Path, listing: _Listing | None) -> list[Path]:
    """The sub-folders that count, sorted by name."""
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        reason = HIDDEN if is_hidden(entry.name) else SYSTEM if is_system(entry.name) else None
        if reason is None and entry.is_dir():
            found.append(entry)
        elif listing is not None:
            listing.skipped[reason or LOOSE] += 1
    return found


def _images(folder: Path, root: Path, listing: _Listing, prefix: str) -> list[Path]:
    """The images of a class at any depth, sorted; a link that leads out of ``root`` is refused."""
    paths: list[Path] = []
    others: Counter[str] = Counter()
    for path, reason in _walk(folder):
        if reason is None and path.name.lower().endswith(SUFFIXES):
            paths.append(path)
        elif reason is None:
            others[path.suffix.lower() or "no suffix"] += 1
        else:
            listing.skipped[reason] += 1
    real = root.resolve()
    for path in paths:
        if path.is_symlink() or folder.is_symlink():
            if not path.resolve().is_relative_to(real):
                raise DataError(
                    f"images must lie below {root}, but {path} is a link that leads out of it", "link"
                )
    for suffix, count in others.items():
        listing.skipped[suffix] += count
    if not paths:
        kinds = ", ".join(f"{count} with {suffix}" for suffix, count in others.most_common(SHOWN))
        listing.lost[folder.name].append(f"{prefix}{folder.name} has {kinds or 'no files'}")
    return sorted(paths)


def _walk(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Every file below a folder with the reason to leave it out, if any; links to folders are not followed."""

    def fail(error: OSError) -> None:
        raise error

    depth = len(folder.parts)
    for where, folders, names in os.walk(folder, onerror=fail):
        here = Path(where)
        for name in list(folders):
            reason = HIDDEN if is_hidden(name) else SYSTEM if is_system(name) else None
            if reason is None and (here / name).is_symlink():
                reason = LINKS
            if reason is None and len(here.parts) - depth >= MAX_DEPTH:
                reason = DEEP
            if reason is not None:
                folders.remove(name)
                yield here / name, reason
        for name in names:
            yield here / name, HIDDEN if is_hidden(name) else SYSTEM if is_system(name) else None


def _refuse_shared(files: Mapping[str, Mapping[str, list[Path]]]) -> None:
    """Refuse one file in two splits, which links make possible."""
    if len(files) < 2:
        return
    where: dict[tuple[int, int], tuple[str, Path]] = {}
    for split, classes in files.items():
        for path in (path for paths in classes.values() for path in paths):
            try:
                found = path.stat()
            except OSError:
                continue  # a broken link is named when it is read
            first, other = where.setdefault((found.st_dev, found.st_ino), (split, path))
            if first != split:
                raise DataError(
                    f"a file belongs to one split, but {other} ({first}) and {path} ({split}) are the same file",
                    "file_in_two_splits",
                )


def _problems(listing: _Listing) -> list[tuple[Level, str, str]]:
    found: list[tuple[Level, str, str]] = []
    rule = f"every class folder must hold images ({', '.join(SUFFIXES)})"
    kept = {name for classes in listing.files.values() for name in classes}
    for level, lost in (("error", set(listing.lost) - kept), ("warning", set(listing.lost) & kept)):
        words = [text for name in sorted(lost) for text in listing.lost[name]]
        if words:
            more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
            message = f"{rule}, but {'; '.join(words[:SHOWN])}{more}; convert the files or remove the folder"
            found.append(("error" if level == "error" else "warning", "class_without_images", message))
    kinds = {reason: count for reason, count in listing.skipped.items() if reason not in (HIDDEN, SYSTEM)}
    if kinds:
        words = [f"{reason}: {count:,}" for reason, count in sorted(kinds.items())]
        message = f"files or links left out: {', '.join(words)}"
        found.append(("warning", "files_skipped", message))
    return found


def _one_level_down(root: Path) -> str:
    """A hint where the classes are in a folder of their own, as an unpacked archive has them."""
    inner = _subfolders(root, None)
    if len(inner) == 1 and len(_subfolders(inner[0], None)) > 1:
        return f"; did you mean folder:{inner[0]}?"
    return ""
