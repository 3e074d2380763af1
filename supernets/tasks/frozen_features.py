"""How well features of a network that is not trained further separate classes: nearest neighbours, a linear probe."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

PROBE_ITERATIONS = 100
PROBE_DECAY = 1e-3
"""Factor on the sum of squared weights: of standardised features, so that it is one for all networks."""


def neighbours(
    features: Tensor, labels: Tensor, k: int, temperature: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """Scores by the ``k`` nearest of known features, as DINO does it (Caron et al., 2021).

    Args:
        features: known ones, ``(m, d)``.
        labels: their classes, ``(m,) int64``.
        k: neighbours that vote, at most ``m``.
        temperature: a neighbour of cosine similarity ``s`` votes with ``exp(s / temperature)``.

    Returns:
        A function of features ``(n, d)`` and classes ``(n,)``: 1 where the vote is right, else 0, ``(n,) float64``.
    """
    known, classes = F.normalize(features.float(), dim=1), int(labels.max()) + 1

    def scores(outputs: Tensor, targets: Tensor) -> Tensor:
        nearest, places = (F.normalize(outputs.float(), dim=1) @ known.T).topk(min(k, len(known)), dim=1)
        votes = torch.zeros(len(outputs), classes, dtype=nearest.dtype)
        votes.scatter_add_(1, labels[places], (nearest / temperature).exp())
        return (votes.argmax(1) == targets).double()

    return scores


def linear_probe(features: Tensor, labels: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Scores by a logistic regression on known features ``(m, d)`` with classes ``(m,)``, fitted from zero by L-BFGS.

    Features are standardised over the known ones. Returns as :func:`neighbours` does.
    """
    known = features.float()
    mean, scale = known.mean(0), known.std(0, unbiased=False).clamp_min(1e-6)
    classes, standard = int(labels.max()) + 1, (known - mean) / scale
    with torch.inference_mode(False), torch.enable_grad():
        standard, right = standard.clone(), labels.clone()
        weight = torch.zeros(classes, known.shape[1], requires_grad=True)
        bias = torch.zeros(classes, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight, bias], max_iter=PROBE_ITERATIONS, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            optimizer.zero_grad()
            found = F.cross_entropy(F.linear(standard, weight, bias), right)
            found = found + PROBE_DECAY * weight.square().sum()
            found.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            return found

        optimizer.step(loss)  # type: ignore[no-untyped-call]  # untyped in torch
    fitted, offset = weight.detach(), bias.detach()

    def scores(outputs: Tensor, targets: Tensor) -> Tensor:
        logits = F.linear((outputs.float() - mean) / scale, fitted, offset)
        return (logits.argmax(1) == targets).double()

    return scores
