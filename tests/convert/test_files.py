"""Subnets of converted networks as files, for a batch of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from supernets.convert import convert
from supernets.export.onnx import OnnxExporter, export_for_measuring
from supernets.extract import extract
from tests.convert.networks import CASES, Case, built

CHOSEN = [
    case
    for case in CASES
    if case.name in ("shuffle", "standardised", "temporal", "language", "siamese", "mixed", "biased")
]


@pytest.mark.parametrize("case", CHOSEN, ids=[case.name for case in CHOSEN])
@pytest.mark.filterwarnings("ignore")  # of the exporters
def test_an_onnx_file_of_a_subnet_equals_it_for_several_batches(case: Case, tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = convert(built(case), case.inputs(2), output=case.output)
    space = found.family.space()
    (arch,) = space.decode(space.sample(np.random.default_rng(1), 1))
    smaller = extract(found.net, arch, None)
    exporter, path = OnnxExporter(), tmp_path / "subnet.onnx"
    exporter.export(smaller, tuple(case.inputs(2).values()), path, found.interface)
    run = exporter.load(path)
    for n in (1, 3):
        x = case.inputs(n)
        with torch.no_grad():
            expected = smaller(*x.values()).numpy()
        got = run({name: value.numpy() for name, value in x.items()})
        assert np.abs(got - expected).max() <= 1e-4 * max(1.0, float(np.abs(expected).max()))
    one = tuple(case.inputs(1).values())
    export_for_measuring(smaller, one, tmp_path / "measured.onnx", found.interface)
    feed = {named.name: value.numpy() for named, value in zip(found.interface.inputs, one, strict=True)}
    with torch.no_grad():
        assert np.abs(exporter.load(tmp_path / "measured.onnx")(feed) - smaller(*one).numpy()).max() <= 1e-4
