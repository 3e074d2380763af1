"""On how many validation images a subnet is evaluated: on all, or first on a part of them."""

from __future__ import annotations

from service.db.tables import Supernet
from service.errors import InvalidError

FEWEST_IN_PART = 100
MORE_THAN_ENOUGH, PART, LEAST_PART = 1_000, 5, 500


def part_size(n: int, asked: int, field: str) -> int:
    """A number of images that is a part of a split of ``n``; raises :class:`InvalidError`, naming ``field``."""
    if FEWEST_IN_PART <= asked < n:
        return asked
    if n <= FEWEST_IN_PART:
        choices = f"all {n} images: a part has at least {FEWEST_IN_PART}"
    else:
        choices = f"a number from {FEWEST_IN_PART} to {n - 1}, or all {n} images"
    raise InvalidError(field, asked, choices, f"{field} must be {choices}; got {asked}")


def usual_part(n: int) -> int | None:
    """On how many of ``n`` images subnets are evaluated first; None: on all, a decision needs no fewer."""
    return max(LEAST_PART, n // PART) if n > MORE_THAN_ENOUGH else None


def split_images(supernet: Supernet, split: str) -> int:
    """How many images a split has; 0 where it is not known."""
    splits = supernet.manifest["data"].get("splits", {})
    return int(splits[split]["n"]) if split in splits else 0


def validation_images(supernet: Supernet) -> int:
    """How many images the validation split has; 0 for the space of a table, which has none."""
    return split_images(supernet, "validation")
