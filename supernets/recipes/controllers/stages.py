"""The space opens in stages: progressive shrinking (once-for-all) and delayed opening (DepS) are lists of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from supernets.errors import RecipeError
from supernets.recipes.parts import TEACHER, Controller, Event, Open, Reorder, Setting, SwapTeacher, View
from supernets.spaces.coupled import CoupledSpace
from supernets.spaces.space import Space

KEYS = {"start", "open", "reorder", "teacher"}


class Stages(Controller):
    """At the fraction ``start`` of all steps: a new teacher, channels sorted, then another region opened.

    ``open`` is the number of the *largest* choices that are open, for every axis kind: ``{kernel = 3, depth = 1}``;
    ``"all"`` for a kind, or for everything; kinds not named stay at their largest choice, but ``resolution``,
    which is open unless named. ``reorder`` sorts channels first, ``teacher`` freezes a copy as teacher.
    """

    def __init__(self, stages: Sequence[Mapping[str, Any]]) -> None:
        starts = [stage.get("start") for stage in stages if isinstance(stage, Mapping)]
        if len(starts) != len(stages) or not starts or any(not isinstance(s, (int, float)) for s in starts):
            raise RecipeError(f"stages must be tables with a start each, got {stages!r}")
        numbers = [float(start) for start in starts if start is not None]
        if numbers[0] != 0 or numbers != sorted(set(numbers)) or numbers[-1] >= 1:
            raise RecipeError(f"stages must start at 0 and ascend below 1, got {numbers}")
        for stage in stages:
            self._check(stage)
        self._stages = [dict(stage) for stage in stages]
        gives = {"opening"} if len(stages) > 1 else set()
        self.reorders, self.last_opening = any(stage.get("reorder") for stage in stages), numbers[-1]
        self.gives = frozenset(gives | ({TEACHER} if any(s.get("teacher") for s in stages) else set()))

    @staticmethod
    def _check(stage: Mapping[str, object]) -> None:
        if unknown := sorted(set(stage) - KEYS):
            raise RecipeError(f"a stage takes {', '.join(sorted(KEYS))}, got {unknown}")
        opened = stage.get("open", "all")
        counts = opened.values() if isinstance(opened, Mapping) else [opened]
        for count in counts:
            whole = isinstance(count, int) and not isinstance(count, bool) and count > 0
            if count != "all" and not (whole and isinstance(opened, Mapping)):
                raise RecipeError(
                    f"open must be 'all' or a count of largest choices per kind, got {opened!r}"
                )

    def begin(self, setting: Setting) -> None:
        """Refuse kinds that no family has, before the first step."""
        for stage in self._stages:
            opened(setting.family.space(), stage.get("open", "all"))

    def observe(self, view: View) -> Sequence[Event]:
        """The stage that starts at this step, if one does."""
        events: list[Event] = []
        for stage in self._stages:
            if round(float(stage["start"]) * view.steps) == view.step:
                if stage.get("teacher"):
                    events.append(SwapTeacher())
                if stage.get("reorder"):
                    events.append(Reorder())
                events.append(Open(opened(view.space, stage.get("open", "all"))))
        return events


def opened(space: Space, opening: str | Mapping[str, int | str]) -> tuple[tuple[int, ...], ...]:
    """Allowed choice indices, an axis each, with as many of the largest choices as ``opening`` names."""
    if isinstance(opening, Mapping):
        kinds = {axis.kind for axis in space.axes}
        known = kinds | {"kernel", "depth", "expand", "width", "resolution"}
        if unknown := sorted(set(opening) - known):
            raise RecipeError(f"no axis kind {unknown[0]!r} to open; kinds: {', '.join(sorted(kinds))}")
    followers = space.leaders if isinstance(space, CoupledSpace) else {}
    allowed = []
    for axis, choices in zip(space.axes, space.allowed, strict=True):
        count: int | str = "all"
        if isinstance(opening, Mapping) and axis.name not in followers:
            count = opening.get(axis.kind, "all" if axis.kind == "resolution" else 1)
        allowed.append(choices if count == "all" else choices[-int(count) :])
    return tuple(allowed)
