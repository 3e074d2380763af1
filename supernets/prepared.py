"""Prepared examples, kept while subnets with the same dimensions are evaluated."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from supernets.data import DataSet, HeldSplit
from supernets.data.dataset import stratified
from supernets.data.stored.order import permutation
from supernets.elastic.active import Inputs
from supernets.tasks.task import Dimensions, Task

LIMIT_BYTES = 256 << 20
"""Of prepared examples kept for a data set. A search asks for the same few image sizes again and again."""
Key = tuple[object, ...]
"""Starts with the class of the task: tasks have no state, and ``Supernet.task`` is another instance each time."""


class _Kept:
    """The parts that were used last, at most :data:`LIMIT_BYTES` of them."""

    def __init__(self) -> None:
        self._parts: OrderedDict[Key, list[Inputs]] = OrderedDict()
        self._lock = Lock()  # one subnet is recalibrated while another is scored

    def find(self, key: Key) -> list[Inputs] | None:
        """The parts under ``key``, which count as used now."""
        with self._lock:
            found = self._parts.get(key)
            if found is not None:
                self._parts.move_to_end(key)
            return found

    def keep(self, key: Key, parts: list[Inputs]) -> None:
        """Keep these parts in place of those that were not used for longest."""
        with self._lock:
            self._parts[key] = parts
            while sum(map(_bytes, self._parts.values())) > LIMIT_BYTES:
                self._parts.popitem(last=False)


_KEPT: WeakKeyDictionary[DataSet, _Kept] = WeakKeyDictionary()


def first_part(split: HeldSplit, examples: int | None) -> tuple[Tensor, Tensor]:
    """Stored examples and labels of a part of a split, or of all of it.

    A part has the classes nearly in proportion, and a larger part contains a smaller one: qualities of two subnets on
    equally many examples are on the same ones, and their difference has less noise than either.
    """
    if examples is None or examples >= len(split):
        return split.stored, split.labels
    labels = split.labels.numpy()
    order = stratified(labels, 0) if labels.ndim == 1 else permutation(len(labels), 0)
    chosen = torch.from_numpy(order[:examples])
    return split.stored[chosen], split.labels[chosen]


def calibration_inputs(
    data: DataSet, task: Task, n: int, dimensions: Dimensions, device: torch.device
) -> Inputs:
    """The first ``n`` training examples, or all of a smaller set, prepared; kept where the split does not change.

    Each call returns a copy: a network may write into its inputs.
    """
    key = (type(task), "train", tuple(sorted(dimensions.items())), n)
    kept = _KEPT.setdefault(data, _Kept())
    fixed = device.type == "cpu" and isinstance(data.train, HeldSplit)
    found = kept.find(key) if fixed else None
    if found is None:
        stored = data.train.head(n).to(device)
        found = [task.prepare(stored, data.preprocessing(), dimensions)]
        if fixed and _bytes(found) <= LIMIT_BYTES:
            kept.keep(key, found)
    return _copied(found[0]) if fixed else found[0]


def prepared(
    data: DataSet,
    task: Task,
    split: str,
    dimensions: Dimensions,
    size: int,
    device: torch.device,
    *,
    row_major: bool = False,
    examples: int | None = None,
) -> Iterator[Inputs]:
    """The examples of a split that is held in memory, prepared, ``size`` at a time, in the order of the split.

    Args:
        data: what they are of.
        task: how they are prepared.
        split: its name.
        dimensions: named sizes of what the network reads.
        size: examples in a part; the last part may have fewer.
        device: where the parts are; those on the CPU are kept for the next call if all of them fit.
        row_major: in the layout that ONNX Runtime reads, and to be read only; else in the task's own layout, and
            to be overwritten at will, as some networks do.
        examples: only this many, in the order of :func:`first_part`.
    """
    kept = _KEPT.setdefault(data, _Kept())
    key = (type(task), split, tuple(sorted(dimensions.items())), size, row_major, examples)
    found = kept.find(key) if device.type == "cpu" else None
    if found is not None:
        yield from found if row_major else map(_copied, found)
        return
    chosen, made = first_part(data.held(split), examples)[0], list[Inputs]()
    for start in range(0, len(chosen), size):
        part = task.prepare(chosen[start : start + size].to(device), data.preprocessing(), dimensions)
        if row_major:
            part = tuple(each.contiguous() for each in part)
        if device.type == "cpu" and _bytes([part]) * len(chosen) <= LIMIT_BYTES * len(part[0]):
            made.append(part if row_major else _copied(part))
        yield part
    if sum(len(part[0]) for part in made) == len(chosen):
        kept.keep(key, made)


def _copied(inputs: Inputs) -> Inputs:
    return tuple(each.clone() for each in inputs)


def _bytes(parts: list[Inputs]) -> int:
    return sum(each.nbytes for part in parts for each in part)
