"""Exported files run in the oldest ONNX Runtime that their opset promises, in another Python.

``NETWRIGHT_TEST_RUNTIMES`` names Pythons, separated by colons, each with an ONNX Runtime of its own.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from supernets.checkpoints import load_supernet
from supernets.data import load_data
from supernets.evaluate import calibrated
from supernets.export.subnet import FileRequest, write_subnet
from supernets.extract import extract
from tests.small import TASK

ROOT = Path(__file__).parents[2]
PYTHONS = [path for path in os.environ.get("NETWRIGHT_TEST_RUNTIMES", "").split(":") if path]
NEWEST = {
    "1.12": (17, 8),
    "1.14": (18, 8),
    "1.15": (19, 9),
    "1.16": (19, 9),
    "1.17": (20, 9),
    "1.18": (21, 10),
}
"""Release of ONNX Runtime to the newest opset and IR version that it knows, by its page on compatibility:
https://onnxruntime.ai/docs/reference/compatibility.html"""
OLDEST = {17: "1.12", 18: "1.14", 19: "1.15", 20: "1.17", 21: "1.18"}
"""Opset to the oldest of these releases that the documentation names for it."""
RUN = """
import sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
numpy.save(sys.argv[3], session.run(None, {session.get_inputs()[0].name: numpy.load(sys.argv[2])})[0])
"""
FORMS = [
    *(FileRequest(opset=opset) for opset in OLDEST),
    FileRequest(precision="fp16"),
    FileRequest(precision="int8"),
    FileRequest(batch=2),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[FileRequest, Path]]]:
    """A file of each form, and in ``input.npy`` and ``output.npy`` what the network reads and returns."""
    folder = tmp_path_factory.mktemp("oldest")
    supernet, data = load_supernet(ROOT / "zoo" / "digits"), load_data("digits")
    arch = supernet.space.max()
    stats = calibrated(supernet, data, arch)
    net = extract(supernet.net, arch, stats)
    (batch,) = TASK.prepare(data.test.images[:2], data.preprocessing(), supernet.family.dimensions(arch))
    np.save(folder / "input.npy", batch.numpy())
    with torch.inference_mode():
        np.save(folder / "output.npy", net(batch).numpy())
    found = []
    for number, form in enumerate(FORMS):
        (folder / str(number)).mkdir()
        written = write_subnet(supernet, data, arch, net, stats.sha256, form, folder / str(number), None)
        found.append((form, written.path))
    yield found


def test_every_file_is_within_what_its_oldest_runtime_knows(files: list[tuple[FileRequest, Path]]) -> None:
    for form, path in files:
        opset, ir_version = NEWEST[OLDEST[form.opset]]
        model = onnx.load(path)
        assert model.ir_version <= ir_version
        assert [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")] == [
            form.opset
        ]
        assert form.opset <= opset


def test_the_documentation_names_the_oldest_runtime_of_every_opset() -> None:
    page = (ROOT / "docs" / "use-the-exported-file.md").read_text(encoding="utf-8")
    for opset, release in OLDEST.items():
        ir_version = min(ir for newest, ir in NEWEST.values() if newest >= opset)
        assert f"| {opset} | {ir_version} | {release} |" in page


@pytest.mark.skipif(not PYTHONS, reason="NETWRIGHT_TEST_RUNTIMES names no Python with an old ONNX Runtime")
@pytest.mark.parametrize("python", PYTHONS)
def test_files_run_in_old_runtimes(
    python: str, files: list[tuple[FileRequest, Path]], tmp_path: Path
) -> None:
    command = [python, "-c", "import onnxruntime; print(onnxruntime.__version__)"]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    release = version.rsplit(".", 1)[0]
    ran = 0
    for form, path in files:
        if form.opset > NEWEST[release][0]:
            continue
        given, wanted = path.parents[1] / "input.npy", np.load(path.parents[1] / "output.npy")
        command = [python, "-c", RUN, str(path), str(given), str(tmp_path / "got.npy")]
        subprocess.run(command, capture_output=True, text=True, check=True)
        got = np.load(tmp_path / "got.npy")
        assert list(got.argmax(1)) == list(wanted.argmax(1))
        if form.precision == "fp32":
            assert np.abs(got - wanted).max() <= 1e-4
        ran += 1
    assert ran >= len(FORMS) - len(OLDEST) + 2
