"""Probability shift: train where the validation gradient is still large (ShiftNAS, Zhang et al., 2023).

The simple variant: a moving average of the gradient's norm per cost bucket decides how often it is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernets.errors import RecipeError
from supernets.recipes.parts import Item, Sampler, Setting, View
from supernets.recipes.samplers.buckets import Buckets, BucketTables
from supernets.spaces.space import Arch, Space


class ShiftSampler(Sampler):
    """The sandwich, its middle slots drawn from cost buckets with probability ``pi ~ g^gamma``.

    ``g`` is the moving average (``decay``) of the norm of a bucket's validation gradient, asked for every
    ``every`` steps; ``explore`` of the probability is uniform. Until a bucket has been evaluated, all are
    equally likely. Buckets that hold no arch of the open region are left out.
    """

    def __init__(
        self,
        slots: int = 2,
        buckets: int = 5,
        every: int = 50,
        gamma: float = 1.0,
        decay: float = 0.7,
        explore: float = 0.1,
    ) -> None:
        if not 1 <= slots <= 64 or not 2 <= buckets <= 100 or every < 1:
            raise RecipeError(
                f"shift takes 1 to 64 slots, 2 to 100 buckets and every >= 1, got {slots}, {buckets}, {every}"
            )
        if not gamma >= 0 or not 0 <= decay < 1 or not 0 < explore <= 1:
            raise RecipeError(
                f"gamma >= 0, decay in [0, 1) and explore in (0, 1] must hold, got {gamma}, {decay}, {explore}"
            )
        self._slots, self._count, self._every = slots, buckets, every
        self._gamma, self._decay, self._explore = gamma, decay, explore
        self._tables: BucketTables | None = None
        self.norms: list[float | None] = [None] * buckets

    def begin(self, setting: Setting) -> None:
        """Prepare for the buckets of the regions to come."""
        self._tables = BucketTables(setting.family, self._count, setting.seed)

    def buckets(self, space: Space) -> Buckets:
        """The buckets of a region."""
        if self._tables is None:
            raise RecipeError("a sampler must be begun before it plans")
        return self._tables.of(space)

    def probabilities(self, table: Buckets) -> NDArray[np.float64]:
        """How likely each bucket is, ``(buckets,)``, summing to 1."""
        open_ = table.frequency > 0
        known = [norm for norm, on in zip(self.norms, open_, strict=True) if on and norm is not None]
        if len(known) < open_.sum() or sum(known) == 0:
            return np.asarray(open_ / open_.sum())
        weight = np.where(open_, np.array([norm or 0.0 for norm in self.norms]) ** self._gamma, 0.0)
        shifted = weight / weight.sum()
        return np.asarray((1 - self._explore) * shifted + self._explore * open_ / open_.sum())

    def plan(self, space: Space, step: int, rng: np.random.Generator) -> tuple[Item, ...]:  # noqa: ARG002
        """``max``, ``shift1`` …, ``min``."""
        table = self.buckets(space)
        drawn = rng.choice(table.count, size=self._slots, p=self.probabilities(table))
        slots = [
            Item(self.emit(table, int(bucket), rng), f"shift{k}", targets_from="max")
            for k, bucket in enumerate(drawn, start=1)
        ]
        return (
            Item(space.max(), "max", regularise=True),
            *slots,
            Item(space.min(), "min", targets_from="max"),
        )

    def emit(self, table: Buckets, bucket: int, rng: np.random.Generator) -> Arch:
        """An arch of this bucket."""
        return table.draw(rng, bucket)

    def observe(self, view: View, losses: Mapping[str, float], rng: np.random.Generator) -> None:  # noqa: ARG002
        """Every ``every`` steps: the gradient's norm of one arch of each open bucket moves the averages."""
        space = view.regions[view.turn]
        if (view.step + 1) % self._every or space.size() == 1:
            return
        table = self.buckets(space)
        for bucket in np.flatnonzero(table.frequency > 0).tolist():
            found = view.gradients(view.turn, self.emit(table, bucket, rng), 0, "validation")
            norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in found.values()))
            before = self.norms[bucket]
            self.norms[bucket] = norm if before is None else self._decay * before + (1 - self._decay) * norm

    def state(self) -> dict[str, object]:
        """The averages."""
        return {"norms": list(self.norms)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue with these averages."""
        self.norms = list(state["norms"])
