"""Bounds on the settings of a family, checked before anything is computed from them. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from supernets.errors import SpaceError

MAX_CHOICES = 32
"""The most entries of a list: choices of an axis, stages of a network."""
MAX_BLOCKS = 128
"""The most blocks of the largest subnet, over all stages."""
MAX_NUMBER = 65_536
"""The largest number: channels, pixels, factors."""
MAX_CLASSES = 1_000_000
AT_LEAST_1 = frozenset(
    {"divisor", "num_classes", "image_channels", "stride", "strides", "stem_stride", "width", "stage_widths"}
    | {"stem_width", "first_width", "feature_width"}
)


def check_settings(settings: Any, prefix: str = "") -> None:
    """Refuse a settings dataclass with longer lists or larger numbers than a family may have.

    Raises:
        SpaceError: names the setting, what was got and the limit.
    """
    for field in dataclasses.fields(settings):
        _check(f"{prefix}{field.name}", field.name, getattr(settings, field.name))


def check_blocks(blocks: Iterable[int]) -> None:
    """Refuse a family whose stages have more than ``MAX_BLOCKS`` blocks in all; ``blocks`` has one entry a stage."""
    total = sum(blocks)
    if total > MAX_BLOCKS:
        raise SpaceError(
            f"the stages of the largest subnet must have at most {MAX_BLOCKS} blocks in all, got {total}"
        )


def _check(where: str, name: str, value: object) -> None:
    if isinstance(value, tuple):
        if len(value) > MAX_CHOICES:
            raise SpaceError(f"{where} must have at most {MAX_CHOICES} entries, got {len(value)}")
        for index, each in enumerate(value):
            _check(f"{where}[{index}]", name, each)
    elif dataclasses.is_dataclass(value):
        check_settings(value, f"{where}.")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        least = 1 if name in AT_LEAST_1 else 0
        most = MAX_CLASSES if name in ("num_classes", "vocabulary") else MAX_NUMBER
        if not least <= value <= most:  # also refuses NaN
            raise SpaceError(f"{where} must lie in {least} to {most}, got {value}")
