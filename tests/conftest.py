"""One thread for every numeric library, here and in the processes that tests start.

Bit-for-bit comparisons need the same number on both sides, and small arrays are up to nine times slower
with two threads on a busy machine. Set before torch and NumPy are imported: they read it once.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
