"""Energy of an inference, where the machine counts energy (RAPL, as Linux shows it under ``powercap``).

The counters belong to whole processor packages (and to their memory where that is counted), whichever process spends
the energy; so a block of inferences is compared with the idle time just before it, and what it spent above that is
divided by its inferences. A machine without counters, counters that this user may not read or that stand still (as in
virtual machines), or a difference that is not positive give no value: never zero.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from predictors.measuring.protocol import Extra
from predictors.measuring.runtime import NetJson, OnnxBlock, Session, machine_lock, net_of, pinned
from supernets.child import ChildError, Progress, call

POWERCAP = Path("/sys/class/powercap")
COUNTED = ("package", "dram")  # names of zones; cores and graphics are parts of a package
STATISTIC = "median over blocks of package energy above the idle time before, an inference"
BLOCK_MS, BLOCKS = 200.0, 7
TIMEOUT_S, LOCK_S = 120.0, 3600.0
UJ_IN_MJ = 1e3


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of microjoules that starts again at 0 after ``largest``."""

    path: Path
    largest: int

    def read(self) -> int:
        """Microjoules so far."""
        return int(self.path.read_text())

    def between(self, before: int, after: int) -> int:
        """Microjoules from one reading to the next; at most one restart lies between them."""
        return after - before if after >= before else after + self.largest - before


def counters(root: Path = POWERCAP) -> list[Counter]:
    """The energy counters of this machine that may be read; none where it has none."""
    found = []
    for zone in sorted(root.glob("intel-rapl*:*")):
        try:
            if (zone / "name").read_text().strip().startswith(COUNTED):
                counter = Counter(zone / "energy_uj", int((zone / "max_energy_range_uj").read_text()))
                counter.read()
                found.append(counter)
        except (OSError, ValueError):
            continue  # not there, or only for root
    return found


def available(root: Path = POWERCAP) -> bool:
    """Whether this machine counts energy, and lets us read it."""
    return bool(counters(root))


def energy(path: Path, session: Session, *, timeout_s: float = TIMEOUT_S) -> Extra | None:
    """Energy of one inference in mJ, in a run of its own on this machine; None where it cannot be measured."""
    request = NetJson(path=str(path), session=session.as_json())
    with machine_lock(LOCK_S), contextlib.suppress(ChildError):
        return call(_energy, request, timeout_s=timeout_s)
    return None


def per_inference(
    run: Callable[[float], Sequence[float]],
    counted: Sequence[Counter],
    *,
    blocks: int = BLOCKS,
    block_ms: float = BLOCK_MS,
    clock: Callable[[], float] = time.perf_counter,
    rest: Callable[[float], None] = time.sleep,
) -> Extra | None:
    """Energy above idle of one inference, in mJ; None where the counters do not show it.

    ``run(ms)`` runs inferences for about so long and returns their latencies; ``clock`` and ``rest`` are in
    seconds. ``spread`` is the standard error of the median over blocks.
    """
    values = []
    for _ in range(blocks):
        idle_uj, idle_s, _ = _spent(counted, clock, lambda: rest(block_ms / 1e3))
        busy_uj, busy_s, count = _spent(counted, clock, lambda: len(run(block_ms)))
        if idle_uj <= 0 or busy_uj <= 0 or idle_s <= 0 or not count:
            return None  # a counter that stands still counts nothing
        values.append((busy_uj - idle_uj / idle_s * busy_s) / count / UJ_IN_MJ)
    middle = statistics.median(values)
    if not math.isfinite(middle) or middle <= 0:
        return None
    error = 1.253 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return Extra(value=middle, spread=error, n=len(values), statistic=STATISTIC)


def _spent(
    counted: Sequence[Counter], clock: Callable[[], float], work: Callable[[], int | None]
) -> tuple[int, float, int]:
    """Microjoules and seconds of some work, and what it returned."""
    before, start = [counter.read() for counter in counted], clock()
    result = work()
    seconds, after = clock() - start, [counter.read() for counter in counted]
    spent = sum(c.between(a, b) for c, a, b in zip(counted, before, after, strict=True))
    return spent, seconds, result or 0


def _energy(request: NetJson, _progress: Progress) -> Extra | None:
    """Energy of a net in a fresh process."""
    path, session = net_of(**request)
    with pinned(session.cores):
        block = OnnxBlock(path, session)
        block(BLOCK_MS / 10)
        return per_inference(lambda ms: block(ms).tolist(), counters())
