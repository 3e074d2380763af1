"""Evaluating on a part of the images first, and on all of them what adds to the front, by ``search/images.py``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

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
"""Of a budget in images, for evaluations on all images after the rounds."""


class Pairs(StepData):
    """Subnets that are known on all images and are to be evaluated on the part, and how many the other way round."""

    known: Rows
    fresh: int


class Parts:
    """The evaluations of a search; ``first`` is None where everything is evaluated on all images."""

    def __init__(
        self,
        job: WorkContext,
        supernet: Supernet,
        spec: SearchSpec,
        history: SearchHistory,
        true: TrueValues,
        problem: Callable[[], ReferenceIn],
        references: Callable[[], list[list[float] | None]],
        relearn: Callable[[str], Awaitable[None]],
    ) -> None:
        """``problem`` and ``references`` are what choosing needs; ``relearn`` refits quality as a step."""
        self._job, self._supernet, self._history, self._true = job, supernet, history, true
        self._problem, self._references = problem, references
        self._relearn, self._budget = relearn, spec.budget.images
        self.first = first_images(supernet, spec.first_images) if spec.budget.evaluations else None
        self._all = validation_images(supernet)

    # --- what the budget allows ---------------------------------------------------------------------

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
            "pairs part", pairs.known, "validation", "comparing", images=self.first, whole=False
        )
        self._history.images += on_part.images
        await self._whole(
            "pairs whole", self._history.indices(self._history.last[: pairs.fresh]), "comparing"
        )

    def _missing_pairs(self, session: Session) -> Pairs:
        assert self.first is not None
        rows = part_rows(session, self._job.project, self._supernet)
        missing = max(0, PAIRS - len(pairs_of(rows, self.first)))
        space = family_of(self._supernet).space()
        known = [id for id in rows.whole if id not in rows.part or rows.part[id].n != self.first]
        chosen = space.encode([Arch(tuple(rows.archs[id].items())) for id in known[:missing]])
        fresh = self._whole_left(min(FRESH_PAIRS, missing - len(chosen)), kept=self._all)
        return Pairs(known=chosen.tolist(), fresh=fresh)

    async def more(self, number: int) -> None:
        """After a round: evaluate on all images what is expected to add most to the front."""
        if self.first is None:
            return
        await self._more(f"{number}", whole_after(len(self._history.last)), f"round {number + 1}")

    async def last(self) -> None:
        """After the rounds: until nothing is expected to add to the front."""
        if self.first is None:
            return
        for batch in range(LAST_BATCHES):
            if not await self._more(f"last {batch}", LAST_BATCH, "deciding"):
                break

    async def _more(self, name: str, most: int, doing: str) -> int:
        """Choose and evaluate, and learn from it; returns how many were chosen."""
        most = self._whole_left(most)
        if most == 0 or not self._history.parts:
            return 0
        request = MoreIn(**dict(self._problem()), references=self._references(), most=most, least=LEAST_GAIN)
        chosen = (await self._job.step(f"choose {name}", propose.more, request)).rows
        await self._whole(f"{PROMPTED} {name}", chosen, doing)
        if chosen:
            await self._relearn(f"learn {name}")
        return len(chosen)

    async def _whole(self, step: str, indices: list[int], doing: str) -> None:
        """Evaluate some on all images."""
        if not indices:
            return
        rows = [self._history.rows[index] for index in indices]
        found = await self._true.quality(step, rows, "validation", doing)
        self._history.images += found.images
        self._history.set_whole(indices, found.evaluations)

    def expected(self) -> tuple[dict[Key, Values], Values]:
        """True values of everything evaluated, quality on a part shifted, and standard errors ``(n,)`` of quality."""
        if not self._history.parts:
            return self._history.values(confirmed=False), np.zeros(len(self._history.rows))
        with self._job.read() as session:
            rows = part_rows(session, self._job.project, self._supernet)
        sizes = {self._history.validation[index].n for index in self._history.parts}
        return self._history.expected({n: shift_of(rows, n, self._all) for n in sizes})
