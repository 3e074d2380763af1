"""HESSO-CRIC (Chen et al., 2024, arXiv:2409.09085): before anything goes, scores are corrected by what happens when
units are removed; then one ramp of HESSO."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from supernets.elastic.criteria import normed
from supernets.errors import RecipeError
from supernets.recipes.parts import Setting
from supernets.recipes.pruners.hesso import Hesso
from supernets.recipes.pruners.pruner import Change, Moment, count_in, per_axis, scaled, zeroed

LEVELS = (0.25, 0.5, 0.75)


class HessoCric(Hesso):
    """Probe, cycles, one ramp.

    Probe: of each axis the quarter, half and three quarters with the lowest scores are set to zero, and the loss is
    divided by that of the whole network. Cycles: the units that would go are shrunk for ``sampling`` steps of
    training while scores are collected; then all weights are restored, bit for bit. Units that would now go and have
    not been tried are tried in the next cycle, until there are at most ``tolerance`` (share of all units). The
    final score is the mean of all samples and the term of the probe.
    """

    def __init__(
        self,
        sparsity: float | None = None,
        keep: Mapping[str, float] | None = None,
        start: float = 0.1,
        end: float = 0.7,
        cycles: int = 10,
        sampling: int = 20,
        tolerance: float = 0.01,
        agreeing_goes: bool = True,
    ) -> None:
        super().__init__(sparsity, keep, start, end, 1, agreeing_goes)
        if cycles < 1 or sampling < 1:
            raise RecipeError(f"cycles and sampling must be at least 1, got {cycles} and {sampling}")
        self.cycles, self.sampling, self.tolerance = cycles, sampling, tolerance
        self.tensors: dict[str, Tensor] = {}
        """``term`` of the probe, ``total`` of the samples, ``tried`` and ``violating`` units, ``kept.`` the weights."""
        self.samples = self.cycle = self.place = 0
        self.ramp_from: int | None = None

    def begin(self, setting: Setting) -> None:
        """See :class:`Pruner`."""
        super().begin(setting)
        if self.last - self.first < 2 * self.sampling:
            self.sampling = max(1, (self.last - self.first) // 2)
        self.cycles = min(self.cycles, max(1, (self.last - self.first) // (2 * self.sampling)))

    def state(self) -> dict[str, object]:
        """See :class:`Part`."""
        counts = {
            "samples": self.samples,
            "cycle": self.cycle,
            "place": self.place,
            "ramp_from": self.ramp_from,
        }
        return super().state() | counts | self.tensors

    def restore(self, state: Mapping[str, object]) -> None:
        """See :class:`Part`."""
        super().restore(state)
        own = ("zero", "redundant")
        self.tensors = {k: v for k, v in state.items() if isinstance(v, Tensor) and k not in own}
        self.samples, self.cycle, self.place = (
            count_in(state, name) for name in ("samples", "cycle", "place")
        )
        if state.get("ramp_from") is not None:
            self.ramp_from = count_in(state, "ramp_from")
            self._ramp(self.ramp_from)

    def before(self, moment: Moment) -> Change | None:
        """Samples scores, or chooses what goes."""
        if moment.step < self.first:
            return None
        if self.ramp_from is not None:
            return super().before(moment)
        scores = Hesso.scores(self, moment)
        found = self.tensors
        if not found:
            found["term"] = probe(moment, scores)
            found["violating"] = self.goal(moment.units, scores)
            found["tried"] = found["violating"].clone()
            found["total"] = torch.zeros_like(scores)
            found |= {f"kept.{name}": value.detach().clone() for name, value in moment.weights.items()}
        found["total"] += scores
        self.samples += 1
        return None

    def scores(self, moment: Moment) -> Tensor:
        """The corrected scores, once there are any."""
        del moment
        return self.tensors["total"] / self.samples + self.tensors["term"]

    def after(self, moment: Moment) -> Change | None:
        """Shrinks what is tried; at the end of a cycle the weights of before."""
        if self.ramp_from is not None:
            return super().after(moment)
        if not self.tensors:
            return None
        self.place += 1
        if self.place < self.sampling:
            left = self.sampling - self.place + 1
            violating = self.tensors["violating"].bool()
            share = torch.where(violating, (left - 1) / left, 1.0).double()
            return Change(scaled(moment.weights, moment.units.factors(share)))
        self._next(moment)
        kept = {k.removeprefix("kept."): v for k, v in self.tensors.items() if k.startswith("kept.")}
        return Change(kept, restart=True)

    def _next(self, moment: Moment) -> None:
        """What the next cycle tries; or the ramp."""
        self.cycle, self.place = self.cycle + 1, 0
        tried = self.tensors["tried"].bool()
        trial = self.goal(moment.units, self.scores(moment)) & ~tried
        self.tensors["tried"], self.tensors["violating"] = tried | trial, trial
        if int(trial.sum()) <= self.tolerance * len(trial) or self.cycle == self.cycles:
            self.ramp_from = moment.step + 1
            self._ramp(self.ramp_from)

    def _ramp(self, first: int) -> None:
        self.first = first
        self.last = max(self.last, first + 1)
        self._divide()


def probe(moment: Moment, scores: Tensor) -> Tensor:
    """How much the loss grows without a unit and those of its axis with lower scores, divided by its norm, a fifth.

    Of each level the growth counts for the units it adds: growth beyond that of the level before.
    """
    units = moment.units
    nothing = torch.zeros(len(scores), dtype=torch.bool)
    reference = max(moment.loss({}), 1e-12)
    term, start = torch.zeros_like(scores), 0
    for size, own in zip(units.sizes, per_axis(units, scores), strict=True):
        order = start + torch.argsort(own, stable=True)
        done, before = 0, 1.0
        for level in LEVELS:
            count = int(level * size)
            gone = nothing.clone()
            gone[order[:count]] = True
            ratio = moment.loss(zeroed(units, moment.weights, gone)) / reference
            term[order[done:count]] = max(0.0, ratio - before)
            done, before = count, max(before, ratio)
        term[order[done:]] = max(0.0, before - 1)
        start += size
    return normed(term) / 5
