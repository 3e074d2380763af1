"""How good a subnet is: recalibrate on training examples, then evaluate on a split, with a standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from supernets.checkpoints import Supernet
from supernets.data import DataSet
from supernets.device import exact
from supernets.elastic.active import ElasticModel, Inputs, use
from supernets.elastic.norm import BNStats
from supernets.elastic.recalibrate import recalibrate
from supernets.errors import DataError
from supernets.export.graph import UntranslatedError, direct_model
from supernets.export.runtime import Session, memory_session
from supernets.extract import extract
from supernets.metrics import MACS
from supernets.prepared import calibration_inputs, first_part, prepared
from supernets.spaces.space import Arch
from supernets.tasks.task import Interface, Task

CALIBRATION_EXAMPLES, FEWEST_TO_CALIBRATE = 2048, 256
BATCH_SIZE = 256
RUNTIME_FROM_MACS = 1e9
"""From this many multiply-accumulates in all, ONNX Runtime saves more time than its session takes to make."""
RUNTIME_BATCH = 32
"""Examples a run: their activations stay in the cache, and the runtime's overhead is small."""
OPSET = 18


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A quality value with all that it depends on; unit and direction of ``value`` are those of the metric.

    ``stats_sha256`` is None where the network has no BatchNorm: nothing was recalibrated.
    """

    metric: str
    value: float
    standard_error: float
    n: int
    split: str
    split_sha256: str
    precision: str
    stats_sha256: str | None

    def as_json(self) -> dict[str, object]:
        """A flat object."""
        return asdict(self)


def calibrate(
    net: ElasticModel,
    task: Task,
    data: DataSet,
    arch: Arch,
    batch_size: int = BATCH_SIZE,
    examples: int = CALIBRATION_EXAMPLES,
) -> BNStats:
    """BatchNorm statistics of ``arch`` over the first training ``examples`` (2,048, or all of a smaller set).

    There are none, and nothing runs, where the network has no BatchNorm.

    The train split has a fixed order, so the examples are the same everywhere.
    """
    if not net.norms():
        return BNStats(arch.id, {})
    device, dimensions = _device(net), net.family.dimensions(arch)
    inputs = calibration_inputs(data, task, examples, dimensions, device)
    with exact(device):
        return recalibrate(net, arch, inputs, batch_size)


def calibration_for(examples: int | None) -> int:
    """Training examples for the statistics of an evaluation on ``examples``: half as many, from 256 to 2,048.

    Statistics of fewer add an error that is small next to that of a quality on so few examples.
    """
    if examples is None:
        return CALIBRATION_EXAMPLES
    return min(CALIBRATION_EXAMPLES, max(FEWEST_TO_CALIBRATE, examples // 2))


def _device(net: ElasticModel) -> torch.device:
    return next(net.parameters()).device


def example_scores(
    net: ElasticModel,
    task: Task,
    data: DataSet,
    arch: Arch,
    stats: BNStats | None,
    split: str,
    batch_size: int = BATCH_SIZE,
    examples: int | None = None,
) -> Tensor:
    """The task's score of each example of ``split``, ``(n,) float64``, in the order of the split.

    With ``examples`` only of so many, in the order of :func:`supernets.prepared.first_part`.
    Without ``stats`` the network has the statistics that are stored with its weights, which are those of the largest.

    Larger evaluations on the CPU run through ONNX Runtime, as the exported file does; smaller ones and those on
    a GPU through torch. The scores of two archs are paired: :meth:`supernets.tasks.task.Task.difference` compares them.
    """
    device = _device(net)
    chosen, labels = first_part(data.held(split), examples)
    dimensions = net.family.dimensions(arch)
    found = []
    with _running(net, task, arch, stats, len(chosen)) as runner:
        row_major = runner.row_major
        parts = prepared(
            data, task, split, dimensions, batch_size, device, row_major=row_major, examples=examples
        )
        for inputs, answers in zip(parts, torch.split(labels, batch_size), strict=True):
            found.append(task.scores(runner.run(inputs), task.targets(answers, data)))
    return torch.cat(found)


class _Runner(NamedTuple):
    """A function from inputs to outputs on the CPU, and the layout in which it reads the inputs."""

    run: Callable[[Inputs], Tensor]
    row_major: bool


@contextmanager
def _running(
    net: ElasticModel, task: Task, arch: Arch, stats: BNStats | None, examples: int
) -> Iterator[_Runner]:
    """ONNX Runtime where it pays, else the network itself."""
    device = _device(net)
    macs = float(net.family.costs(net.family.space().encode([arch]))[MACS][0])
    if device.type == "cpu" and macs * examples >= RUNTIME_FROM_MACS:
        interface = task.interface(net.family.dimensions(arch))
        try:
            content = direct_model(extract(net, arch, stats), interface, OPSET).SerializeToString()
        except UntranslatedError:
            pass  # a network with layers that the direct writer lacks is evaluated by torch
        else:
            session = memory_session(content, torch.get_num_threads())
            yield _Runner(_by_runtime(session, interface), row_major=True)
            return
    with _evaluating(net), use(net, arch, stats), exact(device):
        yield _Runner(lambda inputs: net(*inputs).cpu(), row_major=False)


def _by_runtime(session: Session, interface: Interface) -> Callable[[Inputs], Tensor]:
    names = [each.name for each in interface.inputs]

    def run(inputs: Inputs) -> Tensor:
        arrays = [each.numpy() for each in inputs]
        outputs = []
        for start in range(0, len(arrays[0]), RUNTIME_BATCH):
            part = (array[start : start + RUNTIME_BATCH] for array in arrays)
            outputs.append(session.run(None, dict(zip(names, part, strict=True)))[0])
        return torch.from_numpy(np.concatenate(outputs))

    return run


@contextmanager
def _evaluating(net: ElasticModel) -> Iterator[None]:
    """Evaluation mode without gradients; the mode from before is restored."""
    was_training = net.training
    net.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        net.train(was_training)


def evaluate_net(
    net: ElasticModel,
    task: Task,
    data: DataSet,
    arch: Arch,
    split: str,
    stats: BNStats | None = None,
    batch_size: int = BATCH_SIZE,
    examples: int | None = None,
) -> Evaluation:
    """Quality of ``arch`` on ``split``; without ``stats`` its BatchNorm statistics are computed first.

    ``batch_size`` examples are in memory at once; the result is the same but for rounding. With ``examples`` it is the
    quality on a part of the split (:func:`supernets.prepared.first_part`), with statistics of fewer training examples.
    """
    stats = stats or calibrate(net, task, data, arch, batch_size, calibration_for(examples))
    scores = example_scores(net, task, data, arch, stats, split, batch_size, examples)
    return summarise(task, scores, data, split, stats)


def summarise(task: Task, scores: Tensor, data: DataSet, split: str, stats: BNStats) -> Evaluation:
    """The evaluation that scores ``(n,)`` of a split amount to."""
    value, standard_error = task.summarise(scores)
    return Evaluation(
        metric=task.quality,
        value=value,
        standard_error=standard_error,
        n=len(scores),
        split=split,
        split_sha256=data.split(split).sha256,
        precision="fp32",
        stats_sha256=stats.recorded,
    )


def check_data(supernet: Supernet, data: DataSet) -> None:
    """Refuse data other than that the supernet was trained on: its splits would mix."""
    for name, known in supernet.manifest.data.splits.items():
        got = data.split(name).sha256
        if got != known.sha256:
            raise DataError(
                f"{name} split of {data.name!r} must have hash {known.sha256[:12]} "
                f"(that of {supernet.manifest.name}), got {got[:12]}"
            )


def evaluate_arch(
    supernet: Supernet,
    data: DataSet,
    arch: Arch,
    split: str,
    stats: BNStats | None = None,
    batch_size: int = BATCH_SIZE,
    examples: int | None = None,
) -> Evaluation:
    """Quality of a subnet of ``supernet`` on ``split`` (``validation`` for search, ``test`` for what is returned).

    ``examples`` as in :func:`evaluate_net`.
    """
    check_data(supernet, data)
    return evaluate_net(supernet.net, supernet.task, data, arch, split, stats, batch_size, examples)


def calibrated(supernet: Supernet, data: DataSet, arch: Arch) -> BNStats:
    """The statistics that :func:`evaluate_arch` and the export share."""
    check_data(supernet, data)
    return calibrate(supernet.net, supernet.task, data, arch)
