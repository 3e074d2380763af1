"""Attentive sampling: best or worst of a few archs of a drawn cost, judged on the batch.

Written from the formulas of AttentiveNAS (Wang et al., 2021, arXiv:2011.09118).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from supernets.errors import RecipeError
from supernets.recipes.parts import Item, Sampler, Setting
from supernets.recipes.samplers.buckets import BucketTables
from supernets.spaces.space import Space


class AttentiveSampler(Sampler):
    """The sandwich, its middle slots filled by ``k`` candidates of one cost bucket each, of which one is trained.

    A bucket is drawn by how often uniform sampling hits it. ``pick`` is ``best`` (lowest loss on the
    batch) or ``worst``. Candidates cost a forward pass each.
    """

    def __init__(
        self, slots: int = 2, k: int = 3, pick: Literal["best", "worst"] = "best", buckets: int = 20
    ) -> None:
        if (
            not 0 <= slots <= 64
            or not 1 <= k <= 64
            or pick not in ("best", "worst")
            or not 1 <= buckets <= 1000
        ):
            raise RecipeError(
                f"attentive takes 0 to 64 slots, k of 1 to 64, pick of best or worst and 1 to 1000 buckets, "
                f"got {slots}, {k}, {pick!r}, {buckets}"
            )
        self._slots, self._k, self._pick, self._count = slots, k, pick, buckets
        self._tables: BucketTables | None = None

    def begin(self, setting: Setting) -> None:
        """Prepare for the buckets of the regions to come."""
        self._tables = BucketTables(setting.family, self._count, setting.seed)

    def plan(self, space: Space, step: int, rng: np.random.Generator) -> tuple[Item, ...]:  # noqa: ARG002
        """``max``, ``attentive1`` …, ``min``."""
        if self._tables is None:
            raise RecipeError("a sampler must be begun before it plans")
        table = self._tables.of(space)
        items = [Item(space.max(), "max", regularise=True)]
        for slot in range(1, self._slots + 1):
            bucket = int(rng.choice(table.count, p=table.frequency))
            drawn = tuple(table.draw(rng, bucket) for _ in range(self._k))
            candidates = drawn if self._k > 1 else ()
            items.append(
                Item(drawn[0], f"attentive{slot}", targets_from="max", candidates=candidates, pick=self._pick)
            )
        return (*items, Item(space.min(), "min", targets_from="max"))
