"""What a machine's latencies look like: blocks of inferences recorded over minutes, beside a quiet or a busy core.

Statistics are compared on one recording, so that all of them see the same moments.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Timed = Callable[[float], Values]
"""Runs a net for about this many ms and returns wall time and working time (ms) of every inference ``(2, k)``."""
# Every block is kept as this many quantiles of its inferences, evenly spaced from the minimum to the maximum.
GRID = 33
BLOCK_MS = 15.0
REFERENCES_WARM_UP = 20
ABOUT = ("names", "references", "seconds", "busy", "own")
# What the neighbour runs: products of matrices too large for its own cache.
SPIN = """
import os, sys, numpy as np
if sys.argv[1] != "-1":
    os.sched_setaffinity(0, {int(sys.argv[1])})
a = np.random.default_rng(0).random((700, 700), dtype=np.float32)
parent = os.getppid()
while os.getppid() == parent:
    a @ a
"""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """``blocks (rounds, nets, 3, 2, GRID)`` ms: reference, net, reference, timed right after each other; wall time
    and the time that the thread really worked.

    ``busy`` is the share of the time that the other cores worked, ``own`` the share that this process had of
    its core, ``seconds`` how long the recording took.
    """

    names: tuple[str, ...]
    references: tuple[str, ...]
    blocks: NDArray[np.float32]
    seconds: float
    busy: float
    own: float

    def save(self, path: Path) -> None:
        """Write an npz file without pickles."""
        about = {name: getattr(self, name) for name in ABOUT}
        text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        np.savez_compressed(path, blocks=self.blocks, about=text)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """The recording that :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            names, references = tuple(about.pop("names")), tuple(about.pop("references"))
            return cls(names, references, file["blocks"], **about)


def record(
    nets: Mapping[str, Timed],
    references: Mapping[str, Timed],
    minutes: float,
    progress: Callable[[float], None] | None = None,
) -> Recording:
    """Rounds over all nets in a fresh order, each beside the reference of similar size, for this many minutes."""
    chosen = _nearest(nets, references)
    rng, names, rounds = np.random.default_rng(0), list(nets), []
    busy, own, start = _busy_seconds(), time.process_time(), time.perf_counter()
    while (passed := time.perf_counter() - start) < 60 * minutes or not rounds:
        blocks = np.zeros((len(names), 3, 2, GRID), dtype=np.float32)
        for index in rng.permutation(len(names)):
            net, reference = nets[names[index]], references[chosen[names[index]]]
            before = reference(BLOCK_MS)
            timed = net(BLOCK_MS)
            after = reference(max(BLOCK_MS, float(timed[0].sum())))
            blocks[index] = [_grid(samples) for samples in (before, timed, after)]
        rounds.append(blocks)
        if progress is not None:
            progress(passed)
    seconds, own = time.perf_counter() - start, time.process_time() - own
    others = max((os.cpu_count() or 2) - 1, 1)
    # The core measured on is busy all the time, with this process or others.
    share = float(np.clip((_busy_seconds() - busy - seconds) / (others * seconds), 0, 1))
    used = tuple(chosen[name] for name in names)
    return Recording(tuple(names), used, np.stack(rounds), seconds, share, own / seconds)


def _nearest(nets: Mapping[str, Timed], references: Mapping[str, Timed]) -> dict[str, str]:
    """The reference of each net that is nearest in proportion."""
    sizes = {
        name: np.median([block(BLOCK_MS)[0].min() for _ in range(REFERENCES_WARM_UP)])
        for name, block in references.items()
    }
    latency = {name: block(BLOCK_MS)[0].min() for name, block in nets.items()}
    return {
        name: min(sizes, key=lambda reference: float(abs(np.log(sizes[reference] / latency[name]))))
        for name in nets
    }


def _grid(samples: Values) -> Values:
    return np.quantile(samples, np.linspace(0, 1, GRID), axis=1).T


def _busy_seconds() -> float:
    """Seconds that all cores together have worked since the machine started; 0 where the system does not say."""
    try:
        words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, softirq = (int(word) for word in words[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


@contextmanager
def neighbour(cores: tuple[int, ...]) -> Iterator[None]:
    """Keep another core busy: any but ``cores``, the ones measured on."""
    others = sorted(set(range(os.cpu_count() or 1)) - set(cores))
    core = str(others[-1]) if others and cores else "-1"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", SPIN, core], env=environment) as spinner:
        try:
            yield
        finally:
            spinner.kill()
