"""Features of images, trained without labels; quality is how well their neighbours among training images agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from torch import Tensor

from supernets.data import HeldSplit
from supernets.errors import DataError, RecipeError
from supernets.metrics import KNN_ACCURACY, LINEAR_PROBE_ACCURACY
from supernets.tasks.frozen_features import linear_probe, neighbours
from supernets.tasks.images import ImageTask
from supernets.tasks.task import BATCH, Dimensions, Interface, NamedTensor

if TYPE_CHECKING:
    from supernets.data import DataSet, Facts

FEATURES = 256
"""Features of every subnet: equally many, so that one index of features can be searched with any of them."""
NEIGHBOURS = 20
TEMPERATURE = 0.07
KNOWN = 5000


class SelfSupervisedImages(ImageTask):
    """Outputs are features ``(n, 256)``. Labels are targets ``(n,) int64`` of the evaluation; training reads none.

    ``knn_accuracy``: the 20 nearest of 5,000 training images by cosine similarity ``s`` vote with ``exp(s / 0.07)``,
    as in DINO (Caron et al., 2021). ``linear_probe_accuracy``: a logistic regression on the same training images.
    """

    name = "self_supervised_images"
    quality = KNN_ACCURACY
    further = (LINEAR_PROBE_ACCURACY,)
    references = KNOWN
    supervised = False
    recipe = "poa"

    def dimensions(self, data: DataSet | Facts) -> dict[str, int | None]:
        """256 features, whatever the classes."""
        return {"outputs": FEATURES, "channels": data.channels}

    def check_data(self, data: DataSet) -> None:
        """Refuse streamed training images: the evaluation needs the same ones each time."""
        if not isinstance(data.train, HeldSplit):
            raise DataError(
                f"task {self.name!r} compares features with those of {KNOWN:,} training images, and the training "
                f"images of {data.name!r} are streamed; choose a source that holds them"
            )

    def targets(self, labels: Tensor, data: DataSet) -> Tensor:  # noqa: ARG002
        """The labels."""
        return labels

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> NoReturn:
        """Refused: nothing is learned from labels."""
        del outputs, targets, smoothing
        raise RecipeError(
            f"task {self.name!r} trains without labels, so that it has no loss on them; use recipe 'poa'"
        )

    def soft_loss(
        self, outputs: Tensor, teacher: Tensor, targets: Tensor, temperature: float = 1.0
    ) -> NoReturn:
        """Refused: features are no outputs that another network's can replace."""
        del teacher, temperature
        self.loss(outputs, targets)

    def scores(self, outputs: Tensor, targets: Tensor) -> NoReturn:
        """Refused: features are judged by those of training images (:meth:`scorer`)."""
        del outputs, targets
        raise DataError(f"task {self.name!r} scores features by those of training images; use its scorer")

    def scorer(self, metric: str, outputs: Tensor, targets: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """1 where the class is found from features of training images, else 0."""
        if metric == LINEAR_PROBE_ACCURACY:
            return linear_probe(outputs, targets)
        return neighbours(outputs, targets, NEIGHBOURS, TEMPERATURE)

    def summarise(self, scores: Tensor) -> tuple[float, float]:
        """Share and its binomial standard error, at least that of half an error in ``n`` images."""
        n, value = len(scores), float(scores.mean())
        return value, math.sqrt(max(value * (1 - value), 1 / n / 4) / n)

    def interface(self, dimensions: Dimensions) -> Interface:
        """``image (batch, c, h, w)``, prepared as :meth:`prepare` does, to ``features (batch, 256)``."""
        found = super().interface(dimensions)
        return Interface(found.inputs, NamedTensor("features", "float32", (BATCH, dimensions["outputs"])))
