"""One thread for every numeric library, here and in the processes that tests start; no test is timed.

Bit-for-bit comparisons need the same number on both sides, and small arrays are up to nine times slower
with two threads on a busy machine. Set before torch and NumPy are imported: they read it once. Hypothesis
would fail an example that takes 0.2 s, which says only that the machine is busy. A shell ignores Ctrl-C in what it
runs in the background, and so would all that the tests start and interrupt there.
"""

import os
import signal
import tempfile

from hypothesis import settings

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="netwright-state-")
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
