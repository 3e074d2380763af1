"""What a supernet is trained for: its examples, losses, quality metric, and the inputs of its files."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from supernets.elastic.active import Inputs
from supernets.errors import DataError, RecipeError
from supernets.families.family import Family
from supernets.metrics import Metric, metric_named
from supernets.spaces.space import Arch

if TYPE_CHECKING:
    from supernets.data import DataSet, Facts

Dimensions = Mapping[str, int]
"""Named sizes of what an arch reads and returns; see :meth:`supernets.families.family.Family.dimensions`."""
Preprocessing = Mapping[str, Any]
"""What turns a stored example into inputs, as JSON; stored in the manifest and in every exported file."""
BATCH = "batch"
"""Name of the dynamic axis along which the examples of a file's inputs lie."""
SEQUENCE = "sequence"
"""Name of the dimension, and the dynamic axis, along which the tokens of a text lie."""
POSITIONS = "positions"
"""Name of the dimension that holds the longest sequence."""


def at_sequence(dimensions: Dimensions, sequence: int) -> Dimensions:
    """Dimensions with texts of ``sequence`` tokens; unchanged for 0, and for what reads no texts.

    Raises:
        DataError: more tokens than the network has positions.
    """
    if not sequence or SEQUENCE not in dimensions:
        return dimensions
    if sequence > dimensions[POSITIONS]:
        raise DataError(
            f"{SEQUENCE} must be at most {dimensions[POSITIONS]}, the positions of the network, got {sequence}",
            SEQUENCE,
        )
    return {**dimensions, SEQUENCE: sequence}


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """An input or output of an exported file.

    ``shape`` holds a size for each axis; a string names an axis of any size (``batch``).
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """The named inputs and the output of an exported file."""

    inputs: tuple[NamedTensor, ...]
    output: NamedTensor

    def with_batch(self, size: int) -> Interface:
        """The same with ``size`` examples, no more and no fewer."""
        return self._with({BATCH: size})

    def fixed_to(self, example: Inputs) -> Interface:
        """The same with the batch, and every other axis of any size, of ``example``."""
        sizes: dict[str, int] = {}
        for named, tensor in zip(self.inputs, example, strict=True):
            sizes |= {
                axis: size
                for axis, size in zip(named.shape, tensor.shape, strict=True)
                if isinstance(axis, str)
            }
        return self._with(sizes)

    def _with(self, sizes: Mapping[str, int]) -> Interface:
        def fixed(named: NamedTensor) -> NamedTensor:
            shape = tuple(sizes.get(axis, axis) if isinstance(axis, str) else axis for axis in named.shape)
            return replace(named, shape=shape)

        return Interface(tuple(fixed(each) for each in self.inputs), fixed(self.output))

    @property
    def dynamic(self) -> tuple[dict[int, str], ...]:
        """For each input, the axes of any size: position to name."""
        return tuple(
            {axis: size for axis, size in enumerate(each.shape) if isinstance(size, str)}
            for each in self.inputs
        )


class Task(ABC):
    """One kind of problem. Instances have no state.

    The training loop, the evaluation, the exporters and the search use these methods only, so they contain
    no word of images, labels or accuracy.

    Promises: a function of its arguments and, in :meth:`augment`, of the generator; every method accepts any
    number of examples; :meth:`scores` has one value for each example in the given order, whatever the shape of
    the outputs, so that every quality has a standard error and two subnets can be compared example by example.
    """

    name: ClassVar[str]
    quality: ClassVar[str]
    """Name of the quality metric in :data:`supernets.metrics.METRICS`; its direction is there."""
    reads: ClassVar[str]
    """What an example is: ``images`` or ``text``, as of the data."""
    supervised: ClassVar[bool] = True
    """Whether losses compare outputs with targets; else targets are of the evaluation alone."""
    recipe: ClassVar[str | None] = None
    """The recipe of a training for this task that names none; None: what family and weights suggest."""
    references: ClassVar[int] = 0
    """Training examples whose outputs :meth:`scorer` needs, at most."""
    further: ClassVar[tuple[str, ...]] = ()
    """Names of quality metrics besides :attr:`quality`, which a report card states for the ends."""

    @property
    def metric(self) -> Metric:
        """The quality metric."""
        return metric_named(self.quality)

    # --- data --------------------------------------------------------------------------------------

    @abstractmethod
    def dimensions(self, data: DataSet | Facts) -> dict[str, int | None]:
        """The dimensions of a network that ``data`` determine; None where loading is needed."""

    def check_kind(self, data: DataSet | Facts) -> None:
        """Refuse data whose examples are of another kind."""
        if data.reads != self.reads:
            raise DataError(
                f"task {self.name!r} needs {self.reads}, but {data.name!r} holds {data.reads}", "task"
            )

    def check_family(self, family: Family, data: DataSet | Facts) -> None:
        """Refuse a family that reads or returns something else."""
        got = family.dimensions(family.space().max())
        if absent := [name for name in self.dimensions(data) if name not in got]:
            raise DataError(
                f"task {self.name!r} needs a family with the dimensions {', '.join(self.dimensions(data))}, but "
                f"{family.name!r} has {', '.join(got)} and no {' and no '.join(absent)}",
                "task",
            )

    def check_data(self, data: DataSet) -> None:  # noqa: B027 (accepting everything is a valid choice)
        """Refuse data that this task cannot use with a ``DataError``; the default accepts all."""

    def check(self, family: Family, data: DataSet) -> None:
        """Refuse data this task cannot use, and a family of other dimensions than the data need."""
        self.check_kind(data)
        self.check_data(data)
        self.check_family(family, data)
        required = {name: size for name, size in self.dimensions(data).items() if size is not None}
        got = family.dimensions(family.space().max())
        if any(got.get(name) != size for name, size in required.items()):
            raise DataError(
                f"the family must have {_listed(required)} for task {self.name!r} on {data.name!r}, "
                f"got {_listed({name: got.get(name) for name in required})}"
            )

    @abstractmethod
    def check_like(self, data: DataSet | Facts, preprocessing: Preprocessing, name: str) -> None:
        """Refuse data that a network called ``name``, trained with ``preprocessing``, cannot read; it names the option.

        Raises:
            DataError: data of another kind, of other channels, or of another tokenizer.
        """

    def prepared_like(
        self,
        data: DataSet,
        preprocessing: Preprocessing,
        outputs: tuple[int, ...],  # noqa: ARG002 (of images alone)
        name: str,
    ) -> DataSet:
        """``data`` prepared with ``preprocessing``, which the weights of ``name`` expect; the default changes nothing.

        ``outputs`` are those that stand for the classes of ``data``. Raises as :meth:`check_like` does.
        """
        self.check_like(data, preprocessing, name)
        return data

    # --- batches -----------------------------------------------------------------------------------

    @abstractmethod
    def prepare(self, stored: Tensor, preprocessing: Preprocessing, dimensions: Dimensions) -> Inputs:
        """Inputs of an arch with these dimensions from examples ``(n, ...)`` as a data set stores them."""

    def together(self, inputs: Inputs, size: int) -> Iterator[tuple[Tensor, Inputs]]:
        """Which examples to compute at once, at most ``size``, as their places ``(m,) int64``, and the inputs of these.

        Each example comes once, and its outputs are the same, but for rounding, in any such part. The default keeps
        the order; a task whose examples differ in length takes those of similar length together.
        """
        for places in torch.split(torch.arange(len(inputs[0])), size):
            part = slice(int(places[0]), int(places[-1]) + 1)
            yield places, tuple(each[part] for each in inputs)

    @abstractmethod
    def targets(self, labels: Tensor, data: DataSet) -> Tensor:
        """What the losses and scores compare outputs with, ``(n, ...)``, from stored labels ``(n, ...)``."""

    def augment(
        self,
        stored: Tensor,
        generator: torch.Generator,
        *,
        pad: int = 0,
        flip: bool = False,
        crop: float = 1.0,
        largest: float = 1.0,
        colour: float = 0.0,
        grey: float = 0.0,
        of: int | None = None,
        part: slice = slice(None),
    ) -> Tensor:
        """Randomly changed examples. ``stored`` is ``part`` of a batch of ``of``; the default changes nothing.

        Raises:
            RecipeError: an augmentation that this task does not have.
        """
        del generator, largest, of, part
        if pad or flip or crop < 1 or colour or grey:
            raise RecipeError(
                f"task {self.name!r} has no augmentation, got pad {pad}, flip {flip}, crop {crop}, colour {colour} and "
                f"grey {grey}"
            )
        return stored

    # --- losses ------------------------------------------------------------------------------------

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean loss ``()`` of ``outputs`` against ``targets``, lower is better.

        ``smoothing`` in [0, 1) is label smoothing; a task whose targets are not choices ignores it.
        """

    @abstractmethod
    def soft_loss(
        self, outputs: Tensor, teacher: Tensor, targets: Tensor, temperature: float = 1.0
    ) -> Tensor:
        """Mean loss ``()`` of ``outputs`` against the detached outputs of a teacher, lower is better.

        ``targets`` decide which parts of the outputs count (padding does not).
        """

    def logits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Logits ``(rows, choices)`` of the categorical distributions in ``outputs``: one row per choice made.

        Raises:
            RecipeError: the outputs of this task are no distributions, so a loss that compares them does not fit.
        """
        del outputs, targets
        raise RecipeError(f"the outputs of task {self.name!r} are no logits of choices")

    # --- quality -----------------------------------------------------------------------------------

    @abstractmethod
    def scores(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The score of each example, ``(n,) float64``, of which :meth:`summarise` makes the quality."""

    def scorer(self, metric: str, outputs: Tensor, targets: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """What gives the scores of a quality metric: :meth:`scores`, by default.

        ``outputs`` and ``targets`` are those of :attr:`references` training examples, by which a task may judge
        outputs of the same network.
        """
        del metric, outputs, targets
        return self.scores

    def summarise(self, scores: Tensor) -> tuple[float, float]:
        """Quality and its standard error from scores ``(n,)``; the default is their mean."""
        return float(scores.mean()), _error(scores)

    def difference(self, first: Tensor, second: Tensor) -> tuple[float, float]:
        """Quality of ``first`` minus that of ``second`` and its standard error, from paired scores ``(n,)``.

        Both are scores of the same examples in the same order; the default compares means.
        """
        if first.shape != second.shape:
            raise DataError(
                f"paired scores must be of the same examples, got {tuple(first.shape)} and {tuple(second.shape)}"
            )
        return float(first.mean() - second.mean()), _error(first - second)

    # --- files and people --------------------------------------------------------------------------

    @abstractmethod
    def interface(self, dimensions: Dimensions) -> Interface:
        """Inputs, in the order of :meth:`prepare`, and output of a file of an arch with these dimensions."""

    @abstractmethod
    def show(self, stored: Tensor, label: Tensor, data: DataSet) -> Example:
        """One stored example and its label as a person sees them."""

    def example(self, dimensions: Dimensions, n: int = 1) -> Inputs:
        """``n`` valid inputs of ones, for tracing and timing; a dynamic axis has the dimension of its name."""
        named = self.interface(dimensions).inputs
        sizes = {**dimensions, BATCH: n}
        return tuple(
            torch.ones(
                [sizes[axis] if isinstance(axis, str) else axis for axis in each.shape],
                dtype=getattr(torch, each.dtype),
            )
            for each in named
        )


@dataclass(frozen=True, slots=True)
class Example:
    """An example for people: ``content`` of ``media_type`` (an image, a text), and its target in words."""

    media_type: str
    content: bytes
    target: str


class CategoricalTask(Task):
    """A task whose outputs are logits of one or more choices for each example.

    A subclass turns outputs and targets into rows of one choice each; the losses are cross entropies over
    the rows. Classification has a row for each example, multi-label classification a row of two choices for
    each label, language modelling a row for each token that is no padding.
    """

    @abstractmethod
    def rows(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(rows, choices)`` and the right choice of each row, ``(rows,) int64``."""

    def logits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See :meth:`Task.logits`."""
        return self.rows(outputs, targets)[0]

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean cross entropy over the rows, in nats."""
        logits, right = self.rows(outputs, targets)
        return F.cross_entropy(logits, right, label_smoothing=smoothing)

    def soft_loss(
        self, outputs: Tensor, teacher: Tensor, targets: Tensor, temperature: float = 1.0
    ) -> Tensor:
        """``T² · CE(softmax(t / T), f / T)`` (Hinton et al., 2015), a mean over the rows."""
        soft = F.softmax(self.logits(teacher.detach(), targets) / temperature, dim=1)
        return temperature**2 * F.cross_entropy(self.logits(outputs, targets) / temperature, soft)


class Batch:
    """This process's share of a step's examples, prepared once for each set of dimensions that is needed.

    ``stored`` are the examples as the data set stores them, after augmentation; ``targets`` are on ``device``.
    ``views`` are the same examples augmented otherwise.
    """

    def __init__(
        self,
        task: Task,
        family: Family,
        data: DataSet,
        examples: tuple[Tensor, Tensor],
        device: torch.device,
        views: Sequence[Tensor] = (),
    ) -> None:
        self.stored, labels = examples
        self._views = (self.stored, *views)
        self.targets = task.targets(labels, data).to(device)
        self._task, self._family, self._data, self._device = task, family, data, device
        self._prepared: dict[tuple[int, tuple[tuple[str, int], ...]], Inputs] = {}

    def at(self, arch: Arch, view: int = 0) -> Inputs:
        """Inputs of ``arch``: view 0 is of ``stored``."""
        dimensions = self._family.dimensions(arch)
        key = (view, tuple(sorted(dimensions.items())))
        if key not in self._prepared:
            # Stored examples are small: they are moved first and prepared on the device.
            stored = self._views[view].to(self._device)
            self._prepared[key] = self._task.prepare(stored, self._data.preprocessing(), dimensions)
        return self._prepared[key]


def _error(values: Tensor) -> float:
    """Standard error of a mean; infinite for fewer than two values."""
    return float(values.std(unbiased=True)) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def _listed(sizes: Mapping[str, int | None]) -> str:
    return " and ".join(f"{size} {name}" for name, size in sizes.items())
