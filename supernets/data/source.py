"""One class for every kind of data set, and the functions that open one by its spec."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from supernets import DATA_SOURCES
from supernets.data.dataset import SPLITS, DataSet, assemble
from supernets.data.examine import Pile, make_report
from supernets.data.images import Form, Survey
from supernets.data.splits import HeldSplit, Split
from supernets.data.stored.examples import Found, Labelled
from supernets.data_facts.report import DataReport, refused
from supernets.data_facts.spec import DataSpec
from supernets.errors import DataError

Spec = str | Mapping[str, object] | DataSpec


@dataclass(frozen=True)
class Facts:
    """The facts of a data set before its images are decoded; ``None`` where loading is needed.

    Attributes:
        name: of the data set: its spec as text.
        classes: their names, in order.
        channels: 1 (grey) or 3 (RGB), by the headers that were read.
        resolution: of the stored images, in pixels, by the headers that were read.
        train: number of training images.
        held: number of examples that are in memory while training, of all splits.
        reads: what an example is (``images`` or ``text``), as in :attr:`supernets.data.dataset.DataSet.reads`.
        vocabulary: of the tokens of texts.
    """

    name: str
    classes: tuple[str, ...] | None = None
    channels: int | None = None
    resolution: int | None = None
    train: int | None = None
    held: int | None = None
    reads: str = "images"
    vocabulary: int | None = None

    @property
    def stored_bytes(self) -> int | None:
        """Memory of the images."""
        if self.channels is None or self.resolution is None or self.held is None:
            return None
        return self.held * self.channels * self.resolution**2


@dataclass(frozen=True, eq=False)
class Look:
    """A data report, and the decoded images of each split that it was made of."""

    report: DataReport
    piles: Mapping[str, Pile]
    classes: tuple[str, ...]


class DataSource(ABC):
    """A kind of data set; an object of it is one data set, whose images are not read before they are needed.

    Promises: every method raises ``DataError`` where the data are absent or cannot be right; :meth:`files` and
    :meth:`facts` decode no image; equal files, spec and seed give equal splits, hashes included.

    Args:
        spec: the data set; a path in it is absolute.
        data_dir: folder with the files of known data sets, or None: the Hugging Face hub.
        seed: of the splits that are cut out of train where the source lacks them.
        beside: directory of the supernet that the data are for; its tokenizer lies there.
    """

    def __init__(
        self, spec: DataSpec, data_dir: Path | None = None, seed: int = 0, beside: Path | None = None
    ) -> None:
        self.spec, self.data_dir, self.seed, self.beside = spec, data_dir, seed, beside

    @abstractmethod
    def files(self) -> list[Path]:
        """Every file that is read; none where the data come with a library or from the hub."""

    @abstractmethod
    def facts(self) -> Facts:
        """Facts from names, labels and headers."""

    @abstractmethod
    def splits(self) -> DataSet:
        """The data set, whole; with its report where its images are the user's own."""

    def split(self, name: str) -> HeldSplit:
        """One split of :meth:`splits`; decoded alone where the source stores it apart and its form is known."""
        return self.splits().held(name)

    @abstractmethod
    def look(self, limit: int | None = None) -> Look:
        """The data report and the images it was made of: all, or at most about ``limit`` of each split."""


class OfficialSource(DataSource):
    """A published data set with official train and test splits, taken as it is."""

    names: tuple[str, ...] = ()
    """The files that the data folder must hold, if there is one."""
    classes: tuple[str, ...]
    channels: int
    resolution: int
    sizes: Mapping[str, int]
    """Number of images of train, validation and test."""

    @abstractmethod
    def piles(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Images ``(n, c, r, r) uint8`` and labels ``(n,) int64`` of every split."""

    def test(self) -> tuple[Tensor, Tensor]:
        """Images and labels of the official test alone."""
        return self.piles()["test"]

    def split(self, name: str) -> HeldSplit:
        """One split; of the test only its own images are decoded."""
        if name != "test":
            return super().split(name)
        self.files()
        return Split(name, *self.test())

    def files(self) -> list[Path]:
        """Those of the data folder."""
        if self.data_dir is None:
            return []
        if missing := [name for name in self.names if not (self.data_dir / name).is_file()]:
            raise DataError(
                f"{self.spec.source} must lie in the data folder as {' and '.join(self.names)}, but {self.data_dir} "
                f"has no {' and no '.join(missing)}; put it there, set NETWRIGHT_DATA to the folder that has it, or "
                f"unset NETWRIGHT_DATA to use the Hugging Face hub",
                "data_missing",
            )
        return [self.data_dir / name for name in self.names]

    def facts(self) -> Facts:
        """They never change."""
        self.files()
        return Facts(
            str(self.spec),
            self.classes,
            self.channels,
            self.spec.resolution or self.resolution,
            train=self.sizes["train"],
            held=sum(self.sizes.values()),
        )

    def splits(self) -> DataSet:
        """Train, validation and test."""
        self.files()
        return assemble(str(self.spec), self.classes, self.piles(), self.seed)

    def look(self, limit: int | None = None) -> Look:
        """All images, or the first ``limit`` of every split."""
        data = self.splits()
        form = Form(data.channels, data.base_resolution)
        piles, survey = {}, Survey()
        for split in SPLITS:
            held = data.held(split)
            images, labels = held.stored[:limit], held.labels[:limit].numpy()
            piles[split] = Pile(images, labels, np.arange(len(images)))
            survey.n += len(images)
            survey.modes["L" if data.channels == 1 else "RGB"] += len(images)
            survey.sizes[data.base_resolution, data.base_resolution] += len(images)
            survey.grey += len(images) if data.channels == 1 else 0
        found = Found(data.classes, {name: Labelled(data.held(name).labels.numpy()) for name in piles})
        return Look(make_report(found, piles, form, survey, str(self.spec), {}), piles, data.classes)


def open_source(
    spec: Spec, data_dir: Path | None = None, seed: int = 0, beside: Path | None = None
) -> DataSource:
    """The source of a spec; its files are not looked at yet.

    Args:
        spec: as text, JSON object or :class:`DataSpec`; a relative path is one of the working directory.
        data_dir: folder with the files of known data sets; the environment's ``NETWRIGHT_DATA`` by default, and
            without that the Hugging Face hub.
        seed: of the splits that are cut out of train.
        beside: directory of the supernet whose tokenizer a spec with ``tokenizer=supernet`` means.
    """
    parsed = DataSpec.parse(dict(spec) if isinstance(spec, Mapping) else spec).below()
    if data_dir is None and os.environ.get("NETWRIGHT_DATA"):
        data_dir = Path(os.environ["NETWRIGHT_DATA"])
    source: DataSource = DATA_SOURCES.load(parsed.source)(parsed, data_dir, seed, beside)
    return source


def load_data(
    spec: Spec, data_dir: Path | None = None, *, seed: int = 0, beside: Path | None = None
) -> DataSet:
    """The data set of a spec, its images in memory or streamed; the arguments are those of :func:`open_source`.

    Raises:
        UnknownNameError: no such source.
        DataError: it is absent (the message contains how to get it), too small, or cannot be right.
    """
    return open_source(spec, data_dir, seed, beside).splits()


def data_facts(spec: Spec, data_dir: Path | None = None) -> Facts:
    """The facts of a data set without decoding its images; raises as :func:`load_data` where that shows."""
    return open_source(spec, data_dir).facts()


def check_data(spec: Spec, data_dir: Path | None = None) -> None:
    """Raise what :func:`load_data` would for a spec that is wrong or files that are absent; the hub is not asked."""
    open_source(spec, data_dir).files()


def look_at(spec: Spec, data_dir: Path | None = None, limit: int | None = None) -> Look:
    """The data report with the images it was made of; a report with the reason where the data cannot be read."""
    try:
        return open_source(spec, data_dir).look(limit)
    except DataError as error:
        return Look(refused(error, str(spec)), {}, ())


def data_report(spec: Spec, data_dir: Path | None = None, limit: int | None = None) -> DataReport:
    """The report of :func:`look_at`."""
    return look_at(spec, data_dir, limit).report


def fingerprint(source: DataSource) -> str:
    """A hash of paths, sizes and times of all files of a source: another one when a file came, went or changed.

    Raises:
        DataError: the data are gone.
    """
    digest = hashlib.sha256(str(source.spec).encode())
    for path in source.files():
        try:
            found = path.stat()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}", "data_missing") from error
        digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
