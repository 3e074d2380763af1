"""The front of a report card: what is timed, what is on it, and where it is written."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from netwright.cli import app
from predictors.card_front import card_front
from predictors.errors import MeasureError
from predictors.measuring.measure import WAIT, Run, StepProgress
from predictors.measuring.protocol import Protocol, Timing
from predictors.targets.target import Target, TargetSettings
from supernets.checkpoints import load_supernet, write_manifest
from supernets.data import load_data
from supernets.evaluate import evaluate_arch
from supernets.manifest import Manifest
from supernets.training.finish import add_front

ZOO = Path(__file__).parents[2] / "zoo"


class CountingTarget(Target):
    """A device that takes a microsecond for every weight of a file, and cannot run the files ``broken``."""

    kind = "counting"
    measured_by = "worker"
    settings_type = TargetSettings

    def __init__(self, _settings: Any = None, broken: tuple[str, ...] = ("2",)) -> None:
        super().__init__(TargetSettings(batch=2))
        self.broken = broken

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "device": {"cpu": "abacus"},
            "runtime": {"name": "beads", "version": "1"},
            "settings": {"threads": 1, "batch": 2},
        }

    def run(
        self,
        files: Mapping[str, Path],
        protocol: Protocol | None = None,
        metrics: Sequence[str] = (),
        progress: StepProgress | None = None,
    ) -> Run:
        found = []
        for key, path in files.items():
            model = onnx.load(path)
            assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
            weights = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
            known = Timing(key, "good", latency_ms=weights / 1000, standard_error_ms=0.01)
            found.append(Timing(key, "unsupported") if key in self.broken else known)
        return Run(timings=found, calibrations={}, cores=())


def test_a_front_is_measured_evaluated_and_sorted() -> None:
    supernet, data = load_supernet(ZOO / "digits"), load_data("digits")
    told: list[tuple[str, int, int]] = []
    front = card_front(supernet, data, CountingTarget(), subnets=6, progress=lambda *step: told.append(step))
    points = front["points"]
    assert front["asked"] == 6 and len(points) == 5  # one could not be run
    assert [p["latency_ms"] for p in points] == sorted(p["latency_ms"] for p in points)
    for point in points:
        arch = supernet.space.arch(point["arch"])
        assert point["value"] == evaluate_arch(supernet, data, arch, "validation").value
        equal = [o for o in points if o["latency_ms"] < point["latency_ms"]]
        assert point["on_front"] == all(o["value"] < point["value"] for o in equal)
    assert any(point["on_front"] for point in points)
    assert (front["device"], front["runtime"]) == ("abacus", "beads 1")
    assert {step for step, _, _ in told} == {"writing", "evaluating"} and told[-1] == ("evaluating", 6, 6)


def test_too_few_timings_are_no_front() -> None:
    supernet, data = load_supernet(ZOO / "digits"), load_data("digits")
    broken = CountingTarget(broken=("0", "1", "2"))
    with pytest.raises(MeasureError, match="got 2 of 5; verdicts: good, unsupported"):
        card_front(supernet, data, broken, subnets=5)


def test_the_command_puts_the_front_into_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(ZOO / "digits", folder)
    before = Manifest.read(folder)
    monkeypatch.setattr("predictors.targets.cpu.CpuTarget", CountingTarget)
    done = CliRunner().invoke(app, ["card", str(folder), "--subnets", "4"])
    assert done.exit_code == 0, done.output
    after = Manifest.read(folder)
    assert {**after.report, "front": None} == {**before.report, "front": None}
    assert after.weights_sha256 == before.weights_sha256 and len(after.report["front"]["points"]) == 3
    text = (folder / "report.md").read_text()
    assert "## Against the latency of abacus" in text and "beads 1; threads 1, batch 2" in text
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")
    assert load_supernet(folder).manifest == after
    # measured again, the card still has one front
    again = add_front(folder, after.report["front"])
    assert again == after and (folder / "report.md").read_text().count("## Against") == 1


def test_a_supernet_without_a_card_is_refused_before_anything_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "converted"
    shutil.copytree(ZOO / "digits", folder)
    write_manifest(folder, Manifest.read(folder).model_copy(update={"report": {}}))
    monkeypatch.setattr("predictors.card_front.card_front", None)
    done = CliRunner().invoke(app, ["card", str(folder)])
    assert done.exit_code == 1
    assert "must have a report card" in done.stderr


def test_the_command_says_that_it_waits_for_another_measuring_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waiting(CountingTarget):
        def run(
            self,
            files: Mapping[str, Path],
            protocol: Protocol | None = None,
            metrics: Sequence[str] = (),
            progress: StepProgress | None = None,
        ) -> Run:
            assert progress is not None
            for seconds in (1, 2, 3):
                progress(WAIT, seconds, 3600)
            return super().run(files, protocol, metrics, progress)

    folder = tmp_path / "mine"
    shutil.copytree(ZOO / "digits", folder)
    monkeypatch.setattr("predictors.targets.cpu.CpuTarget", Waiting)
    done = CliRunner().invoke(app, ["card", str(folder), "--subnets", "4"])
    assert done.exit_code == 0, done.output
    assert done.output.count("another measuring run is on this machine; waiting 1 s for it") == 1
