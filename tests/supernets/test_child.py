"""Functions in real child processes: results, progress, errors, and their ends."""

import os
import subprocess
import sys

import pytest

from supernets.child import ChildDiedError, ChildFailedError, ChildTimeoutError, call
from supernets.errors import DataError, UnknownNameError

FUNCTIONS = """
import os, time
import numpy as np
from supernets.errors import DataError

def double(request, progress):
    print("this is no answer")
    os.system("echo neither is this")
    for index in range(request["n"]):
        progress("step", index + 1, request["n"])
    return {"value": 2 * request["n"], "mean": np.float64(.5), "pid": os.getpid()}

def missing(request, progress):
    raise DataError("no such folder")

def crash(request, progress):
    os.abort()

def slow(request, progress):
    progress(os.getpid())
    time.sleep(600)

def not_json(request, progress):
    return float("nan")
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    """A module that the child can import."""
    (tmp_path / "functions_for_children.py").write_text(FUNCTIONS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    import functions_for_children

    yield functions_for_children
    del sys.modules["functions_for_children"]


def test_a_call_returns_the_result_and_reports_progress_in_another_process(functions):
    seen = []
    result = call(functions.double, {"n": 3}, lambda *report: seen.append(report))
    assert (result["value"], result["mean"]) == (6, 0.5) and result["pid"] != os.getpid()
    assert seen == [("step", 1, 3), ("step", 2, 3), ("step", 3, 3)]


def test_an_error_names_its_classes(functions):
    with pytest.raises(ChildFailedError, match="no such folder") as caught:
        call(functions.missing, None)
    assert caught.value.is_a(DataError) and caught.value.is_a(Exception)
    assert not caught.value.is_a(UnknownNameError)


def test_a_result_that_is_not_json_is_an_error(functions):
    with pytest.raises(ChildFailedError, match="JSON"):
        call(functions.not_json, None)


def test_a_crash_is_reported_with_the_status(functions):
    with pytest.raises(ChildDiedError, match="status -6"):
        call(functions.crash, None)


def test_a_child_that_reports_no_progress_is_stopped(functions):
    seen = []
    with pytest.raises(ChildTimeoutError, match="within 3 s"):
        call(functions.slow, None, seen.append, timeout_s=3.0)
    for pid in seen:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_the_progress_function_raises_stops_the_child(functions):
    pids = []

    def stop(pid):
        pids.append(pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call(functions.slow, None, stop)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_only_functions_of_modules_can_be_called():
    with pytest.raises(ValueError, match="functions of modules"):
        call(lambda request, progress: None, None)


def test_a_child_needs_the_standard_library_only():
    loaded = "import sys, supernets.child; print(sorted({'numpy', 'torch', 'pydantic'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
