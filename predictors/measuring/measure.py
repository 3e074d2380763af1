"""Measure ONNX files on this machine, in this process or in a child process that can be killed."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypedDict

from predictors.errors import MeasureError
from predictors.measuring.protocol import (
    Block,
    Calibration,
    CalibrationJson,
    Extra,
    Progress,
    Protocol,
    ProtocolJson,
    Timing,
    TimingJson,
    calibrate,
    time_interleaved,
)
from predictors.measuring.references import SIZES, reference_net
from predictors.measuring.runtime import (
    OnnxBlock,
    Session,
    SessionJson,
    machine_lock,
    measuring_errors,
    pinned,
)
from supernets.child import call

LOCK_TIMEOUT_S = 6 * 3600.0
WAIT = "wait"
StepProgress = Callable[[str, int, int], None]
"""Called with ``step, done, total``: ``calibrate`` and ``measure`` in rounds, ``wait`` (for another run) in seconds."""


class RequestJson(TypedDict):
    """A :class:`Request`, with paths as text."""

    files: dict[str, str]
    session: SessionJson
    protocol: ProtocolJson
    calibrations: dict[str, CalibrationJson]
    references: dict[str, str]


class RunJson(TypedDict):
    """A :class:`Run`."""

    timings: list[TimingJson]
    calibrations: dict[str, CalibrationJson]
    cores: list[int]
    extras: list[dict[str, Extra]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which files to measure, by key, in which session and by which protocol.

    ``calibrations`` are those of the target, by reference name; without them the run calibrates first.
    ``references`` are the files of the reference nets, for a device that cannot make them.
    """

    files: Mapping[str, Path]
    session: Session = field(default_factory=Session)
    protocol: Protocol = field(default_factory=Protocol)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    references: Mapping[str, Path] = field(default_factory=dict)

    def as_json(self) -> RequestJson:
        """What :meth:`from_json` reads back."""
        return RequestJson(
            files={key: str(path) for key, path in self.files.items()},
            session=self.session.as_json(),
            protocol=self.protocol.as_json(),
            calibrations={name: value.as_json() for name, value in self.calibrations.items()},
            references={name: str(path) for name, path in self.references.items()},
        )

    @classmethod
    def from_json(
        cls,
        *,
        files: Mapping[str, str],
        session: SessionJson,
        protocol: ProtocolJson,
        calibrations: Mapping[str, CalibrationJson],
        references: Mapping[str, str],
    ) -> Self:
        """The request with these fields, which :meth:`as_json` wrote."""
        return cls(
            files={key: Path(path) for key, path in files.items()},
            session=Session(**session),
            protocol=Protocol(**protocol),
            calibrations={name: Calibration(**entry) for name, entry in calibrations.items()},
            references={name: Path(path) for name, path in references.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One timing for each file in the order of the request, the calibrations used, and the cores it ran on.

    ``extras`` holds further metrics of each file, in the same order.
    """

    timings: list[Timing]
    calibrations: dict[str, Calibration]
    cores: tuple[int, ...]
    extras: list[dict[str, Extra]] = field(default_factory=list)

    def as_json(self) -> RunJson:
        """What :meth:`from_json` reads back."""
        return RunJson(
            timings=[timing.as_json() for timing in self.timings],
            calibrations={name: value.as_json() for name, value in self.calibrations.items()},
            cores=list(self.cores),
            extras=self.extras,
        )

    @classmethod
    def from_json(
        cls,
        *,
        timings: Sequence[TimingJson],
        calibrations: Mapping[str, CalibrationJson],
        cores: Sequence[int],
        extras: list[dict[str, Extra]],
    ) -> Self:
        """The result with these fields, which :meth:`as_json` wrote."""
        return cls(
            timings=[Timing(**entry) for entry in timings],
            calibrations={name: Calibration(**entry) for name, entry in calibrations.items()},
            cores=tuple(cores),
            extras=extras,
        )


def measure_here(request: Request, progress: StepProgress | None = None) -> Run:
    """Measure in this process: the calling thread is pinned meanwhile, and garbage collection off.

    A file that cannot be read or run gives a timing with verdict ``unsupported``; the rest goes on.

    Raises:
        MeasureError: calibrations of other reference nets, or another run on this machine does not end.
    """
    contents = _reference_nets(request.references)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    _check_calibrations(request.calibrations, hashes)
    lock = machine_lock(LOCK_TIMEOUT_S, _waiting(progress))
    with lock, pinned(request.session.cores) as cores, _no_garbage_collection():
        # Reference nets are files of batch 1, whatever the batch of the measured nets.
        single = replace(request.session, batch=1)
        references: dict[str, Block] = {
            name: OnnxBlock(content, single) for name, content in contents.items()
        }
        calibrations = dict(request.calibrations)
        if not calibrations:
            calibrations = calibrate(references, hashes, request.protocol, _named("calibrate", progress))
        nets, failed = _open(request)
        timings = {timing.key: timing for timing in failed}
        if nets:
            blocks: dict[str, Block] = {key: block for key, (_, block) in nets.items()}
            report = _named("measure", progress)
            for timing in time_interleaved(blocks, references, calibrations, request.protocol, report):
                timings[timing.key] = _with_hash(timing, nets[timing.key][0])
    return Run(timings=[timings[key] for key in request.files], calibrations=calibrations, cores=cores)


def _reference_nets(files: Mapping[str, Path]) -> dict[str, bytes]:
    """The reference nets, the one that anchors the calibration first; made here if there are no files."""
    if files and set(files) != set(SIZES):
        raise MeasureError(f"reference nets must be {', '.join(SIZES)}, got {', '.join(files)}")
    return {name: files[name].read_bytes() if files else reference_net(name) for name in SIZES}


def _check_calibrations(calibrations: Mapping[str, Calibration], expected: Mapping[str, str]) -> None:
    if not calibrations:
        return
    got = {name: calibration.sha256 for name, calibration in calibrations.items()}
    if got != expected:
        raise MeasureError(
            f"calibrations must be of the reference nets {expected}, got {got}; calibrate the target again"
        )


def _open(request: Request) -> tuple[dict[str, tuple[str, OnnxBlock]], list[Timing]]:
    """Hash and open every file: ``(key -> (sha256, block), what cannot be run)``."""
    nets: dict[str, tuple[str, OnnxBlock]] = {}
    failed: list[Timing] = []
    for key, path in request.files.items():
        sha256 = ""
        try:
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            nets[key] = (sha256, OnnxBlock(path, request.session))
        except Exception as error:  # the runtime has a dozen unrelated exception classes
            failed.append(Timing(key, "unsupported", sha256=sha256, error=f"{type(error).__name__}: {error}"))
    return nets, failed


def _with_hash(timing: Timing, sha256: str) -> Timing:
    return replace(timing, sha256=sha256)


def _named(step: str, progress: StepProgress | None) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(step, done, total)


def _waiting(progress: StepProgress | None) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda seconds: progress(WAIT, seconds, int(LOCK_TIMEOUT_S))


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def measure_in_child(
    request: Request, progress: StepProgress | None = None, timeout_s: float = 3600.0
) -> Run:
    """Measure in a child process, which ends with this call, however the call ends.

    ``timeout_s`` bounds the time between two rounds.

    Raises:
        MeasuringDiedError: the child ended without an answer, as when the runtime crashes on a net.
        MeasureError: the child failed, or a round took longer than ``timeout_s`` seconds.
    """
    with measuring_errors("the measuring run"):
        return Run.from_json(**call(_measure, request.as_json(), progress, timeout_s=timeout_s))


def _measure(request: RequestJson, progress: StepProgress) -> RunJson:
    return measure_here(Request.from_json(**request), progress).as_json()
