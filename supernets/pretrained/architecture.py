"""What an architecture states: the family it becomes, and which of its tensors become which weights."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from supernets.errors import ConvertError
from supernets.pretrained.folder import PretrainedFolder

FRACTIONS = (1 / 2, 2 / 3, 1.0)
"""Of depth, heads and neurons of the pretrained network: the choices of the axes."""
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
}
CLASSIFIER = "classifier"
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Take:
    """A tensor of the file, changed: ``sources`` are added up after ``change``."""

    sources: tuple[str, ...]
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """The weights of a family, by name; ``unused``: tensors of the file that belong to heads of other tasks."""

    weights: Mapping[str, Tensor]
    unused: tuple[str, ...]


class Architecture(ABC):
    """One ``model_type`` of ``config.json``; an object of it is one folder."""

    family: ClassVar[str]
    reads: ClassVar[str]
    prefix: ClassVar[str]
    """What the names of tensors begin with where the file has a head."""
    ignored: ClassVar[tuple[str, ...]] = ()
    """Patterns of tensors that no network of ours has: counters, masks, and heads of other tasks."""

    def __init__(self, folder: PretrainedFolder) -> None:
        self.folder, self.config = folder, folder.config

    @abstractmethod
    def settings(self, outputs: int | None) -> dict[str, Any]:
        """The family's settings; ``outputs`` classes, or None for a language model."""

    @abstractmethod
    def takes(self) -> Iterator[tuple[str, Take]]:
        """Each weight of the family but the classifier, and what it is made of."""

    @abstractmethod
    def classifier(self) -> dict[str, str]:
        """Names in the file, by those in the family, of what is new where the file has none or another shape: the
        classifier and a layer before it."""

    def read(self, state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> Read:
        """The weights of the family from the tensors of the file.

        Args:
            state: all tensors of the file.
            shapes: those that the family's weights have.

        Raises:
            ConvertError: names the tensors that are missing, left over, or of another shape.
        """
        bare = {name.removeprefix(self.prefix): value for name, value in state.items()}
        weights: dict[str, Tensor] = {}
        used: set[str] = set()
        missing: list[str] = []
        for own, take in self.takes():
            used |= set(take.sources)
            if absent := [name for name in take.sources if name not in bare]:
                missing += absent
                continue
            parts = [bare[name] if take.change is None else take.change(bare[name]) for name in take.sources]
            weights[own] = sum(parts[1:], parts[0]).contiguous()
        for own, source in self.classifier().items():
            if source in bare and own in shapes and tuple(bare[source].shape) == shapes[own]:
                weights[own], used = bare[source], used | {source}
        left = [name for name in bare if name not in used]
        unused = [name for name in left if self._is_ignored(name)]
        foreign = sorted(set(left) - set(unused))
        wrong = [
            f"{name} {tuple(value.shape)} instead of {shapes[name]}"
            for name, value in weights.items()
            if name in shapes and tuple(value.shape) != shapes[name]
        ]
        if missing or foreign or wrong:
            raise ConvertError(
                f"the weights must be those of config.json, got {len(missing)} missing {missing[:5]}, {len(foreign)} "
                f"unexpected {foreign[:5]}, {len(wrong)} of another shape {wrong[:5]}"
            )
        return Read(weights, tuple(sorted(unused)))

    def _is_ignored(self, name: str) -> bool:
        heads = set(self.classifier().values())
        return name in heads or any(re.match(pattern, name) for pattern in self.ignored)

    # --- config.json -------------------------------------------------------------------------------

    def whole(self, *names: str) -> int:
        """A positive whole number of ``config.json`` under the first of these names that it has."""
        for name in names:
            value = self.config.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
        got = {name: self.config[name] for name in names if name in self.config} or "none"
        raise ConvertError(f"config.json must have {names[0]}, a positive whole number, got {got}")

    def real(self, name: str, default: float) -> float:
        """A number of ``config.json``."""
        value = self.config.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ConvertError(f"{name} of config.json must be a number, got {value!r}")
        return float(value)

    def activation(self, *names: str) -> str:
        """The activation of the feed-forward layers."""
        value = next((self.config[name] for name in names if name in self.config), "gelu")
        if value not in ACTIVATIONS:
            raise ConvertError(
                f"{names[0]} must be one of {', '.join(ACTIVATIONS)}, config.json has {value!r}"
            )
        return ACTIVATIONS[value]

    def require(self, name: str, allowed: tuple[object, ...], default: object) -> None:
        """Refuse a variant that the family does not have."""
        if (value := self.config.get(name, default)) not in allowed:
            raise ConvertError(
                f"{name} must be {' or '.join(map(repr, allowed))} for family {self.family!r}, config.json has "
                f"{value!r}"
            )

    def blocks(self, width: int, layers: int, heads: int, ffn: int) -> dict[str, object]:
        """Settings of the blocks: pretrained sizes are the largest choices, every depth keeps first and last block."""
        if width % heads:
            raise ConvertError(f"the width {width} of config.json must be a multiple of its {heads} heads")
        return {
            "widths": [width],
            "depths": choices(layers),
            "heads": choices(heads),
            "head_size": width // heads,
            "ffns": choices(ffn),
            "keep": "spread",
        }


def choices(largest: int) -> list[int]:
    """Choices of an axis, ascending."""
    return sorted({max(1, round(largest * fraction)) for fraction in FRACTIONS})


def linear(own: str, source: str) -> Iterator[tuple[str, Take]]:
    """Weight and bias of a layer that is stored as ours is."""
    for kind in ("weight", "bias"):
        yield f"{own}.{kind}", Take((f"{source}.{kind}",))
