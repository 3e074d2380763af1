"""One class for each image; quality is the fraction of images classified correctly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from supernets.metrics import ACCURACY
from supernets.tasks.images import ImageTask
from supernets.tasks.task import CategoricalTask

if TYPE_CHECKING:
    from supernets.data import DataSet, Facts


class ImageClassification(ImageTask, CategoricalTask):
    """Outputs are logits ``(n, classes)``, targets are class indices ``(n,) int64``."""

    name = "image_classification"
    quality = ACCURACY

    def dimensions(self, data: DataSet | Facts) -> dict[str, int | None]:
        """One output for each class; any number where the data state which outputs stand for their classes."""
        expected = getattr(data, "expected", None)
        known = data.classes is not None and expected is None
        return {"outputs": len(data.classes or ()) if known else None, "channels": data.channels}

    def targets(self, labels: Tensor, data: DataSet) -> Tensor:
        """The labels, or the outputs that stand for them where the network was trained elsewhere."""
        return labels if data.expected is None else torch.tensor(data.expected.outputs)[labels]

    def rows(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One choice for each image."""
        return outputs, targets

    def scores(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """1 where the largest logit is that of the right class, else 0."""
        return (outputs.argmax(1) == targets).double()

    def summarise(self, scores: Tensor) -> tuple[float, float]:
        """Accuracy and its binomial standard error, at least that of half an error in ``n`` images."""
        n, value = len(scores), float(scores.mean())
        return value, math.sqrt(max(value * (1 - value), 1 / n / 4) / n)
