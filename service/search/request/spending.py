"""What a search may spend, and on how many images it evaluates first."""

from __future__ import annotations

from service.db.tables import Supernet
from service.errors import InvalidError
from service.search.request.schemas import MAX_EVALUATIONS, Budget, Spending
from service.supernets.images import part_size, usual_part, validation_images


def first_images(supernet: Supernet, asked: int | None) -> int | None:
    """On how many validation images subnets are evaluated first; None: on all."""
    total = validation_images(supernet)
    if asked is None:
        return usual_part(total)
    return None if asked == 0 else part_size(total, asked, "first_images")


def spending(supernet: Supernet, budget: Budget, first_asked: int | None) -> Spending:
    """A request's budget, with the most evaluations that it allows where none are given.

    Raises:
        InvalidError: the images are not enough for one subnet, first and then on all images.
    """
    total, first = validation_images(supernet), first_images(supernet, first_asked)
    least = total if first is None else total + first
    if budget.images is not None and budget.images < least:
        once = f"{total} for one subnet" if first is None else f"{first} and then all {total} for one subnet"
        rule = f"at least {least}: {once}"
        raise InvalidError(
            "budget.images", budget.images, rule, f"budget.images must be {rule}; got {budget.images}"
        )
    evaluations = budget.evaluations
    if evaluations is None:
        evaluations = MAX_EVALUATIONS
        if budget.images is not None:
            evaluations = min(evaluations, max(1, budget.images // (first or total)))
    return Spending(evaluations=evaluations, images=budget.images, seconds=budget.seconds)
