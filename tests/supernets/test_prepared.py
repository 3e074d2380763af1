"""Prepared examples are kept, bounded, and equal to what the task prepares."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import supernets.prepared as module
from supernets.checkpoints import load_supernet
from supernets.data import load_data
from supernets.prepared import calibration_inputs, prepared

ZOO = Path(__file__).parents[2] / "zoo"
CPU = torch.device("cpu")


def test_examples_are_prepared_once_and_a_network_may_write_into_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    supernet, data = load_supernet(ZOO / "digits"), load_data("digits")
    task, dimensions = supernet.task, supernet.family.dimensions(supernet.space.min())
    expected = task.prepare(data.validation.images, data.preprocessing(), dimensions)[0]
    first = task.prepare(data.train.head(100), data.preprocessing(), dimensions)[0]
    prepare, calls = type(task).prepare, []

    def counted(*arguments: object) -> object:
        calls.append(1)
        return prepare(*arguments)

    monkeypatch.setattr(type(task), "prepare", counted)
    for _ in range(3):
        task = supernet.task  # another instance each time, as evaluations of subnets get it
        for row_major in (False, True):
            parts = [
                each
                for (each,) in prepared(data, task, "validation", dimensions, 128, CPU, row_major=row_major)
            ]
            assert [len(part) for part in parts] == [128, 128, 104] and torch.equal(
                torch.cat(parts), expected
            )
            assert not row_major or all(part.is_contiguous() for part in parts)
            if not row_major:
                [part.zero_() for part in parts]
        (images,) = calibration_inputs(data, task, 100, dimensions, CPU)
        assert torch.equal(images, first)
        images.zero_()
    assert len(calls) == 3 + 3 + 1


def test_what_does_not_fit_is_prepared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    supernet, data = load_supernet(ZOO / "digits"), load_data("digits")
    task, space = supernet.task, supernet.space
    sizes = [supernet.family.dimensions(arch) for arch in (space.min(), space.max())]
    one = sum(each.nbytes for (each,) in prepared(data, task, "validation", sizes[1], 128, CPU))
    for limit, kept in ((one, 1), (one - 1, 0), (2 * one, 2)):
        monkeypatch.setattr(module, "LIMIT_BYTES", limit)
        module._KEPT.clear()
        for dimensions in (*sizes, sizes[1]) if kept < 2 else sizes:
            list(prepared(data, task, "validation", dimensions, 128, CPU))
        found = module._KEPT[data]._parts
        assert sum(dict(key[2]) == sizes[1] for key in found) == (kept > 0)
        assert sum(map(module._bytes, found.values())) <= limit
