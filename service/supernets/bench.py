"""What a child process works on: a supernet, its data, the artifact store. Loaded once, kept for later tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.scope import Scope
from service.artifacts import ArtifactStore
from service.supernets.checkpoints import materialise
from supernets.families.family import Family
from supernets.manifest import Manifest
from supernets.spaces.space import Population

if TYPE_CHECKING:
    from supernets.checkpoints import Supernet
    from supernets.data import DataSet


class Bench:
    """A supernet with everything its tasks need."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._data_dir = Path(description["data"]) if description["data"] else None
        self._threads: int = description["threads"]
        self.store = ArtifactStore(description["artifacts"])
        self.directory = materialise(self.store, description["files"], Path(description["cache"]))
        self.manifest = Manifest.read(self.directory)
        self.family: Family = self.manifest.make_family()

    @cached_property
    def supernet(self) -> Supernet:
        """The network with its weights."""
        import torch

        from supernets.checkpoints import load_supernet

        torch.set_num_threads(self._threads)
        return load_supernet(self.directory)

    @cached_property
    def data(self) -> DataSet:
        """The data set it was trained on; raises ``DataError`` when it is not there."""
        from supernets.data import load_data

        return load_data(self.manifest.data.name, self._data_dir)

    def scope(self, metric: str, target: str | None) -> Scope:
        """What a predictor of this metric belongs to."""
        return model_scope(self.manifest.as_json(), metric, target)

    def population(self, rows: list[list[int]]) -> Population:
        """Rows that came as JSON, as a population ``(n, d)``."""
        return np.array(rows, dtype=np.int64).reshape(len(rows), self.family.space().d)


def open_bench(description: Mapping[str, Any]) -> Bench:
    """The bench that a task's payload describes; the last one is kept."""
    return _open(json.dumps(description, sort_keys=True))


@lru_cache(maxsize=1)
def _open(text: str) -> Bench:
    return Bench(json.loads(text))


def model_scope(manifest: Mapping[str, Any], metric: str, target: str | None) -> Scope:
    """What a predictor of this metric belongs to."""
    return Scope(
        supernet=manifest["weights_sha256"],
        space_sha256=manifest["space_sha256"],
        metric=metric,
        target=target,
        data=manifest["data"]["splits"]["validation"]["sha256"] if target is None else None,
    )
