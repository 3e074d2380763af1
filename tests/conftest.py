"""One thread for every numeric library, here and in the processes that tests start; no test is timed.

Bit-for-bit comparisons need the same number on both sides, and small arrays are up to nine times slower
with two threads on a busy machine. Set before torch and NumPy are imported: they read it once. Hypothesis
would fail an example that takes 0.2 s, which says only that the machine is busy. Files with long tests come first, so
that none is left for one process when the others have nothing to do. A shell ignores Ctrl-C in what it
runs in the background, and so would all that the tests start and interrupt there. Processes that tests start read
compiled modules, where compiling this repository's would be a fifth of their start.
"""

import os
import signal
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="netwright-state-")
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files by the longest time limit that a test in them states, and others by their number of tests."""
    tests, limits = Counter(item.path for item in items), dict[Path, float]()
    for item in items:
        marker = item.get_closest_marker("timeout")
        limit = float(marker.args[0]) if marker is not None and marker.args else 0.0
        limits[item.path] = max(limits.get(item.path, 0.0), limit)
    items.sort(key=lambda item: (-limits[item.path], -tests[item.path]))
