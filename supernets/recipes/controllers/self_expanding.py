"""A network that grows while it trains, where that promises more than training it further.

Self-expanding convolutional networks, Appolinary et al., 2024 (arXiv:2401.05686). The natural expansion score is
``η = gᵀ F⁻¹ g`` with the diagonal empirical Fisher information ``F``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supernets.errors import RecipeError
from supernets.recipes.parts import Controller, Event, Grow, Open, Setting, View


def _whole(value: float, least: int, most: int) -> bool:
    """Whether an option is an integer in a range; a file may have another number there."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a network may grow: layers added to a block, and parameters as a multiple of those at the start."""

    capacity: int
    most: float


class SelfExpanding(Controller):
    """The largest network trains alone, and every ``every`` of all steps it is asked whether it should grow.

    Candidates are ``channels`` more of each axis, with noise of ``scale`` as weights, and in each block a convolution
    that keeps its input, with the same noise. Their scores ``η`` are damped by ``exp(-penalty p²)``, ``p`` being the
    share of parameters that they add. The best one is applied if its score divided by that of the present network
    exceeds ``threshold``; then nothing is asked for ``cool_down`` of all steps. A block takes at most ``capacity``
    convolutions, the network at most ``most`` times its parameters at the start, and after ``end`` nothing is added.
    """

    grows = True

    def __init__(
        self,
        threshold: float = 1.4,
        channels: int = 4,
        capacity: int = 10,
        every: float = 0.05,
        cool_down: float = 0.05,
        end: float = 0.8,
        scale: float = 1e-4,
        penalty: float = 1.0,
        most: float = 8.0,
        examples: int = 128,
        damping: float = 1e-10,
    ) -> None:
        if not 0 <= threshold < math.inf or not 0 <= penalty < math.inf or not 0 <= scale < 1:
            raise RecipeError(
                f"threshold and penalty must be at least 0 and scale in [0, 1), got {threshold}, {penalty}, {scale}"
            )
        if not _whole(channels, 1, 4096) or not _whole(capacity, 0, 4096) or not _whole(examples, 2, 4096):
            raise RecipeError(
                f"channels must be a whole number from 1 to 4096, capacity from 0 to 4096 and examples from 2 to 4096, "
                f"got {channels}, {capacity}, {examples}"
            )
        if not 1 <= most < math.inf:
            raise RecipeError(f"most must be at least 1 and finite, got {most}")
        if not 0 < every <= 1 or not 0 <= cool_down <= 1 or not 0 < end <= 1 or not 0 < damping < math.inf:
            raise RecipeError(
                f"every and end must lie in (0, 1], cool_down in [0, 1] and damping above 0 and finite, got {every}, "
                f"{end}, {cool_down}, {damping}"
            )
        self.threshold, self.channels, self.scale, self.penalty = threshold, channels, scale, penalty
        self.examples, self.damping = examples, damping
        self._every, self._cool_down, self._end = every, cool_down, end
        self._limits = Limits(capacity, most)
        self._first_params: int | None = None
        self.changed: list[int] = []
        """Steps before which the network grew."""

    def begin(self, setting: Setting) -> None:
        """Refuse a family with nothing that can grow."""
        if not setting.family.growths(self.channels, self._limits.capacity):
            raise RecipeError(
                f"family {setting.family.name!r} has no axis and no block that can grow; convert a "
                f"convolutional network"
            )

    def state(self) -> dict[str, object]:
        """When it grew, and from which size."""
        return {"changed": list(self.changed), "first_params": self._first_params}

    def restore(self, state: Mapping[str, object]) -> None:
        """See :class:`Part`."""
        changed, params = state.get("changed"), state.get("first_params")
        self.changed = [int(step) for step in changed] if isinstance(changed, list) else []
        self._first_params = params if isinstance(params, int) else None

    def observe(self, view: View) -> Sequence[Event]:
        """The largest network at the start; later at most one growth at a time."""
        if view.step == 0:
            return [Open(tuple((len(axis.choices) - 1,) for axis in view.space.axes))]
        if not self._due(view):
            return []
        present = view.expansion(None, self.examples, self.damping)
        if self._first_params is None:
            self._first_params = present.params
        best, gain = self._best(view, present.params)
        if best is None or gain <= self.threshold * present.value:
            return []
        self.changed.append(view.step)
        return [best]

    def _due(self, view: View) -> bool:
        every = max(1, round(self._every * view.steps))
        if view.step % every or view.step > self._end * view.steps:
            return False
        rest = max(1, round(self._cool_down * view.steps))
        return not self.changed or view.step - self.changed[-1] > rest

    def _best(self, view: View, params: int) -> tuple[Grow | None, float]:
        """The candidate with the highest damped score; the first of equal ones."""
        best: Grow | None = None
        gain = -math.inf
        for growth in view.growths(self.channels, self._limits.capacity):
            if params + growth.params > self._limits.most * (self._first_params or params):
                continue
            event = Grow(growth, self.scale)
            score = view.expansion(event, self.examples, self.damping).value
            damped = score * math.exp(-self.penalty * (growth.params / params) ** 2)
            if damped > gain:
                best, gain = event, damped
        return best, gain
