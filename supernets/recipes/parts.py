"""The parts of a training method: what is trained in a step, against what, within which part of the space.

A method is a recipe that names parts; the loop uses these interfaces and contains no method. Every part may keep
state: what :meth:`Part.state` returns is stored with the checkpoint and handed to :meth:`Part.restore`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from supernets.errors import RecipeError
from supernets.families.family import Family
from supernets.spaces.cost import Cost
from supernets.spaces.growth import Growth
from supernets.spaces.space import Arch, Space
from supernets.tasks.task import CategoricalTask, Task

TEACHER = "teacher"
"""Role of the frozen teacher in the bank of outputs; what ``targets_from`` names to learn from it."""
AVERAGE = "average"
"""Role of the average of the weights (``ema_decay``), whose largest arch sees view 0; as :data:`TEACHER`."""


@dataclass(frozen=True, slots=True)
class Item:
    """One subnet's part in a step.

    ``role`` names its output in the step's bank and its loss in the log; ``targets_from`` is the role whose
    detached output it learns from (``None``: the targets); ``regularise`` switches dropout on; ``view`` is the
    place of the augmented batch it sees among the sampler's ``views``. Where there are ``candidates``, the loop runs
    each forward on the batch and trains the one with the lowest (``best``) or highest (``worst``) plain loss in place
    of ``arch``.
    """

    arch: Arch
    role: str
    weight: float = 1.0
    targets_from: str | None = None
    regularise: bool = False
    view: int = 0
    candidates: tuple[Arch, ...] = ()
    pick: Literal["best", "worst"] = "best"


@dataclass(frozen=True)
class Setting:
    """The training that a part belongs to; equal on every process and after a resume.

    ``predicted`` are metrics that a predictor gives for the archs of the family, by name.
    """

    family: Family
    steps: int
    seed: int
    device: torch.device = torch.device("cpu")
    predicted: Mapping[str, Cost] = field(default_factory=dict)


class Part:
    """What all parts share.

    ``needs`` and ``gives`` are words a recipe is checked by: ``teacher`` (a frozen teacher), ``opening``
    (a region that opens later), ``average`` (averaged weights). A part that needs what no other gives is refused.
    """

    needs: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()

    def begin(self, setting: Setting) -> None:
        """Called once, before the first step and before :meth:`restore`."""

    def state(self) -> dict[str, object]:
        """Everything that changed since :meth:`begin`: JSON values, and tensors at the top level."""
        return {}

    def restore(self, state: Mapping[str, object]) -> None:
        """Continue from what :meth:`state` gave."""


class Sampler(Part, ABC):
    """Which subnets a step trains.

    Promises: members of the space only; the plan is a function of step, generator and what feedback has
    been given, so every process of a training draws the same plan; an item comes after the one it learns
    from; roles of a plan are distinct. ``views``: how often the batch is augmented, independently each time; the last
    ``local`` of them are small crops.
    """

    views: int = 1
    local: int = 0

    @abstractmethod
    def plan(self, space: Space, step: int, rng: np.random.Generator) -> tuple[Item, ...]:
        """The items of global step ``step``, in the order in which they run; ``space`` is the open region."""

    def observe(self, view: View, losses: Mapping[str, float], rng: np.random.Generator) -> None:
        """Called after the update of a step; gradients that it takes from ``view`` are billed as passes."""


@dataclass(frozen=True)
class Update:
    """The end of a step for a loss with weights of its own.

    ``rate`` is the step's learning rate, ``decay`` that of averages (None: there are none), ``clip_norm`` the largest
    norm of a gradient; ``shared`` replaces tensors by their mean over all processes.
    """

    rate: float
    decay: float | None
    clip_norm: float | None
    shared: Callable[[list[Tensor]], None]


class Loss(Part, ABC):
    """The loss of an item, composed of what the task offers (:class:`supernets.tasks.task.Task`).

    With ``needs_choices`` it fits only tasks whose outputs are logits of choices, with ``without_labels`` only those
    that train without labels, and otherwise only the others. A loss with ``own_weights`` trains these itself, by what
    the items' backward passes leave in them.
    """

    needs_choices: bool = False
    without_labels: bool = False
    own_weights: bool = False

    def check(self, task: Task) -> None:
        """Refuse a task that this loss does not fit with a ``RecipeError``."""
        if task.supervised == self.without_labels:
            raise RecipeError(
                f"loss {type(self).__name__} compares features of views, which task {task.name!r} does not have; "
                f"choose a task that trains without labels: 'self_supervised_images'"
                if self.without_labels
                else f"loss {type(self).__name__} compares outputs with targets, and task {task.name!r} trains without "
                f"labels; choose a loss that compares views: 'poa'"
            )
        if self.needs_choices and not isinstance(task, CategoricalTask):
            raise RecipeError(
                f"loss {type(self).__name__} compares probabilities, and the outputs of task {task.name!r} are none; "
                f"choose another loss, such as 'inplace_distillation'"
            )

    @abstractmethod
    def __call__(
        self, task: Task, item: Item, outputs: Tensor, targets: Tensor, bank: Mapping[str, Tensor]
    ) -> Tensor:
        """Mean loss ``()`` of ``outputs``; ``bank`` holds the detached outputs of earlier items by role."""

    def update(self, moment: Update) -> None:
        """Called after the step of the network's optimizer: a loss with ``own_weights`` takes its own here."""


# --- structure -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """Make this part of the recipe's space the open region (of every shard, within its own bounds)."""

    allowed: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Reorder:
    """Sort channels by importance, so that narrower subnets keep the most important ones."""


@dataclass(frozen=True, slots=True)
class SwapTeacher:
    """Make a frozen copy of the present network the teacher."""


@dataclass(frozen=True, slots=True)
class Split:
    """Go on with one copy of shard ``shard`` for each group of choice indices of ``axis``."""

    shard: int
    axis: str
    groups: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Grow:
    """Go on with a larger network; its new entries are noise of standard deviation ``scale``."""

    growth: Growth
    scale: float


Event = Open | Reorder | SwapTeacher | Split | Grow


@dataclass(frozen=True, slots=True)
class Score:
    """How much there is to gain by training a network (:meth:`View.expansion`), and its parameters."""

    value: float
    params: int


class View(Protocol):
    """What controllers and samplers may look at; ``turn`` is the shard whose step it is."""

    step: int
    steps: int
    turn: int
    space: Space
    regions: tuple[Space, ...]

    def gradients(
        self,
        shard: int,
        arch: Arch,
        draw: int,
        split: str = "train",
        moved: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Gradient of the task's plain loss of ``arch`` on batch ``draw`` of ``split``; a pass is billed.

        The batch is a function of seed, step and ``draw``; ``moved`` is added to the weights meanwhile.
        """
        ...

    def masks(self, arch: Arch) -> dict[str, Tensor]:
        """0/1 per weight entry: which of them ``arch`` uses."""
        ...

    def growths(self, channels: int, capacity: int) -> tuple[Growth, ...]:
        """What may be added to the network; see :meth:`supernets.families.family.Family.growths`."""
        ...

    def expansion(self, grow: Grow | None, examples: int, damping: float) -> Score:
        """``Σ g² / (F + δ)`` over the parameters of the largest network, of a copy that has grown with ``grow``.

        ``g`` is the mean gradient of ``examples`` training examples, ``F`` the mean of their squares, ``δ`` that
        share ``damping`` of the mean of ``F``. The examples are a function of seed and step. Passes are billed.
        """
        ...


class Controller(Part, ABC):
    """When the structure changes: the only part that may open regions, reorder, swap teachers, split or grow.

    Promises: called once before every step; the events are a function of the step, the view and own state.
    ``reorders``: whether it will sort channels. ``grows``: whether it adds to the network, and with it has another
    space. ``last_opening`` and ``first_split``: at which fraction of the steps it opens a region for the last time and
    splits for the first: openings come before splits.
    """

    reorders: bool = False
    grows: bool = False
    last_opening: float = 0.0
    first_split: float = 1.0

    @abstractmethod
    def observe(self, view: View) -> Sequence[Event]:
        """What is to happen before step ``view.step``, in order."""


# --- gradients -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """A step as a hook sees it; ``rate(s)`` is the learning rate of any step ``s``."""

    step: int
    steps: int
    rate: Callable[[int], float]


@dataclass(frozen=True)
class ItemGradients:
    """Gradients of one item by parameter name, not yet weighted, and the masks of its arch if the hook needs them."""

    item: Item
    weight: float
    gradients: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]


class Hook(Part):
    """What happens to an item's share in the step's gradient.

    Promises: pure functions of their arguments. With ``per_item`` the loop takes every item's gradient
    apart and :meth:`combine` puts them together; otherwise the framework accumulates, which is faster.
    """

    per_item = False
    needs_masks = False
    scales_rate = False
    """Whether the weight stands for a learning rate, which holds for stochastic gradient descent only."""

    def weight(self, item: Item, moment: Moment) -> float:  # noqa: ARG002
        """Factor on the item's own weight at this moment."""
        return 1.0

    def combine(self, parts: Sequence[ItemGradients]) -> dict[str, Tensor]:
        """The step's gradient by parameter name; called only with ``per_item``."""
        raise NotImplementedError
