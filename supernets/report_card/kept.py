"""Scores of subnets that are kept in files, so that a report card that was stopped goes on where it was."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from supernets.checkpoints import write_bytes
from supernets.spaces.space import Arch


class KeptScores:
    """Scores ``(n,) float64`` of each subnet and split in a folder, or nowhere without one.

    The folder belongs to one network and its data; :meth:`remove` deletes it when the card is written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def of(self, arch: Arch, split: str, compute: Callable[[], Tensor]) -> Tensor:
        """The scores that are kept, or those that ``compute`` gives, which are kept from then on."""
        if self._folder is None:
            return compute()
        path = self._folder / f"{arch.id}-{split}.npy"
        if path.is_file():
            return torch.from_numpy(np.load(path, allow_pickle=False))
        scores = compute()
        content = io.BytesIO()
        np.save(content, scores.numpy(), allow_pickle=False)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content.getvalue())
        return scores

    def remove(self) -> None:
        """Delete the folder."""
        if self._folder is not None and self._folder.is_dir():
            shutil.rmtree(self._folder)
