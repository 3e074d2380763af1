"""Real ONNX Runtime, tiny nets. Nothing here asserts how long anything takes."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from predictors.errors import MeasureError, ProtocolError
from predictors.measuring.measure import WAIT, Request, Run, measure_here, measure_in_child
from predictors.measuring.protocol import PATIENCE, Calibration, Protocol
from predictors.measuring.references import SIZES, reference_net, reference_sha256
from predictors.measuring.runtime import OnnxBlock, Session, machine_lock, pinned
from predictors.targets.cpu import CpuSettings

PINNED = {"medium": "55269023e3f2", "small": "ccce85237c70", "large": "0a605387ed0a"}
FAST = Protocol(block_ms=1.0, rounds_max=20, calibration_rounds=20)


def matmul_net(path, width=8, batch="batch", dtype=TensorProto.FLOAT):
    """``y = x . w``; the batch is free unless it is given."""
    weight = helper.make_tensor("w", dtype, [width, width], np.eye(width).ravel())
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", dtype, [batch, width])],
        [helper.make_tensor_value_info("y", dtype, [batch, width])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def calibrations():
    return measure_here(Request(files={}, protocol=FAST)).calibrations


@pytest.fixture(autouse=True)
def own_lock(tmp_path, monkeypatch):
    """A lock of its own, also for child processes: another run on this machine must not fail a test."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_reference_nets_are_the_same_bytes_everywhere():
    # A changed hash is a new scale for every target: raise PROTOCOL_VERSION with it.
    assert {name: reference_sha256(name)[:12] for name in SIZES} == PINNED
    for name in SIZES:
        onnx.checker.check_model(onnx.load_from_string(reference_net(name)))


def test_files_are_timed_in_the_order_asked_and_bad_ones_are_rows(tmp_path, calibrations):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a net")
    files = {
        "b": matmul_net(tmp_path / "b.onnx"),
        "broken": broken,
        "absent": tmp_path / "absent.onnx",
        "batch2": matmul_net(tmp_path / "two.onnx", batch=2),
        "a": matmul_net(tmp_path / "a.onnx", 64),
    }
    result = measure_here(Request(files=files, protocol=FAST, calibrations=calibrations))
    assert [timing.key for timing in result.timings] == list(files)
    by_key = {timing.key: timing for timing in result.timings}
    assert {key for key, timing in by_key.items() if timing.verdict == "unsupported"} == {
        "broken",
        "absent",
        "batch2",
    }
    assert "batch 1" in by_key["batch2"].error and "absent" in by_key["absent"].error
    for key in "ab":
        assert by_key[key].raw_ms["min"] > 0
        assert FAST.rounds_max <= by_key[key].rounds <= PATIENCE * FAST.rounds_max
        assert len(by_key[key].sha256) == 64
        assert by_key[key].reference["sha256"] == reference_sha256(by_key[key].reference["name"])
    assert result.calibrations == calibrations
    assert Run.from_json(**json.loads(json.dumps(result.as_json()))) == result


def test_calibrations_of_other_reference_nets_are_refused(calibrations):
    foreign = {name: Calibration(name, "0" * 64, 1.0, 20) for name in SIZES}
    with pytest.raises(MeasureError, match="calibrate the target again"):
        measure_here(Request(files={}, protocol=FAST, calibrations=foreign))
    partial = {name: calibrations[name] for name in list(SIZES)[:1]}
    with pytest.raises(MeasureError, match="reference nets"):
        measure_here(Request(files={}, protocol=FAST, calibrations=partial))


def test_a_child_process_measures_and_reports_progress(tmp_path):
    seen = []
    files = {"a": matmul_net(tmp_path / "a.onnx")}
    result = measure_in_child(Request(files=files, protocol=FAST), lambda *line: seen.append(line), 120)
    assert {step for step, _, _ in seen} - {WAIT} == {"calibrate", "measure"}
    assert seen[-1][1] == seen[-1][2]
    assert result.timings[0].verdict != "unsupported"
    assert set(result.calibrations) == set(SIZES)


def test_an_exception_in_the_callers_progress_ends_the_child(tmp_path):
    class Cancelled(Exception):
        pass

    def cancel(step, done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        measure_in_child(Request(files={"a": matmul_net(tmp_path / "a.onnx")}, protocol=FAST), cancel)
    with machine_lock(10):  # the child's lock is free again: it has ended
        pass


def test_a_run_whose_caller_was_killed_ends_by_itself(tmp_path):
    script = (
        "import sys; from pathlib import Path; from predictors.measuring.measure import Request, measure_in_child\n"
        "measure_in_child(Request(files={'a': Path(sys.argv[1])}), lambda *line: print('running', flush=True))"
    )
    file = str(matmul_net(tmp_path / "a.onnx"))
    with subprocess.Popen([sys.executable, "-c", script, file], stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None and caller.stdout.readline() == "running\n"
        with pytest.raises(MeasureError), machine_lock(0.0):
            pass
        caller.kill()
    with machine_lock(60):
        pass


def test_a_child_out_of_time_is_stopped_and_said_so(tmp_path):
    files = {"a": matmul_net(tmp_path / "a.onnx")}
    with pytest.raises(MeasureError, match="within 0.01 s"):
        measure_in_child(Request(files=files), timeout_s=0.01)


def test_a_fault_in_the_child_is_raised_as_the_error_it_is(tmp_path):
    foreign = {name: Calibration(name, "0" * 64, 1.0, 20) for name in SIZES}
    with pytest.raises(MeasureError, match="calibrate the target again"):
        measure_in_child(Request(files={}, calibrations=foreign))


def test_only_one_run_at_a_time(monkeypatch):
    held, release = threading.Event(), threading.Event()

    def hold():
        with machine_lock(60):
            held.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    try:
        with pytest.raises(MeasureError, match="another measuring run"), machine_lock(0.0):
            pass
    finally:
        release.set()
        thread.join()


def test_waiting_for_another_run_is_told_and_does_not_count_as_measuring(tmp_path):
    request = Request(files={"a": matmul_net(tmp_path / "a.onnx")}, protocol=FAST)
    seen, release = [], threading.Event()

    def hold(held):
        with machine_lock(60):
            held.set()
            release.wait(60)

    def told(step, done, _total):
        seen.append((step, done))
        if step == WAIT and done >= 2:
            release.set()

    held = threading.Event()
    thread = threading.Thread(target=hold, args=(held,))
    thread.start()
    assert held.wait(60)
    try:
        result = measure_in_child(request, told)
    finally:
        release.set()
        thread.join()
    assert [step for step, done in seen[:2]] == [WAIT, WAIT] and seen[0][1] < seen[1][1]
    assert result.timings[0].verdict != "unsupported" and seen[-1][0] == "measure"


def test_what_the_teller_raises_ends_the_waiting():
    class Cancelled(Exception):
        pass

    def cancel(_seconds):
        raise Cancelled

    with machine_lock(60), pytest.raises(Cancelled), machine_lock(60, cancel):
        pass


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot set affinity")
def test_affinity_is_given_back_even_after_an_error():
    before = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError), pinned(1) as cores:
        assert os.sched_getaffinity(0) == set(cores) and len(cores) == 1
        raise RuntimeError
    assert os.sched_getaffinity(0) == before


def test_a_block_takes_the_batch_and_types_it_is_asked_for(tmp_path):
    block = OnnxBlock(matmul_net(tmp_path / "a.onnx"), Session(batch=5))
    samples = block(0.0)
    # Wall time, and beneath it where the system says so the time without other processes.
    assert samples.shape in ((1, 3), (2, 3)) and (samples > 0).all()
    assert (samples[-1] <= samples[0]).all()
    # What this thread alone works is not what a net on two threads takes.
    assert OnnxBlock(matmul_net(tmp_path / "t.onnx"), Session(threads=2))(0.0).shape == (1, 3)
    OnnxBlock(matmul_net(tmp_path / "i.onnx", dtype=TensorProto.INT64), Session())
    with pytest.raises(MeasureError, match="type"):
        OnnxBlock(matmul_net(tmp_path / "u.onnx", dtype=TensorProto.UINT32), Session())


def test_a_block_lasts_as_long_as_asked(tmp_path):
    block = OnnxBlock(matmul_net(tmp_path / "a.onnx"), Session())
    start = time.perf_counter()
    samples = block(5.0)
    assert time.perf_counter() - start >= 0.005
    assert samples.shape[1] > 3


@pytest.mark.parametrize("changes", [{"threads": 0}, {"batch": 0}, {"precision": "int3"}])
def test_settings_outside_their_range_are_refused(changes):
    with pytest.raises(ProtocolError, match=next(iter(changes))):
        CpuSettings(**changes)
