"""What a child process works on: a supernet, its data, the artifact store. Loaded once, kept for later tasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from predictors.scope import Scope
from service.artifacts import ArtifactStore
from service.db.tables import Supernet
from service.runtime.task import Rows, StepData
from service.settings import Settings
from service.supernets.checkpoints import materialise
from supernets.errors import DataError
from supernets.families.family import Family
from supernets.manifest import Manifest
from supernets.spaces.space import Arch, Population

if TYPE_CHECKING:
    from supernets.checkpoints import Supernet as LoadedSupernet
    from supernets.data import DataSet
    from supernets.elastic.norm import BNStats

KEPT_STATISTICS = 64
"""Archs; they take 8 bytes a channel."""


class StoredFile(StepData):
    """A file of the artifact store."""

    sha256: str
    bytes: int


class BenchSpec(StepData):
    """Where a child process reads a supernet: artifact store, local cache, data folder, stored files, images."""

    artifacts: str
    cache: str
    data: str | None
    threads: int
    files: dict[str, StoredFile]
    images: str

    def here(self, settings: Settings) -> BenchSpec:
        """The same with the folders of this machine."""
        return self.model_copy(update=_folders(settings))


class Bench:
    """A supernet with everything its tasks need."""

    def __init__(self, spec: BenchSpec) -> None:
        self.data_dir = Path(spec.data) if spec.data else None
        self._images, self._threads = spec.images, spec.threads
        self._kept: tuple[str, DataSet] | None = None
        self.store = ArtifactStore(spec.artifacts)
        files = {name: file.model_dump() for name, file in spec.files.items()}
        self.directory = materialise(self.store, files, Path(spec.cache))
        self.manifest = Manifest.read(self.directory)
        self.family: Family = self.manifest.make_family()

    @cached_property
    def supernet(self) -> LoadedSupernet:
        """The network with its weights."""
        import torch

        from supernets.checkpoints import load_supernet

        torch.set_num_threads(self._threads)
        return load_supernet(self.directory)

    @property
    def data(self) -> DataSet:
        """The data set it was trained on, as its files are now.

        It is kept while its files stay as they are (paths, sizes, times), and dropped when it is refused.

        Raises:
            DataError: it is absent, or another one.
        """
        from supernets.data import fingerprint, open_source
        from supernets.evaluate import check_data
        from supernets.official.nets import expecting

        source = open_source(self._images, self.data_dir, beside=self.directory)
        try:
            mark = fingerprint(source)
            if self._kept is None or self._kept[0] != mark:
                self._kept = None  # two data sets may not fit into memory
                data = source.splits()
                check_data(self.supernet, data)
                self._kept = mark, expecting(data, self.manifest)
        except DataError:
            self._kept = None
            raise
        return self._kept[1]

    def statistics(self, arch: Arch, batch: int) -> BNStats:
        """BatchNorm statistics of an arch, with ``batch`` images at once; those of the last archs are kept.

        What a search returns is evaluated on validation and then on test, and may be exported. Only data with the
        splits of the manifest are accepted, so that what is kept stays true.
        """
        return self._statistics(arch, batch)

    @cached_property
    def _statistics(self) -> Callable[[Arch, int], BNStats]:
        from supernets.evaluate import calibrate

        @lru_cache(maxsize=KEPT_STATISTICS)
        def computed(arch: Arch, batch: int) -> BNStats:
            return calibrate(self.supernet.net, self.supernet.task, self.data, arch, batch)

        return computed

    def scope(self, metric: str, target: str | None) -> Scope:
        """What a predictor of this metric belongs to."""
        return model_scope(self.manifest, metric, target)

    def population(self, rows: Rows) -> Population:
        """Rows of choices as a population ``(n, d)``."""
        return population_of(self.family, rows)


def open_bench(spec: BenchSpec) -> Bench:
    """The bench of a task's input; the last one is kept."""
    return _open(spec.model_dump_json())


@lru_cache(maxsize=1)
def _open(text: str) -> Bench:
    return Bench(BenchSpec.model_validate_json(text))


def bench_of(settings: Settings, supernet: Supernet) -> BenchSpec:
    """What a child process needs to work on a stored supernet."""
    return BenchSpec(**_folders(settings), files=supernet.files, images=supernet.data)


class _Folders(TypedDict):
    artifacts: str
    cache: str
    data: str | None
    threads: int


def _folders(settings: Settings) -> _Folders:
    return {
        "artifacts": settings.artifacts,
        "cache": str(settings.home.resolve() / "cache"),
        "data": str(settings.data.resolve()) if settings.data is not None else None,
        "threads": settings.threads,
    }


def population_of(family: Family, rows: Rows) -> Population:
    """Rows of choices as a population ``(n, d)``."""
    return np.array(rows, dtype=np.int64).reshape(len(rows), family.space().d)


def model_scope(manifest: Manifest, metric: str, target: str | None) -> Scope:
    """What a predictor of this metric belongs to."""
    return Scope(
        supernet=manifest.weights_sha256,
        space_sha256=manifest.space_sha256,
        metric=metric,
        target=target,
        data=manifest.data.splits["validation"].sha256 if target is None else None,
    )
