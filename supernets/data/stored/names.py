"""What the names of files and folders mean: splits, and what is not part of a data set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from supernets.errors import DataError

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainset"), "train"),
    **dict.fromkeys(
        (
            "validation",
            "val",
            "valid",
            "validate",
            "validating",
            "dev",
            "valset",
            "devset",
        ),
        "validation",
    ),
    **dict.fromkeys(("test", "testing", "tst", "testset", "eval", "evaluation", "evalset"), "test"),
}
"""The usual spellings of the three splits, in lower case."""
FILLERS = frozenset({"data", "dataset", "image", "images", "img", "imgs", "set", "split"})
"""Words that may stand next to the split in the name of a folder, as in ``train_images``."""
SYSTEM_NAMES = frozenset(
    {
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "__macosx",
        "desktop.ini",
        "ehthumbs.db",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)


def words(name: str) -> list[str]:
    """The words of a name in lower case: parts between separators and digits; ``trainSet`` has two."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+", name)
    return [part.lower() for part in parts]


def split_of_folder(name: str) -> str | None:
    """The split that a folder's whole name means, or none: ``Training``, ``val2017``, ``test_images``."""
    rest = [word for word in words(name) if word not in FILLERS]
    return SPLIT_WORDS.get(rest[0]) if len(rest) == 1 else None


def split_of_file(name: str) -> str | None:
    """The split that a word in a file's name means, or none.

    Raises:
        DataError: words of two splits.
    """
    found = sorted({SPLIT_WORDS[word] for word in words(name) if word in SPLIT_WORDS})
    if len(found) > 1:
        raise DataError(
            f"a file belongs to one split, but the name of {name} has words of {' and '.join(found)}; rename it",
            "ambiguous_split",
        )
    return found[0] if found else None


def split_of_path(path: PurePath) -> str | None:
    """The split that the words in the name of a file and of the folders above it mean, or none.

    Args:
        path: relative to the root of the data set.

    Raises:
        DataError: words of two splits.
    """
    named = [path.stem, *path.parent.parts]
    found = sorted({split for name in named if (split := split_of_file(name)) is not None})
    if len(found) > 1:
        raise DataError(
            f"a file belongs to one split, but the path {path} has words of {' and '.join(found)}; rename or move it",
            "ambiguous_split",
        )
    return found[0] if found else None


def one_each(named: Iterable[tuple[str, str | None]], where: str) -> dict[str, str]:
    """Split to the one name that means it; raises ``DataError`` where two names mean the same."""
    found: dict[str, str] = {}
    for name, split in named:
        if split is None:
            continue
        if split in found:
            raise DataError(
                f"one folder may hold a split, but {where} has {found[split]!r} and {name!r}, which both mean "
                f"{split}; rename or remove one",
                "ambiguous_split",
            )
        found[split] = name
    return found


def is_hidden(name: str) -> bool:
    """Whether a name begins with a dot, as ``.ipynb_checkpoints`` and ``._a.png`` do."""
    return name.startswith(".")


def is_system(name: str) -> bool:
    """Whether an operating system or a network drive made it: ``Thumbs.db``, ``__MACOSX``, ``#recycle``."""
    return name.lower() in SYSTEM_NAMES
