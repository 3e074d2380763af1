"""POA (pre-train once for all): students agree with a teacher of averaged weights on other views of an image."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernets.errors import RecipeError
from supernets.recipes.parts import AVERAGE, Item, Loss, Setting, Update
from supernets.tasks.task import Task

INTACT = "intact"
"""Role of the largest student, which gives the targets of the same-view term."""
GLOBAL = 1
"""The students' view of the whole image; further ones are local crops."""
MOST_HEADS = 16
MOST_WIDE = 65_536
"""Of prototypes of a head, and of neurons of its layers."""
MOST_ITERATIONS = 100
LEAST_WARM, MOST_WARM = 1e-3, 100.0
"""Bounds of temperatures: cosines over less than the first are logits of over 1,000."""


def _whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


class PoaLoss(Loss):
    """Cross entropies between assignments of features to prototypes, a mean over several heads.

    ``intact`` learns from the averaged network, which saw another view: ``CE(p_a, p_b1)``. Other items learn from it
    too, and where ``same_view`` from the intact student on their own view: ``CE(p_a, p_b2) + CE(p_b1, p_b2)``. Local
    crops have roles of their own (:func:`role_of`) and the same terms. The
    teacher's assignments ``p_a`` are balanced by :func:`sinkhorn` at a temperature that rises from the first to the
    second of ``teacher_temperature`` over the fraction ``rising`` of the steps; those of students are softmaxes at
    ``temperature``. Nothing flows into what gives targets.

    Each head has its own layers and as many unit prototypes as ``prototypes`` says. The teacher's heads are averages of
    the students', with the decay of the averaged network. With ``koleo`` the intact student's features of the whole
    image are spread (:func:`koleo`), at this weight.
    """

    without_labels = True
    own_weights = True
    needs = frozenset({AVERAGE})

    def __init__(
        self,
        prototypes: Sequence[int] = (256, 512, 1024),
        hidden: int = 256,
        bottleneck: int = 64,
        temperature: float = 0.1,
        teacher_temperature: Sequence[float] = (0.04, 0.07),
        rising: float = 0.1,
        iterations: int = 3,
        same_view: bool = True,
        koleo: float = 0.0,
        weight_decay: float = 0.04,
    ) -> None:
        sizes = [*prototypes, hidden, bottleneck]
        if not 1 <= len(prototypes) <= MOST_HEADS or not all(_whole(n, MOST_WIDE) for n in sizes):
            raise RecipeError(
                f"prototypes must be 1 to {MOST_HEADS} numbers, and these, hidden and bottleneck whole numbers from 1 "
                f"to {MOST_WIDE:,}, got {list(prototypes)}, {hidden!r} and {bottleneck!r}"
            )
        if not _whole(iterations, MOST_ITERATIONS):
            raise RecipeError(
                f"iterations must be a whole number from 1 to {MOST_ITERATIONS}, got {iterations!r}"
            )
        if not isinstance(same_view, bool):
            raise RecipeError(f"same_view must be true or false, got {same_view!r}")
        warm = [temperature, *teacher_temperature]
        if len(warm) != 3 or not all(LEAST_WARM <= t <= MOST_WARM for t in warm) or not 0 <= rising <= 1:
            raise RecipeError(
                f"temperature and the two of teacher_temperature must lie in {LEAST_WARM} to {MOST_WARM:g} and rising "
                f"in [0, 1], got {temperature}, {list(teacher_temperature)} and {rising}"
            )
        if not all(0 <= weight < math.inf for weight in (koleo, weight_decay)):
            raise RecipeError(
                f"koleo and weight_decay must be finite and at least 0, got {koleo} and {weight_decay}"
            )
        self._prototypes, self._hidden, self._bottleneck = tuple(prototypes), hidden, bottleneck
        self._temperature, self._iterations, self._same_view = temperature, iterations, same_view
        self._colder, self._warmer, self._rising = *teacher_temperature, rising
        self._koleo, self._weight_decay = koleo, weight_decay
        self._step, self._steps = 0, 1

    def begin(self, setting: Setting) -> None:
        """Make the heads for the family's features; equal on every process."""
        sizes = setting.family.dimensions(setting.family.space().max())
        if "outputs" not in sizes:
            raise RecipeError(
                f"loss 'poa' needs a family with one row of outputs for an example, and {setting.family.name!r} has "
                f"{', '.join(sizes)}"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            heads = [
                Head(sizes["outputs"], self._hidden, self._bottleneck, number) for number in self._prototypes
            ]
        self.heads = nn.ModuleList(heads).to(setting.device)
        self.average = copy.deepcopy(self.heads).requires_grad_(False)
        self._optimizer = torch.optim.AdamW(self.heads.parameters(), weight_decay=self._weight_decay)
        self._step, self._steps = 0, setting.steps

    @property
    def teacher_temperature(self) -> float:
        """That of the present step."""
        done = self._step / self._steps
        share = 1.0 if done >= self._rising else done / self._rising
        return self._colder + (self._warmer - self._colder) * share

    def __call__(
        self,
        task: Task,  # noqa: ARG002 (its targets are of the evaluation)
        item: Item,
        outputs: Tensor,
        targets: Tensor,  # noqa: ARG002 (trained without labels)
        bank: Mapping[str, Tensor],
    ) -> Tensor:
        """Mean loss ``()`` of features ``(n, d)``; the averaged network's are in ``bank``."""
        assert item.targets_from is not None
        taught = bank[item.targets_from].detach()
        own_view = role_of(INTACT, item.view)
        intact = bank.get(own_view) if self._same_view and item.role != own_view else None
        losses = []
        for student, teacher in zip(self.heads, self.average, strict=True):
            logits = student(outputs) / self._temperature
            with torch.no_grad():
                goals = [sinkhorn(teacher(taught) / self.teacher_temperature, self._iterations)]
                if intact is not None:
                    goals.append(F.softmax(student(intact.detach()) / self._temperature, dim=1))
            losses.append(
                sum((F.cross_entropy(logits, goal) for goal in goals), torch.zeros_like(logits[0, 0]))
            )
        loss = torch.stack(losses).mean()
        if self._koleo and item.role == INTACT:
            loss = loss + self._koleo * koleo(outputs)
        return loss

    def update(self, moment: Update) -> None:
        """A step of AdamW on the heads, then their average."""
        gradients = [head.grad for head in self.heads.parameters() if head.grad is not None]
        moment.shared(gradients)
        if moment.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.heads.parameters(), moment.clip_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = moment.rate
        self._optimizer.step()
        self._optimizer.zero_grad()
        assert moment.decay is not None
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.heads.parameters(), strict=True):
                mean.lerp_(value, 1 - moment.decay)
        self._step += 1

    def state(self) -> dict[str, object]:
        """The step, both sets of heads, and the optimizer's moments."""
        found: dict[str, object] = {"step": self._step}
        for name, heads in (("heads", self.heads), ("average", self.average)):
            found |= {f"{name}.{key}": value for key, value in heads.state_dict().items()}
        for index, slots in self._optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items()}
        return found

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from :meth:`state`."""
        self._step = int(str(state["step"]))
        own = self._optimizer.state_dict()
        for name, value in state.items():
            part, _, key = name.partition(".")
            if isinstance(value, Tensor) and part == "optimizer":
                index, slot = key.split(".")
                own["state"].setdefault(int(index), {})[slot] = value.clone()
        self._optimizer.load_state_dict(own)
        for part, heads in (("heads", self.heads), ("average", self.average)):
            kept = {
                name.removeprefix(f"{part}."): value
                for name, value in state.items()
                if isinstance(value, Tensor) and name.startswith(f"{part}.")
            }
            heads.load_state_dict(kept)


def role_of(student: str, view: int) -> str:
    """The role of a student on a view: that of the whole image has its name, local crops a number each."""
    return student if view <= GLOBAL else f"{student}_local{view - GLOBAL}"


class Head(nn.Module):
    """Features ``(n, d)`` to cosines ``(n, prototypes)``: three layers, then the angle to each prototype."""

    def __init__(self, features: int, hidden: int, bottleneck: int, prototypes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(features, hidden), nn.Linear(hidden, hidden)
        self.third = nn.Linear(hidden, bottleneck)
        self.prototypes = nn.Parameter(torch.randn(prototypes, bottleneck))

    def forward(self, features: Tensor) -> Tensor:
        """Cosines in [-1, 1]."""
        x = F.gelu(self.first(features.to(self.prototypes.device)))
        x = F.normalize(self.third(F.gelu(self.second(x))), dim=1)
        return x @ F.normalize(self.prototypes, dim=1).T


def sinkhorn(logits: Tensor, iterations: int) -> Tensor:
    """Assignments ``(n, k)`` that use prototypes equally, from logits (Sinkhorn and Knopp, as in SwAV, 2020).

    Each iteration scales columns to the same sum and then rows to 1, so that rows are distributions exactly and
    columns sum to ``n / k`` in the limit.
    """
    found = (logits - logits.max()).double().exp()
    for _ in range(iterations):
        found = found / found.sum(0, keepdim=True).clamp_min(torch.finfo(found.dtype).tiny)
        found = found / found.sum(1, keepdim=True).clamp_min(torch.finfo(found.dtype).tiny)
    return found.to(logits.dtype)


def koleo(features: Tensor) -> Tensor:
    """Mean negative log distance ``()`` of unit features to their nearest one (Sablayrolles et al., 2019)."""
    x = F.normalize(features, dim=1)
    with torch.no_grad():
        nearest = (x @ x.T).fill_diagonal_(-2).argmax(1)
    return -(F.pairwise_distance(x, x[nearest]) + 1e-8).log().mean()
