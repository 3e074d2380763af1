"""Look at decoded images and make the data report of them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernets.data.dataset import MIN_SPLIT, count_pixels
from supernets.data.images import DEEP_RANGES, READABLE, Form, Survey, usual_range
from supernets.data.stored.examples import Found
from supernets.data_facts.report import DataReport, Details, Pixels, Problem, SplitReport
from supernets.data_facts.spec import MAX_RESOLUTION, DataSpec
from supernets.words import counted

SHOWN = 5
"""Names in a message."""
FLAT = 2
"""An image whose largest and smallest value differ by at most this is nearly constant."""
CROPPED = 0.2
"""From this mean share of an image's area on, cropping is a warning."""
FAINT = 63
"""The upper 8 bits of a 16-bit channel that holds 14 bits or less."""
COPIED = 0.5
"""From this share of a split on, images that are in another split too are an error."""
SIZES = 10


@dataclass(frozen=True, eq=False)
class Pile:
    """Decoded images of one split: ``images (n, c, r, r) uint8``, ``labels (n,)``, ``rows (n,)`` of the source."""

    images: Tensor
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    unreadable: Sequence[str] = ()


@dataclass
class _Seen:
    """What was found of the pixels: where each digest occurs, as (split, label, row)."""

    places: dict[bytes, list[tuple[str, int, int]]] = field(default_factory=lambda: defaultdict(list))
    flat: Counter[str] = field(default_factory=Counter)


def make_report(
    found: Found,
    piles: Mapping[str, Pile],
    form: Form,
    survey: Survey,
    spec: str,
    made: Mapping[str, int],
    left: NDArray[np.int64] | None = None,
) -> DataReport:
    """The report of a source from what was decoded of it (all, or a sample) and the headers that were read.

    Args:
        found: names and labels of everything.
        piles: what was decoded of each split.
        form: what every image became.
        survey: facts from the headers.
        spec: the data set as text.
        made: splits to be cut out of train, with their sizes.
        left: labels of the images that train keeps; all of them by default.
    """
    seen = _look(piles)
    problems = [
        *_of_names(found, survey, piles),
        *_of_headers(survey, form),
        *_of_sizes(survey, form, DataSpec.parse(spec)),
        *_of_labels(found),
        *_of_cut(found, made, left),
        *_of_pixels(seen, piles, found, made),
    ]
    splits = {
        name: SplitReport(
            images=len(examples.labelled),
            classes=_counts(examples.labels, found.classes),
            pixels=_pixels(piles[name].images) if name in piles else None,
        )
        for name, examples in found.splits.items()
    }
    details = Details(
        spec=spec,
        examined=sum(len(pile.images) for pile in piles.values()),
        modes=dict(survey.modes.most_common()),
        sizes={f"{w}x{h}": n for (w, h), n in survey.sizes.most_common(SIZES)},
        fit=form.fit,
        cropped=round(survey.lost / max(1, survey.n), 4) if form.fit == "crop" else 0.0,
        range=form.range if survey.deep else None,
        skipped=dict(sorted(found.skipped.items())),
        made=dict(made),
    )
    ordered = sorted(problems, key=lambda problem: problem.level)
    return DataReport(
        splits=splits, channels=form.channels, resolution=form.resolution, problems=ordered, details=details
    )


def _counts(labels: NDArray[np.int64], classes: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True)}


def _pixels(images: Tensor) -> Pixels | None:
    if not len(images):
        return None
    counts = count_pixels(images)
    share, values = counts / counts.sum(), np.arange(256) / 255
    mean = float(share @ values)
    std = float(np.sqrt(share @ (values - mean) ** 2))
    return Pixels(mean=round(mean, 6), std=round(std, 6), distinct_values=int((counts > 0).sum()))


def _look(piles: Mapping[str, Pile]) -> _Seen:
    seen = _Seen()
    for split, pile in piles.items():
        for image, label, row in zip(
            pile.images.numpy(), pile.labels.tolist(), pile.rows.tolist(), strict=True
        ):
            digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
            seen.places[digest].append((split, label, row))
        flat = pile.images.flatten(2)
        spread = flat.amax(2).int() - flat.amin(2).int() if len(flat) else torch.zeros(0, 1)
        seen.flat[split] = int((spread <= FLAT).all(1).sum())
    return seen


def _error(code: str, message: str) -> Problem:
    return Problem(level="error", code=code, message=message)


def _warning(code: str, message: str) -> Problem:
    return Problem(level="warning", code=code, message=message)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")


def _of_names(found: Found, survey: Survey, piles: Mapping[str, Pile]) -> Iterator[Problem]:
    for level, code, message in found.problems:
        yield Problem(level=level, code=code, message=message)
    unreadable = [message for pile in piles.values() for message in pile.unreadable]
    if bad := list(dict.fromkeys([*survey.unreadable, *unreadable])):
        more = f"; so are {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
        words = [bad[0], *(message.removeprefix(READABLE) for message in bad[1:SHOWN])]
        yield _error("unreadable_image", "; ".join(words) + more)
    for split, pile in piles.items():
        labels = found.splits[split].labels
        lost = np.setdiff1d(labels[labels >= 0], pile.labels)
        if len(lost) and len(pile.images) + len(pile.unreadable) == len(found.splits[split].labelled):
            names = _listed([found.classes[label] for label in lost.tolist()])
            yield _error("class_without_images", f"{split} has no image of {names} that can be read")


def _of_headers(survey: Survey, form: Form) -> Iterator[Problem]:
    if not survey.n:
        return
    lost = survey.lost / survey.n
    if form.fit == "crop" and lost >= CROPPED:
        yield _warning(
            "cropped",
            f"the centre crop removes {lost:.0%} of an image on average; fit=squeeze or fit=pad keeps all of it",
        )
    if not usual_range(form) and survey.deep and survey.low < survey.high:
        low, high = survey.low, survey.high
        yield _warning(
            "scaled",
            f"values from {low:g} to {high:g} became 0 to 255, the range of these images; state it with "
            f"range=LOW..HIGH so that other images are scaled alike",
        )
    if 0 < survey.deep.total() < survey.n:
        yield _warning(
            "mixed_depths",
            f"{survey.deep.total():,} of {survey.n:,} images have more than 8 bits; check that all are scaled alike",
        )
    if survey.deep_colour and (survey.top <= FAINT or form.range not in (None, (0, DEEP_RANGES[-1]))):
        yield _error(
            "deep_colour",
            f"images with 16 bits in each of several channels are read by their upper 8 bits and need values of 0 to "
            f"65535, but those of {counted(survey.deep_colour, 'image')} (such as {survey.examples['deep colour']}) "
            f"end at {survey.top * 256 + 255}{_stated(form)}; scale them to 0..65535, or save them with 8 bits",
        )
    if form.channels == 1 and survey.colour:
        yield _warning(
            "colour_lost", f"{survey.colour:,} of {survey.n:,} colour images become grey (channels=1)"
        )
    if survey.animated:
        yield _warning(
            "animated", f"{counted(survey.animated, 'image')} with several frames or pages; the first is used"
        )


def _of_sizes(survey: Survey, form: Form, spec: DataSpec) -> Iterator[Problem]:
    """Images that loading enlarges, and ones that it shrinks without having been asked to."""
    if not survey.n:
        return
    sides = sorted((min(size), n) for size, n in survey.sizes.items())
    largest = sides[-1][0]
    if largest < form.resolution // 2:
        yield _warning(
            "enlarged",
            f"no image has more than {largest} pixels on its shorter side, but all are enlarged to {form.resolution}",
        )
    shrunk = sum(n for side, n in sides if side >= 2 * form.resolution)
    if spec.resolution is None and 2 * shrunk > survey.n:
        yield _warning(
            "shrunk",
            f"{shrunk:,} of {survey.n:,} images have at least {2 * form.resolution} pixels on their shorter side, but "
            f"all are stored at {form.resolution}, as their sizes differ; resolution=N (up to {MAX_RESOLUTION}) stores "
            f"them at N pixels, and networks read them at the resolutions of their family",
        )


def _of_cut(found: Found, made: Mapping[str, int], left: NDArray[np.int64] | None) -> Iterator[Problem]:
    """Classes that train loses to the splits that are cut out of it, and classes of a single image."""
    labels = found.splits["train"].labels
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    lost = [] if left is None else [found.classes[label] for label in np.setdiff1d(classes, left).tolist()]
    single = [found.classes[label] for label in classes[counts == 1].tolist()]
    if lost:
        yield _error(
            "class_without_images",
            f"train must show every class, but {' and '.join(made)} are cut out of it and would take every image of "
            f"{_listed(lost)}; add images or remove these classes",
        )
    elif len(single) > 1:
        yield _warning(
            "single_images",
            f"{len(single):,} of {len(found.classes):,} classes have a single image of train: {_listed(single)}; "
            f"check that the labels are classes",
        )


def _stated(form: Form) -> str:
    """The range of the data spec in words."""
    return (
        ""
        if form.range is None
        else f" and range={form.range[0]:g}..{form.range[1]:g} applies to grey images"
    )


def _similar(classes: Sequence[str]) -> Iterator[Problem]:
    """Classes whose names differ in case, spaces or form of their characters only."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        spellings[" ".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    for alike in spellings.values():
        if len(alike) > 1:
            quoted = " and ".join(map(repr, alike))
            yield _warning("similar_classes", f"classes {quoted} differ in spelling only")


def _of_labels(found: Found) -> Iterator[Problem]:
    if len(found.classes) < 2:
        names = ", ".join(found.classes) or "none"
        yield _error(
            "one_class", f"a data set needs at least 2 classes, but it has {len(found.classes)}: {names}"
        )
    yield from _similar(found.classes)
    if "-1" in found.classes and {"0", "1"} <= set(found.classes):
        yield _warning(
            "negative_label",
            "label -1 is counted as a class; where it marks rows without a label, remove them or make them null",
        )
    for split, examples in found.splits.items():
        counts = np.bincount(examples.labels[examples.labels >= 0], minlength=len(found.classes))
        absent = [found.classes[k] for k in np.flatnonzero(counts == 0)]
        if absent and split == "train" and not any(level == "error" for level, _, _ in found.problems):
            yield _error(
                "class_without_images",
                f"train must show every class, but it has no image of {_listed(absent)}; add images or remove "
                f"the names",
            )
        elif absent and split != "train":
            yield _warning("class_without_images", f"{split} has no image of {_listed(absent)}")
        if split != "train" and len(examples.labelled) < MIN_SPLIT:
            found_images = counted(len(examples.labelled), "image")
            yield _error(
                "too_few_images",
                f"every split needs at least {MIN_SPLIT} images, but {split} has {found_images}",
            )
        without = len(examples.labels) - len(examples.labelled)
        if without:
            yield _warning(
                "unlabelled",
                f"{counted(without, 'row')} of {split} without a label left out (unlabelled=drop)",
            )


def _of_pixels(
    seen: _Seen, piles: Mapping[str, Pile], found: Found, made: Mapping[str, int]
) -> Iterator[Problem]:
    yield from _equal_splits(seen, piles)
    yield from _equal_classes(seen, found)
    yield from _equal_across_splits(seen, piles)
    yield from _equal_within_classes(seen, made)
    for split, count in seen.flat.items():
        if count:
            yield _warning(
                "constant_images",
                f"{count:,} of {len(piles[split].images):,} images of {split} are of one even colour",
            )


def _equal_splits(seen: _Seen, piles: Mapping[str, Pile]) -> Iterator[Problem]:
    kinds: dict[str, int] = Counter()
    for places in seen.places.values():
        for split in {place[0] for place in places}:
            kinds[split] += 1
    for split, pile in piles.items():
        if len(pile.images) > 1 and kinds[split] == 1:
            yield _error("all_equal", f"all {len(pile.images):,} images of {split} are equal after loading")


def _equal_classes(seen: _Seen, found: Found) -> Iterator[Problem]:
    """Classes with exactly the same images, and images that are in several classes."""
    kinds: dict[int, set[bytes]] = defaultdict(set)
    shared = 0
    for digest, places in seen.places.items():
        labels = {label for _, label, _ in places}
        shared += len(places) if len(labels) > 1 else 0
        for label in labels:
            kinds[label].add(digest)
    alike: dict[frozenset[bytes], list[str]] = defaultdict(list)
    for label in sorted(kinds):
        alike[frozenset(kinds[label])].append(found.classes[label])
    equal = [names for names in alike.values() if len(names) > 1]
    for names in equal:
        yield _error(
            "equal_classes",
            f"classes must differ, but after loading the images of {_listed(names)} are equal",
        )
    if shared and not equal:
        yield _warning("equal_across_classes", f"{counted(shared, 'image')} equal to one of another class")


def _equal_across_splits(seen: _Seen, piles: Mapping[str, Pile]) -> Iterator[Problem]:
    both: Counter[tuple[str, str]] = Counter()
    order = list(piles)
    for places in seen.places.values():
        counts = Counter(split for split, _, _ in places)
        names = sorted(counts, key=order.index)
        for k, first in enumerate(names):
            for second in names[k + 1 :]:
                both[first, second] += counts[second]
    for (first, second), count in sorted(both.items()):
        total = len(piles[second].images)
        message = f"{count:,} of {total:,} images of {second} are in {first} too"
        if count >= COPIED * total:
            yield _error("equal_across_splits", f"{message}; a split must hold images of its own")
        else:
            yield _warning("equal_across_splits", f"{message}; its accuracy is overstated")


def _equal_within_classes(seen: _Seen, made: Mapping[str, int]) -> Iterator[Problem]:
    repeated: Counter[str] = Counter()
    for places in seen.places.values():
        counts = Counter((split, label) for split, label, _ in places)
        for (split, _), count in counts.items():
            repeated[split] += count - 1
    for split, count in repeated.items():
        if not count:
            continue
        parts = (
            f", so that {' and '.join(made)} may repeat images of train" if made and split == "train" else ""
        )
        yield _warning(
            "equal_within_class",
            f"{counted(count, 'image')} of {split} equal to another of the same class{parts}",
        )
