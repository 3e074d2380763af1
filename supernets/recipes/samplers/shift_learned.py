"""Probability shift, learned: logits over cost buckets and a generator of archs (ShiftNAS, Zhang et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from supernets.errors import RecipeError
from supernets.families.family import Family
from supernets.metrics import MACS
from supernets.recipes.parts import Setting, View
from supernets.recipes.samplers.buckets import Buckets
from supernets.recipes.samplers.shift import ShiftSampler
from supernets.spaces.space import Arch, Space

HIDDEN = 64
COST_SAMPLES = 2_000
EPSILON = 1e-2


class Generator(nn.Module):
    """An LSTM that chooses axis after axis for a target cost in 0..1."""

    def __init__(self, space: Space, temperature: float) -> None:
        super().__init__()
        self._widest, self._temperature = int(space.cardinalities.max()), temperature
        self.cell = nn.LSTMCell(self._widest + 1, HIDDEN)
        self.heads = nn.ModuleList([nn.Linear(HIDDEN, self._widest) for _ in space.axes])

    def forward(self, target: Tensor, region: Space, uniform: Tensor) -> Tensor:
        """Soft choices ``(n, d, choices)`` by Gumbel-softmax, for costs ``(n,)`` and noise of that shape in (0, 1)."""
        n = len(target)
        hidden, memory = target.new_zeros(n, HIDDEN), target.new_zeros(n, HIDDEN)
        before = target.new_zeros(n, self._widest)
        chosen = []
        for column, head in enumerate(self.heads):
            hidden, memory = self.cell(torch.cat([before, target[:, None]], 1), (hidden, memory))
            logits = head(hidden) - (-uniform[:, column].log()).log()
            closed = torch.full((self._widest,), -torch.inf)
            closed[list(region.allowed[column])] = 0.0
            before = F.softmax((logits + closed) / self._temperature, dim=1)
            chosen.append(before)
        return torch.stack(chosen, 1)


class LinearCost:
    """MACs of a region, scaled to 0..1 over the whole space, as a linear function of its choices."""

    def __init__(self, family: Family, region: Space, rng: np.random.Generator) -> None:
        whole = family.space()
        ends = family.costs(whole.encode([whole.min(), whole.max()]))[MACS]
        self._low, self._span = float(ends[0]), max(float(ends[1] - ends[0]), 1.0)
        rows = region.sample(rng, COST_SAMPLES)
        choices = np.eye(int(region.cardinalities.max()))[rows].reshape(len(rows), -1)
        design = np.concatenate([choices, np.ones((len(rows), 1))], axis=1)
        target = self.scaled(family.costs(rows)[MACS])
        gram = design.T @ design + 1e-3 * np.eye(design.shape[1])
        solved = np.linalg.solve(gram, design.T @ target)
        self._weights, self._constant = torch.tensor(solved[:-1], dtype=torch.float32), float(solved[-1])

    def scaled(self, macs: NDArray[np.float64]) -> NDArray[np.float64]:
        """MACs to 0..1."""
        return (macs - self._low) / self._span

    def __call__(self, chosen: Tensor) -> Tensor:
        """Cost ``(n,)`` of soft choices ``(n, d, choices)``."""
        return chosen.flatten(1) @ self._weights + self._constant


class LearnedShiftSampler(ShiftSampler):
    """As the simple variant, but buckets have learned logits ``B`` and archs come from a generator.

    The generator minimises ``(cost - target)^2`` at every step (Adam). ``B`` minimises the expected norm
    of the validation gradient after a virtual step on a bucket: every ``every`` steps it moves by
    ``rate · pi_b (I_b - mean I)``, where ``I_b`` is the inner product of the bucket's training gradient
    with the gradient of that norm, by central differences. Costs four passes a bucket.
    """

    def __init__(
        self,
        slots: int = 2,
        buckets: int = 5,
        every: int = 100,
        rate: float = 1.0,
        temperature: float = 1.0,
        generator_lr: float = 1e-3,
        explore: float = 0.1,
        batch: int = 16,
    ) -> None:
        super().__init__(slots, buckets, every, explore=explore)
        if not rate > 0 or not temperature > 0 or not generator_lr > 0 or not 1 <= batch <= 4096:
            raise RecipeError(
                f"rate, temperature and generator_lr must be above 0 and batch 1 to 4096, "
                f"got {rate}, {temperature}, {generator_lr}, {batch}"
            )
        self._rate, self._temperature, self._lr, self._batch = rate, temperature, generator_lr, batch
        self.logits = np.zeros(buckets)
        self._costs: dict[str, LinearCost] = {}

    def begin(self, setting: Setting) -> None:
        """A fresh generator, a function of the seed."""
        super().begin(setting)
        self._family, self._seed = setting.family, setting.seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            self.generator = Generator(setting.family.space(), self._temperature)
        self._adam = torch.optim.Adam(self.generator.parameters(), lr=self._lr)

    def probabilities(self, table: Buckets) -> NDArray[np.float64]:
        """How likely each bucket is, ``(buckets,)``: softmax of ``B`` mixed with uniform."""
        open_ = table.frequency > 0
        weight = np.where(open_, np.exp(self.logits - self.logits.max()), 0.0)
        return np.asarray((1 - self._explore) * weight / weight.sum() + self._explore * open_ / open_.sum())

    def cost(self, region: Space) -> LinearCost:
        """The cost model of a region, made once."""
        if region.sha256 not in self._costs:
            rng = np.random.default_rng([self._seed, 13])
            self._costs[region.sha256] = LinearCost(self._family, region, rng)
        return self._costs[region.sha256]

    def generate(self, region: Space, target: NDArray[np.float64], rng: np.random.Generator) -> list[Arch]:
        """Archs of the generator for costs in 0..1."""
        noise = self._noise(region, len(target), rng)
        with torch.no_grad():
            chosen = self.generator(torch.tensor(target, dtype=torch.float32), region, noise)
        return region.decode(region.repair(chosen.argmax(2).numpy()))

    def _noise(self, region: Space, n: int, rng: np.random.Generator) -> Tensor:
        shape = (n, region.d, int(region.cardinalities.max()))
        return torch.tensor(rng.uniform(1e-6, 1 - 1e-6, shape), dtype=torch.float32)

    def emit(self, table: Buckets, bucket: int, rng: np.random.Generator) -> Arch:
        """An arch of the generator for the middle of this bucket."""
        target = self.cost(table.space).scaled(table.centres[bucket : bucket + 1])
        return self.generate(table.space, target, rng)[0]

    def learn_costs(self, region: Space, rng: np.random.Generator) -> float:
        """One update of the generator; its mean squared cost error before."""
        centres = self.cost(region).scaled(self.buckets(region).centres)
        target = torch.tensor(rng.uniform(centres.min(), centres.max(), self._batch), dtype=torch.float32)
        chosen = self.generator(target, region, self._noise(region, self._batch, rng))
        loss = (self.cost(region)(chosen) - target).square().mean()
        self._adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        return float(loss.detach())

    def observe(self, view: View, losses: Mapping[str, float], rng: np.random.Generator) -> None:  # noqa: ARG002
        """Teach the generator costs; every ``every`` steps move ``B``."""
        region = view.regions[view.turn]
        if region.size() == 1:
            return
        self.learn_costs(region, rng)
        if (view.step + 1) % self._every:
            return
        table = self.buckets(region)
        open_ = np.flatnonzero(table.frequency > 0)
        archs = [self.emit(table, int(bucket), rng) for bucket in open_]
        share = self.probabilities(table)[open_]
        influence = self._influence(view, archs, share / share.sum())
        scale = float(np.abs(influence - influence @ share / share.sum()).max())
        if scale > 0:
            advantage = (influence - influence @ share / share.sum()) / scale
            self.logits[open_] += self._rate * share * advantage

    def _influence(self, view: View, archs: list[Arch], share: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much a small step on each arch would lower the expected validation gradient norm, ``(n,)``."""
        slope: dict[str, Tensor] = {}
        for arch, weight in zip(archs, share, strict=True):
            gradient = view.gradients(view.turn, arch, 0, "validation")
            norm = float(torch.stack([g.square().sum() for g in gradient.values()]).sum().sqrt())
            if norm == 0:
                continue
            sides = []
            for sign in (1.0, -1.0):
                moved = {name: g * (sign * EPSILON / norm) for name, g in gradient.items()}
                sides.append(view.gradients(view.turn, arch, 0, "validation", moved))
            for name in gradient:
                part = (sides[0][name] - sides[1][name]) * (float(weight) / (2 * EPSILON))
                slope[name] = slope[name] + part if name in slope else part
        trained = [view.gradients(view.turn, arch, 1) for arch in archs]
        return np.array([sum(float((g[n] * slope[n]).sum()) for n in slope) for g in trained])

    def state(self) -> dict[str, object]:
        """``B``, the generator and its optimizer."""
        adam = self._adam.state_dict()["state"]
        tensors = {f"adam.{i}.{slot}": value for i, slots in adam.items() for slot, value in slots.items()}
        weights = {f"generator.{name}": value for name, value in self.generator.state_dict().items()}
        return {"logits": self.logits.tolist(), **weights, **tensors}

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue with these."""
        self.logits = np.array(state["logits"])
        weights = {n.removeprefix("generator."): v for n, v in state.items() if n.startswith("generator.")}
        self.generator.load_state_dict(weights)
        adam = self._adam.state_dict()
        for name, value in state.items():
            if name.startswith("adam."):
                _, index, slot = name.split(".")
                adam["state"].setdefault(int(index), {})[slot] = value
        self._adam.load_state_dict(adam)
