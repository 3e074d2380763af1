"""The 1,000 classes of ILSVRC 2012 and the preprocessing that networks trained on them expect. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from supernets.errors import DataError

CLASSES_FILE = Path(__file__).parent / "imagenet_classes.tsv"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CROP = 0.875
"""Share of the shorter side that the centre crop keeps."""
BASE_RESOLUTION = 256
SHOWN = 5


@lru_cache(maxsize=1)
def _rows() -> tuple[tuple[str, str], ...]:
    lines = CLASSES_FILE.read_text(encoding="utf-8").splitlines()
    return tuple((wnid, name) for wnid, name in (line.split("\t") for line in lines))


def wordnet_ids() -> tuple[str, ...]:
    """WordNet ids in the order of the outputs, which is their alphabetical order."""
    return tuple(wnid for wnid, _ in _rows())


def class_names() -> tuple[str, ...]:
    """Names in the order of the outputs, all different."""
    return tuple(name for _, name in _rows())


def preprocessing() -> dict[str, object]:
    """What must be done to an image: square by its shorter side, centre crop, resize to the resolution, normalise."""
    return {
        "orientation": "exif",
        "background": "white",
        "fit": "crop",
        "value_range": None,
        "mean": list(MEAN),
        "std": list(STD),
        "channels": 3,
        "base_resolution": BASE_RESOLUTION,
        "resize": "bilinear-antialias",
        "crop": CROP,
        "range": "0..1",
    }


def outputs_of(classes: Sequence[str]) -> tuple[int, ...]:
    """The output that stands for each class, for class names that are WordNet ids, class names or numbers 0..999.

    Raises:
        DataError: a class that is none of them; the first are named.
    """
    known: dict[str, int] = {}
    for index, (wnid, name) in enumerate(_rows()):
        known |= {str(index): index, name.casefold(): index, wnid: index}
    unknown = [name for name in classes if name.casefold() not in known]
    if unknown:
        raise DataError(
            f"classes must be ImageNet's, as WordNet ids (n01440764), names or numbers 0..999; got {unknown[:SHOWN]}"
        )
    return tuple(known[name.casefold()] for name in classes)
