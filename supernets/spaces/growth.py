"""How a network may grow. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Widen:
    """``channels`` more channels of an axis; ``params`` are the parameters that are added."""

    axis: str
    channels: int
    params: int


@dataclass(frozen=True, slots=True)
class Deepen:
    """A convolution that keeps its input, behind the value ``after``; ``params`` are the parameters that are added."""

    after: str
    params: int


Growth: TypeAlias = Widen | Deepen
