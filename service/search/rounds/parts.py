"""Evaluating on a part of the images first, and on all of them what adds to the front, by ``search/images.py``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from search.images import FRESH_PAIRS, LAST_BATCH, LAST_BATCHES, LEAST_GAIN, PAIRS, whole_after
from service.db.tables import Supernet
from service.measurements.models import Quality
from service.measurements.parts import PROMPTED, pairs_of, part_rows, shift_of
from service.runtime.context import WorkContext
from service.runtime.task import Rows, StepData
from service.search.request.plan import Key
from service.search.request.schemas import SearchSpec
from service.search.request.spending import first_images
from service.search.rounds import propose
from service.search.rounds.history import SearchHistory, Values
from service.search.rounds.propose import MoreIn, ReferenceIn
from service.search.rounds.true_values import TrueValues
from service.supernets.checkpoints import family_of
from service.supernets.images import validation_images
from supernets.spaces.space import Arch

KEPT_SHARE = 0.25
"""Of a budget in images or seconds, for evaluations on all images after the rounds."""


class Pairs(StepData):
    """Subnets that are known on all images and are to be evaluated on the part, and how many the other way round."""

    known: Rows
    fresh: int


@dataclass(frozen=True)
class SearchState:
    """What choosing needs of the search as it is by then.

    ``relearn`` refits quality as a step; ``left`` gives the seconds that are left of a share of the budget, None where
    time is not limited.
    """

    problem: Callable[[], ReferenceIn]
    references: Callable[[], list[list[float] | None]]
    relearn: Callable[[str], Awaitable[None]]
    left: Callable[[float], float | None]


class Parts:
    """The evaluations of a search; ``first`` is None where everything is evaluated on all images."""

    def __init__(
        self,
        job: WorkContext,
        supernet: Supernet,
        spec: SearchSpec,
        history: SearchHistory,
        true: TrueValues,
        state: SearchState,
    ) -> None:
        self._job, self._supernet, self._history, self._true = job, supernet, history, true
        self._state, self._budget = state, spec.budget.images
        self.first = first_images(supernet, spec.first_images) if spec.budget.evaluations else None
        self._all = validation_images(supernet)

    # --- what the budget allows ---------------------------------------------------------------------

    @property
    def share_of_rounds(self) -> float:
        """Share of a budget in seconds that the rounds may take; the rest is for the last evaluations."""
        return 1.0 if self.first is None else 1.0 - KEPT_SHARE

    def affordable(self, size: int) -> int:
        """How many of ``size`` subnets the images that are left allow, some kept for the last decisions."""
        if self._budget is None:
            return size
        kept = max(self._all, int(KEPT_SHARE * self._budget)) if self.first is not None else 0
        return max(0, min(size, (self._budget - kept - self._history.images) // (self.first or self._all)))

    def _whole_left(self, most: int, kept: int = 0) -> int:
        """How many subnets may be evaluated on all images, ``kept`` images left over."""
        if self._budget is None:
            return most
        return max(0, min(most, (self._budget - kept - self._history.images) // self._all))

    # --- evaluating ---------------------------------------------------------------------------------

    async def evaluate(self, number: int, rows: Rows, doing: str, seconds: float | None) -> list[Quality]:
        """Quality of a round's subnets, in their order; of fewer where the time ran out."""
        step = f"evaluate {number}"
        found = await self._true.quality(step, rows, "validation", doing, seconds, self.first)
        self._history.images += found.images
        return found.evaluations

    async def compare(self) -> None:
        """After the first round: evaluate a few on both the part and all images."""
        if self.first is None:
            return
        pairs = await self._job.write("pairs", self._missing_pairs)
        on_part = await self._true.quality(
            "pairs part",
            pairs.known,
            "validation",
            "comparing",
            self._state.left(self.share_of_rounds),
            images=self.first,
            whole=False,
        )
        self._history.images += on_part.images
        fresh = self._history.indices(self._history.last[: pairs.fresh])
        await self._whole("pairs whole", fresh, "comparing", self.share_of_rounds)

    def _missing_pairs(self, session: Session) -> Pairs:
        assert self.first is not None
        rows = part_rows(session, self._job.project, self._supernet)
        missing = max(0, PAIRS - len(pairs_of(rows, self.first)))
        space = family_of(self._supernet).space()
        known = [id for id in rows.whole if id not in rows.part or rows.part[id].n != self.first]
        affordable = missing
        if self._budget is not None:
            affordable = max(0, min(missing, (self._budget - self._all - self._history.images) // self.first))
        chosen = space.encode([Arch(tuple(rows.archs[id].items())) for id in known[:affordable]])
        kept = self._all + self.first * len(chosen)
        fresh = self._whole_left(min(FRESH_PAIRS, missing - len(chosen)), kept=kept)
        return Pairs(known=chosen.tolist(), fresh=fresh)

    async def more(self, number: int) -> None:
        """After a round: evaluate on all images what is expected to add most to the front."""
        if self.first is None:
            return
        most = whole_after(len(self._history.last))
        await self._more(f"{number}", most, f"round {number + 1}", self.share_of_rounds)

    async def last(self) -> None:
        """After the rounds: until nothing is expected to add to the front, or the budget is spent."""
        if self.first is None:
            return
        for batch in range(LAST_BATCHES):
            if not await self._more(f"last {batch}", LAST_BATCH, "deciding", 1.0):
                break

    async def _more(self, name: str, most: int, doing: str, share: float) -> int:
        """Choose and evaluate, and learn from it; returns how many were chosen, 0 where the time ran out."""
        most = self._whole_left(most)
        if most == 0 or not self._history.parts:
            return 0
        state = self._state
        request = MoreIn(**dict(state.problem()), references=state.references(), most=most, least=LEAST_GAIN)
        chosen = (await self._job.step(f"choose {name}", propose.more, request)).rows
        done = await self._whole(f"{PROMPTED} {name}", chosen, doing, share)
        if done:
            await state.relearn(f"learn {name}")
        return len(chosen) if done == len(chosen) else 0

    async def _whole(self, step: str, indices: list[int], doing: str, share: float) -> int:
        """Evaluate some on all images, as many as a share of the time allows; returns how many."""
        if not indices:
            return 0
        rows = [self._history.rows[index] for index in indices]
        found = await self._true.quality(step, rows, "validation", doing, self._state.left(share))
        self._history.images += found.images
        self._history.set_whole(indices, found.evaluations)
        return len(found.evaluations)

    def expected(self) -> tuple[dict[Key, Values], Values]:
        """True values of everything evaluated, quality on a part shifted, and standard errors ``(n,)`` of quality."""
        if not self._history.parts:
            return self._history.values(confirmed=False), np.zeros(len(self._history.rows))
        with self._job.read() as session:
            rows = part_rows(session, self._job.project, self._supernet)
        found = [self._history.validation[index] for index in self._history.parts]
        shifts = {}
        for n in {each.n for each in found}:
            # Their rows may have been replaced in the meantime, by evaluations on more images.
            stated = [each.standard_error or 0.5 / n for each in found if each.n == n]
            shifts[n] = shift_of(rows, n, self._all, stated)
        return self._history.expected(shifts)
