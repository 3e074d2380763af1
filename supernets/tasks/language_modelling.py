"""The next token of a running text; quality is the perplexity, lower is better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from supernets.data.text.dataset import TextData
from supernets.elastic.active import Inputs
from supernets.errors import DataError
from supernets.metrics import PERPLEXITY
from supernets.tasks.task import (
    BATCH,
    SEQUENCE,
    CategoricalTask,
    Dimensions,
    Interface,
    NamedTensor,
    Preprocessing,
)
from supernets.tasks.texts import VOCABULARY, TextTask

if TYPE_CHECKING:
    from supernets.data import DataSet, Facts

NO_TARGET = -100
"""Stands for the target of a token that has none."""
LARGEST_LOSS = 100.0


class LanguageModelling(TextTask, CategoricalTask):
    """Outputs are logits ``(n, sequence, vocabulary)``, targets the next tokens ``(n, window) int64``.

    The score of an example is the mean log loss of its tokens, in nats; all windows have equally many.
    """

    name = "language_modelling"
    quality = PERPLEXITY
    special_tokens = False

    def dimensions(self, data: DataSet | Facts) -> dict[str, int | None]:
        """One output of each token for each token of the vocabulary."""
        size = self.vocabulary(data)
        return {"token_outputs": size, VOCABULARY: size}

    def check_data(self, data: DataSet) -> None:
        """Refuse texts with labels: their next tokens are not stored."""
        if data.classes:
            raise DataError(
                f"task {self.name!r} needs running text, but {data.name!r} holds texts with labels; use task "
                f"'text_classification', or data corpus:PATH"
            )

    def targets(self, labels: Tensor, data: DataSet) -> Tensor:  # noqa: ARG002
        """The tokens that follow."""
        return labels

    def rows(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One choice for each token that is followed by one; outputs of a shorter sequence are its first tokens."""
        right = targets[:, : outputs.shape[1]]
        kept = right != NO_TARGET
        return outputs[:, : right.shape[1]][kept], right[kept]

    def scores(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean log loss of the tokens of each example."""
        right = targets[:, : outputs.shape[1]]
        logits = outputs[:, : right.shape[1]].transpose(1, 2)
        losses = F.cross_entropy(logits, right, ignore_index=NO_TARGET, reduction="none").double()
        return losses.sum(1) / (right != NO_TARGET).sum(1).clamp_min(1)

    def summarise(self, scores: Tensor) -> tuple[float, float]:
        """Perplexity, and its standard error by the delta method."""
        mean, error = super().summarise(scores)
        value = _perplexity(mean)
        return value, value * error

    def difference(self, first: Tensor, second: Tensor) -> tuple[float, float]:
        """Difference of perplexities; its standard error by the delta method, of paired scores."""
        one, two = (_perplexity(float(each.mean())) for each in (first, second))
        _, error = super().difference(first * one, second * two)
        return one - two, error

    def prepare(self, stored: Tensor, preprocessing: Preprocessing, dimensions: Dimensions) -> Inputs:
        """``input_ids (n, sequence) int64``: no token sees those after it, so there is nothing to mask."""
        return super().prepare(stored, preprocessing, dimensions)[:1]

    def inputs(self) -> tuple[NamedTensor, ...]:
        """``input_ids`` of any batch and sequence."""
        return super().inputs()[:1]

    def interface(self, dimensions: Dimensions) -> Interface:
        """Tokens to ``logits (batch, sequence, token_outputs)``."""
        shape = (BATCH, SEQUENCE, dimensions["token_outputs"])
        return Interface(self.inputs(), NamedTensor("logits", "float32", shape))

    def describe(self, label: Tensor, data: TextData) -> str:
        """The text that follows."""
        return data.tokenization.decode(label[label != NO_TARGET].tolist())


def _perplexity(loss: float) -> float:
    """The exponential of a mean log loss; that of a network without any sense stays a number."""
    return math.exp(min(loss, LARGEST_LOSS))
