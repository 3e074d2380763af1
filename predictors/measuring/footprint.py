"""Peak memory of a net: what it adds to a process in which the runtime is loaded and idle.

A fresh process for every net makes a session and runs a few inferences, since memory that was once taken is seldom
given back. The baseline is the resident memory after a net of one operator on one number has run, which makes the
runtime set up what it needs for any net (about 17 MB); the peak is the system's own record of the highest
resident memory since then, which no sampling can miss: session, weights, arena and graph optimisation are in
it, interpreter, libraries and runtime are not.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable
from pathlib import Path

from predictors.errors import MeasureError
from predictors.measuring.protocol import Extra
from predictors.measuring.runtime import NetJson, OnnxBlock, Session, measuring_errors, net_of
from supernets.child import Progress, call

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"
STATISTIC = "median over fresh processes of peak resident memory above an idle runtime"
# The file of y = Relu(x), both of shape [1].
ONE_RELU = bytes.fromhex(
    "08083a330a0c0a0178120179220452656c751201775a0f0a0178120a0a08080112040a020801"
    "620f0a0179120a0a08080112040a02080142040a001011"
)
BLOCK_MS = 1.0
REPEATS = 3
TIMEOUT_S = 120.0


def available(status: Path = STATUS, clear: Path = CLEAR) -> bool:
    """Whether this system records peak memory and lets a process reset the record."""
    return status.exists() and os.access(clear, os.W_OK)


def peak_memory(
    path: Path, session: Session, *, repeats: int = REPEATS, timeout_s: float = TIMEOUT_S
) -> Extra:
    """Median of a few fresh processes in MB (10^6 bytes), and half of their range; see :func:`try_net`."""
    values = [try_net(path, session, timeout_s) for _ in range(repeats)]
    spread = (max(values) - min(values)) / 2
    return Extra(value=statistics.median(values), spread=spread, n=repeats, statistic=STATISTIC)


def try_net(path: Path, session: Session, timeout_s: float = TIMEOUT_S) -> float:
    """Run a net in a process of its own; returns its peak memory in MB, NaN where the system does not record it.

    Raises:
        MeasuringDiedError: the net ends the process.
        MeasureError: the runtime cannot run it, or not within ``timeout_s`` seconds.
    """
    with measuring_errors("a trial run of a net"):
        request = NetJson(path=str(path), session=session.as_json())
        value = call(_footprint, request, timeout_s=timeout_s)
    return float("nan") if value is None else float(value)


def growth_mb(work: Callable[[], object], status: Path = STATUS, clear: Path = CLEAR) -> float:
    """By how much the highest resident memory during ``work`` exceeds that before it, in MB."""
    if not available(status, clear):
        work()
        return float("nan")
    clear.write_text(RESET_PEAK)
    before = _kilobytes("VmRSS", status)
    kept = work()
    peak = _kilobytes("VmHWM", status)
    del kept
    return (peak - before) * 1024 / 1e6


def _kilobytes(name: str, status: Path) -> int:
    for line in status.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise MeasureError(f"{status} must have a line {name}")


def _footprint(request: NetJson, _progress: Progress) -> float | None:
    """Peak memory of a net in MB, None where the system does not record it; in a fresh process."""
    awake = OnnxBlock(ONE_RELU, Session())
    awake(BLOCK_MS)
    path, session = net_of(**request)

    def work() -> OnnxBlock:
        block = OnnxBlock(path, session)
        block(BLOCK_MS)
        return block

    value = growth_mb(work)
    del awake
    return None if math.isnan(value) else value
