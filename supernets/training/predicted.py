"""A metric that a predictor gives for the archs of a supernet, for parts that decide by it. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from supernets.records import OriginRecord
from supernets.spaces.cost import Cost


@dataclass(frozen=True)
class PredictedCost:
    """A metric of which less is better; ``origin`` is the predictor and the hash of its file."""

    metric: str
    cost: Cost
    origin: OriginRecord
