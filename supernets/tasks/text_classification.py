"""One class for each text; quality is the fraction of texts classified correctly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from supernets.elastic.active import Inputs
from supernets.elastic.layers.packed import without_common_padding
from supernets.errors import DataError
from supernets.metrics import ACCURACY
from supernets.tasks.task import CategoricalTask
from supernets.tasks.texts import VOCABULARY, TextTask

if TYPE_CHECKING:
    from supernets.data import DataSet, Facts


class TextClassification(TextTask, CategoricalTask):
    """Outputs are logits ``(n, classes)``, targets are class indices ``(n,) int64``."""

    name = "text_classification"
    quality = ACCURACY

    def dimensions(self, data: DataSet | Facts) -> dict[str, int | None]:
        """One output for each class."""
        outputs = None if data.classes is None else len(data.classes)
        return {"outputs": outputs, VOCABULARY: self.vocabulary(data)}

    def check_data(self, data: DataSet) -> None:
        """Refuse running text."""
        if not data.classes:
            raise DataError(
                f"task {self.name!r} needs texts with labels, but {data.name!r} is running text; use task "
                f"'language_modelling', or data text:PATH"
            )

    def together(self, inputs: Inputs, size: int) -> Iterator[tuple[Tensor, Inputs]]:
        """Texts of similar length, cut after the longest of them: padding changes no output."""
        ids, mask = inputs
        for places in torch.split(mask.sum(1).argsort(stable=True), size):
            cut = without_common_padding(ids[places], mask[places])
            yield places, tuple(each.contiguous() for each in cut)

    def targets(self, labels: Tensor, data: DataSet) -> Tensor:  # noqa: ARG002
        """The labels."""
        return labels

    def rows(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One choice for each text."""
        return outputs, targets

    def scores(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """1 where the largest logit is that of the right class, else 0."""
        return (outputs.argmax(1) == targets).double()

    def summarise(self, scores: Tensor) -> tuple[float, float]:
        """Accuracy and its binomial standard error, at least that of half an error in ``n`` texts."""
        n, value = len(scores), float(scores.mean())
        return value, math.sqrt(max(value * (1 - value), 1 / n / 4) / n)
