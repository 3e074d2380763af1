"""How good a subnet is: recalibrate on training examples, then evaluate on a split, with a standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
from supernets.export.pools import with_pools
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
    metric: str | None = None,
) -> Tensor:
    """The task's score of each example of ``split``, ``(n,) float64``, in the order of the split.

    With ``examples`` only of the first, in the order of :func:`supernets.prepared.first_part`. ``metric`` is one of the
    task's further qualities, or None for its quality. A task that judges outputs by those of training examples gets
    these from the same subnet.
    Without ``stats`` the network has the statistics that are stored with its weights, which are those of the largest.

    Larger evaluations on the CPU run through ONNX Runtime, as the exported file does; smaller ones and those on
    a GPU through torch. The scores of two archs are paired: :meth:`supernets.tasks.task.Task.difference` compares them.
    """
    chosen = _Examples(split, batch_size, examples, metric or task.quality)
    return _scoring(net, task, data, arch, stats, chosen).scores()


class _Examples(NamedTuple):
    """Which examples are scored, a split or the first of it, how many at once, and by which quality."""

    split: str
    at_once: int
    first: int | None
    metric: str


class _Scoring(NamedTuple):
    """Scores of one subnet that are yet to be computed.

    ``apart``: they need nothing of the network any more, so that it may be used meanwhile.
    """

    scores: Callable[[], Tensor]
    apart: bool


def _scoring(
    net: ElasticModel, task: Task, data: DataSet, arch: Arch, stats: BNStats | None, examples: _Examples
) -> _Scoring:
    """By ONNX Runtime where it pays, else by the network itself."""
    device, dimensions = _device(net), net.family.dimensions(arch)
    passed = len(first_part(data.held(examples.split), examples.first)[1]) + task.references

    def answered(
        run: Callable[[Inputs], Tensor], row_major: bool, split: str, first: int | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Outputs and targets of one part after another."""
        size, labels = examples.at_once, first_part(data.held(split), first)[1]
        parts = prepared(data, task, split, dimensions, size, device, row_major=row_major, examples=first)
        for inputs, right in zip(parts, torch.split(labels, size), strict=True):
            yield run(inputs), task.targets(right, data)

    def scores(run: Callable[[Inputs], Tensor], row_major: bool) -> Tensor:
        score: Callable[[Tensor, Tensor], Tensor] = task.scores
        if task.references:
            known = zip(*answered(run, row_major, "train", task.references), strict=True)
            score = task.scorer(examples.metric, *(torch.cat(each) for each in known))
        parts = answered(run, row_major, examples.split, examples.first)
        return torch.cat([score(outputs, right) for outputs, right in parts])

    def by_network() -> Tensor:
        with _evaluating(net), use(net, arch, stats), exact(device):
            return scores(lambda inputs: net(*inputs).cpu(), row_major=False)

    run = _runtime(net, task, arch, stats, passed)
    return (
        _Scoring(by_network, apart=False) if run is None else _Scoring(lambda: scores(run, True), apart=True)
    )


def _runtime(
    net: ElasticModel, task: Task, arch: Arch, stats: BNStats | None, examples: int
) -> Callable[[Inputs], Tensor] | None:
    """The subnet in ONNX Runtime, or None where that does not pay."""
    macs = float(net.family.costs(net.family.space().encode([arch]))[MACS][0])
    if _device(net).type != "cpu" or macs * examples < RUNTIME_FROM_MACS:
        return None
    interface = task.interface(net.family.dimensions(arch))
    try:
        model = with_pools(direct_model(extract(net, arch, stats), interface, OPSET))
    except UntranslatedError:
        return None  # a network with layers that the direct writer lacks is evaluated by torch
    return _by_runtime(memory_session(model.SerializeToString(), torch.get_num_threads()), task, interface)


def _by_runtime(session: Session, task: Task, interface: Interface) -> Callable[[Inputs], Tensor]:
    names = [each.name for each in interface.inputs]

    def run(inputs: Inputs) -> Tensor:
        parts, outputs = [], []
        for places, part in task.together(inputs, RUNTIME_BATCH):
            arrays = (each.numpy() for each in part)
            parts.append(places)
            outputs.append(session.run(None, dict(zip(names, arrays, strict=True)))[0])
        return torch.from_numpy(np.concatenate(outputs))[torch.cat(parts).argsort()]

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
    metric: str | None = None,
) -> Evaluation:
    """Quality of ``arch`` on ``split``; without ``stats`` its BatchNorm statistics are computed first.

    ``batch_size`` examples are in memory at once; the result is the same but for rounding. With ``examples`` it is the
    quality on a part of the split (:func:`supernets.prepared.first_part`), with statistics of fewer training examples.
    ``metric`` as in :func:`example_scores`.
    """
    stats = stats or calibrate(net, task, data, arch, batch_size, calibration_for(examples))
    scores = example_scores(net, task, data, arch, stats, split, batch_size, examples, metric)
    return summarise(task, scores, data, split, stats, metric)


def summarise(
    task: Task, scores: Tensor, data: DataSet, split: str, stats: BNStats, metric: str | None = None
) -> Evaluation:
    """The evaluation that scores ``(n,)`` of a split amount to."""
    value, standard_error = task.summarise(scores)
    return Evaluation(
        metric=metric or task.quality,
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


def evaluate_archs(
    supernet: Supernet,
    data: DataSet,
    archs: Iterable[Arch],
    split: str,
    batch_size: int = BATCH_SIZE,
    examples: int | None = None,
    statistics: Callable[[Arch], BNStats] | None = None,
) -> Iterator[Evaluation]:
    """Qualities of subnets in their order, as :func:`evaluate_arch` gives them.

    ``statistics`` gives those of an arch where the caller keeps them; by default they are computed here.

    Where torch may use several threads, the next subnet is recalibrated while ONNX Runtime scores the last one:
    small networks do not keep several cores busy by themselves. An arch is read only when its turn comes.
    """
    check_data(supernet, data)
    net, task = supernet.net, supernet.task
    chosen = _Examples(split, batch_size, examples, task.quality)

    def made(arch: Arch) -> BNStats:
        return calibrate(net, task, data, arch, batch_size, calibration_for(examples))

    def finished(scoring: _Scoring, stats: BNStats) -> Evaluation:
        return summarise(task, scoring.scores(), data, split, stats)

    with ThreadPoolExecutor(1) as pool:
        pending: Future[Evaluation] | None = None
        for arch in archs:
            stats = statistics(arch) if statistics else made(arch)
            scoring = _scoring(net, task, data, arch, stats, chosen)
            if pending is not None:
                yield pending.result()
                pending = None
            if scoring.apart and torch.get_num_threads() > 1:
                pending = pool.submit(finished, scoring, stats)
            else:
                yield finished(scoring, stats)
        if pending is not None:
            yield pending.result()


def calibrated(supernet: Supernet, data: DataSet, arch: Arch) -> BNStats:
    """The statistics that :func:`evaluate_arch` uses, and that an exported file has."""
    check_data(supernet, data)
    return calibrate(supernet.net, supernet.task, data, arch)
