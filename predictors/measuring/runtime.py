"""ONNX Runtime under stated settings: what one block of inferences is, and where it runs."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from predictors.errors import MeasureError, MeasuringDiedError
from supernets.child import ChildDiedError, ChildFailedError, ChildTimeoutError

if TYPE_CHECKING:
    import onnxruntime

LEAST_INFERENCES = 3
CPU_PROVIDER = "CPUExecutionProvider"
FINE_S, TICK_MS, CLOCK_READS = 1e-6, 1e-6, 50
LOCK_POLL_S = 0.1
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}


class SessionJson(TypedDict):
    """The fields of a :class:`Session`."""

    threads: int
    operators: int
    batch: int
    provider: str


class NetJson(TypedDict):
    """A net to run in a child process."""

    path: str
    session: SessionJson


class Tensor(Protocol):
    """An input of a session of ONNX Runtime; a free dimension is a name or None."""

    name: str
    type: str
    shape: Sequence[int | str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How ONNX Runtime runs a net: what a kind of target makes of its settings.

    ``threads`` work on one operator, and ``operators`` independent operators run at the same time.
    """

    threads: int = 1
    operators: int = 1
    batch: int = 1
    provider: str = CPU_PROVIDER

    @property
    def cores(self) -> int:
        """Cores that a run uses."""
        return self.threads + self.operators - 1

    def as_json(self) -> SessionJson:
        """Every field; ``Session(**value)`` reads it back."""
        return SessionJson(
            threads=self.threads, operators=self.operators, batch=self.batch, provider=self.provider
        )


def net_of(path: str, session: SessionJson) -> tuple[Path, Session]:
    """The file and the session of a :class:`NetJson`."""
    return Path(path), Session(**session)


class OnnxBlock:
    """A :data:`~predictors.measuring.protocol.Block` that runs an ONNX net on one fixed random input.

    Inputs and outputs are bound once: copying them would be a tenth of the time of a 0.03 ms net.
    Raises whatever the runtime raises for a net that it cannot run.
    """

    def __init__(self, model: bytes | Path, session: Session) -> None:
        import onnxruntime

        source = model if isinstance(model, bytes) else str(model)
        options = _options(session)
        self._session = onnxruntime.InferenceSession(source, options, providers=[session.provider])
        self._binding = self._session.io_binding()
        rng = np.random.default_rng(0)
        for tensor in self._session.get_inputs():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(_example(tensor, session.batch, rng))
            self._binding.bind_ortvalue_input(tensor.name, value)
        for tensor in self._session.get_outputs():
            self._binding.bind_output(tensor.name, "cpu")
        self._session.run_with_iobinding(self._binding)
        # With more threads, or on another device, this thread's time is not the net's.
        alone = session.cores == 1 and session.provider == CPU_PROVIDER
        self._overhead = _clock_overhead_ms() if alone and _fine_clock() else None
        # From now on the outputs go where the first run put them.
        names = [tensor.name for tensor in self._session.get_outputs()]
        for name, output in zip(names, self._binding.get_outputs(), strict=True):
            self._binding.bind_ortvalue_output(name, output)

    def __call__(self, block_ms: float) -> NDArray[np.float64]:
        """Latencies in ms of all inferences, at least three, of a block of about ``block_ms``: ``(2, k)``, as they
        were and without the time that other processes had the core; ``(1, k)`` where that is not known."""
        wall, work = self.wall_and_work(block_ms)
        if self._overhead is None:
            return np.asarray(wall[None])
        return np.stack([wall, np.minimum(wall, np.maximum(work - self._overhead, TICK_MS))])

    def wall_and_work(self, block_ms: float) -> NDArray[np.float64]:
        """Wall time and time that this thread really ran ``(2, k)``, ms, of the inferences of a block.

        Where another process had the core in between, the second is smaller. It includes reading the clocks.
        """
        clock, run, binding = time.perf_counter_ns, self._session.run_with_iobinding, self._binding
        work = time.thread_time_ns
        samples: list[tuple[int, int]] = []
        now = clock()
        end = now + int(block_ms * 1e6)
        while now < end or len(samples) < LEAST_INFERENCES:
            begun = work()
            start = clock()
            run(binding)
            now = clock()
            samples.append((now - start, work() - begun))
        return np.asarray(np.array(samples, dtype=np.float64).T / 1e6)


def _fine_clock() -> bool:
    """Whether the system counts a thread's own time finely enough for single inferences."""
    try:
        return time.get_clock_info("thread_time").resolution <= FINE_S
    except (ValueError, AttributeError):
        return False


def _clock_overhead_ms() -> float:
    """Working time of an inference that does nothing: what reading the clocks costs."""
    found = []
    for _ in range(CLOCK_READS):
        begun = time.thread_time_ns()
        time.perf_counter_ns()
        time.perf_counter_ns()
        found.append(time.thread_time_ns() - begun)
    return min(found) / 1e6


@contextmanager
def measuring_errors(what: str) -> Iterator[None]:
    """Raise errors of a child process that measures as this package's errors.

    Raises:
        MeasuringDiedError: the process ended without an answer.
        MeasureError: the call failed, or took too long.
    """
    try:
        yield
    except ChildDiedError as error:
        raise MeasuringDiedError(f"{what} ended without a result: {error}") from error
    except ChildTimeoutError as error:
        raise MeasureError(f"{what} took too long: {error}") from error
    except ChildFailedError as error:
        known = error.is_a(MeasureError)
        raise MeasureError(str(error) if known else f"{_short(error.types[0])}: {error}") from error


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _options(session: Session) -> onnxruntime.SessionOptions:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = session.threads
    options.inter_op_num_threads = session.operators
    mode = onnxruntime.ExecutionMode
    options.execution_mode = mode.ORT_PARALLEL if session.operators > 1 else mode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return options


def _example(tensor: Tensor, batch: int, rng: np.random.Generator) -> NDArray[np.generic]:
    """A random input of the shape of the net's input, ones of whole numbers; a free first dimension is the batch."""
    sizes = list(tensor.shape)
    if sizes and not isinstance(sizes[0], int):
        sizes[0] = batch
    shape = [size for size in sizes if isinstance(size, int)]
    if len(shape) < len(sizes) or (shape and shape[0] != batch):
        raise MeasureError(
            f"input {tensor.name!r} must have batch {batch} and fixed sizes, got shape {tensor.shape}"
        )
    if tensor.type not in _DTYPES:
        raise MeasureError(f"input {tensor.name!r} must be of type {', '.join(_DTYPES)}, got {tensor.type}")
    dtype = np.dtype(_DTYPES[tensor.type])
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return np.ones(shape, dtype=dtype)  # tokens, and the mask of a text without padding


@contextmanager
def pinned(count: int) -> Iterator[tuple[int, ...]]:
    """Bind this thread to ``count`` cores and restore its affinity afterwards.

    The last cores are taken, since the first serve interrupts. Sessions must be created inside: their
    threads inherit the affinity. Yields the cores, none where the system has no such call.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield ()
        return
    before = os.sched_getaffinity(0)
    cores = tuple(sorted(before)[-count:])
    os.sched_setaffinity(0, cores)
    try:
        yield cores
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def machine_lock(timeout_s: float, waiting: Callable[[int], None] | None = None) -> Iterator[None]:
    """Let only one measuring run of this user go on at a time on this machine.

    ``waiting`` is called every second with the seconds so far; what it raises ends the waiting.

    Raises:
        MeasureError: another run still holds it after ``timeout_s`` seconds.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    path = Path(tempfile.gettempdir()) / f"netwright-measure-{os.getuid()}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        began, reported = time.monotonic(), 0
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - began
                if waited >= timeout_s:
                    raise MeasureError(f"another measuring run held {path} for {timeout_s:g} s") from None
            if waiting is not None and waited >= reported + 1:
                reported = int(waited)
                waiting(reported)
            time.sleep(LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)
