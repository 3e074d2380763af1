"""The one protocol for ``latency_ms``: what is timed in which order, and what is made of it.

A core of a shared machine is assigned to other processes in between, and flips between two speeds, 1.5-2x apart,
within milliseconds to minutes. ``latency_ms`` is the *uncontended* latency: time that other processes had the core
does not count (:data:`Block`); the 10th percentile of the minima of a net's blocks over shuffled rounds is divided by
the same of the adjacent blocks of a reference net, which saw the same machine; that times the reference's calibrated
latency. Not the lowest minima: the clock that leaves out other processes now and then counts an inference short, by
half for nets of some microseconds. ``python -m benchmarks.measuring`` compares this with other statistics.

Nothing here depends on a runtime: a :data:`Block` is anything that runs a net for some time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from predictors.errors import MeasureError, ProtocolError

PROTOCOL_VERSION = 3
LOW = 0.1
STATISTIC = "10th percentile of block minima / that of adjacent reference blocks, x calibration"
RESAMPLES = 200
PATIENCE = 3  # times ``rounds_max``: how long a net is measured whose latency would be refused
NEAR = 1.10
CONTENDED_BELOW = 0.10

Verdict = Literal["good", "noisy", "contended", "refused", "unsupported"]
Block = Callable[[float], NDArray[np.float64]]
"""Runs a net for about this many ms and returns the latency (ms) of every inference ``(k,)``, k >= 3; or ``(2, k)``,
the same and beneath it latency without the time that other processes had the core."""
Progress = Callable[[int, int], None]
"""Called with ``done, total`` after every round; the total falls when standard errors are small enough early."""


class ProtocolJson(TypedDict):
    """The fields of a :class:`Protocol`."""

    rounds_min: int
    rounds_max: int
    block_ms: float
    enough_error: float
    refuse_error: float
    calibration_rounds: int
    seed: int


class CalibrationJson(TypedDict):
    """The fields of a :class:`Calibration`."""

    name: str
    sha256: str
    latency_ms: float
    rounds: int


class ReferenceUse(TypedDict, total=False):
    """The reference net of a timing, and how the machine ran it meanwhile; empty where nothing was timed."""

    name: str
    sha256: str
    calibrated_ms: float
    near_share: float
    drift: float


class TimingJson(TypedDict):
    """The fields of a :class:`Timing`."""

    key: str
    verdict: Verdict
    latency_ms: float | None
    standard_error_ms: float | None
    rounds: int
    raw_ms: dict[str, float]
    raw_n: int
    reference: ReferenceUse
    sha256: str
    statistic: str
    protocol_version: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How often and how long is timed. Standard errors are relative (0.01 = 1 %)."""

    rounds_min: int = 20
    rounds_max: int = 60
    block_ms: float = 15.0
    enough_error: float = 0.01
    refuse_error: float = 0.05
    calibration_rounds: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed, good in (
            ("rounds_min", "at least 20", self.rounds_min >= 20),
            ("rounds_max", "from rounds_min to 1000", self.rounds_min <= self.rounds_max <= 1000),
            ("block_ms", "from 1 to 1000 ms", 1 <= self.block_ms <= 1000),
            ("enough_error", "above 0 and at most refuse_error", 0 < self.enough_error <= self.refuse_error),
            ("refuse_error", "at most 0.05", self.refuse_error <= 0.05),
            ("calibration_rounds", "from 20 to 1000", 20 <= self.calibration_rounds <= 1000),
        ):
            if not good:
                raise ProtocolError(f"{name} must be {allowed}, got {getattr(self, name)}")

    def as_json(self) -> ProtocolJson:
        """Every field; ``Protocol(**value)`` reads it back."""
        return ProtocolJson(
            rounds_min=self.rounds_min,
            rounds_max=self.rounds_max,
            block_ms=self.block_ms,
            enough_error=self.enough_error,
            refuse_error=self.refuse_error,
            calibration_rounds=self.calibration_rounds,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """The uncontended latency of a reference net on one target; all latencies of the target scale with it."""

    name: str
    sha256: str
    latency_ms: float
    rounds: int

    def as_json(self) -> CalibrationJson:
        """Every field; ``Calibration(**value)`` reads it back."""
        return CalibrationJson(
            name=self.name, sha256=self.sha256, latency_ms=self.latency_ms, rounds=self.rounds
        )


@dataclass(frozen=True, slots=True)
class Timing:
    """The latency of one net on one target.

    ``latency_ms`` is None with the verdicts ``refused`` (standard error over 5 %) and ``unsupported``
    (``error`` is the reason). ``standard_error_ms`` is that of ``latency_ms``; ``raw_ms`` holds min, p50 and
    p90 of all single inferences, uncorrected. ``reference`` holds name, sha256 and calibration of the
    reference net, the share of its blocks within 10 % of the calibration (``near_share``) and its 10th
    percentile over the calibration (``drift``: 1 when undisturbed).
    """

    key: str
    verdict: Verdict
    latency_ms: float | None = None
    standard_error_ms: float | None = None
    rounds: int = 0
    raw_ms: dict[str, float] = field(default_factory=dict)
    raw_n: int = 0
    reference: ReferenceUse = field(default_factory=lambda: ReferenceUse())
    sha256: str = ""
    statistic: str = STATISTIC
    protocol_version: int = PROTOCOL_VERSION
    error: str | None = None

    @property
    def usable(self) -> bool:
        """Whether there is a latency."""
        return self.latency_ms is not None

    def as_json(self) -> TimingJson:
        """Every field; ``Timing(**value)`` reads it back."""
        return TimingJson(
            key=self.key,
            verdict=self.verdict,
            latency_ms=self.latency_ms,
            standard_error_ms=self.standard_error_ms,
            rounds=self.rounds,
            raw_ms=dict(self.raw_ms),
            raw_n=self.raw_n,
            reference=self.reference.copy(),
            sha256=self.sha256,
            statistic=self.statistic,
            protocol_version=self.protocol_version,
            error=self.error,
        )


class Extra(TypedDict):
    """The value of another metric of a net, in the metric's unit, with its standard error."""

    value: float
    spread: float
    n: int
    statistic: str


@dataclass(slots=True)
class _Record:
    """Blocks of one net so far."""

    key: str
    reference: str
    minima: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    samples: list[NDArray[np.float64]] = field(default_factory=list)

    def error(self) -> float:
        return relative_error(np.array(self.minima), np.array(self.beside))


def low(minima: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quantile :data:`LOW` of ``minima (..., n)``: two of 20 may be lower for whatever reason."""
    return np.asarray(np.quantile(minima, LOW, axis=-1))


def relative_error(minima: NDArray[np.float64], beside: NDArray[np.float64]) -> float:
    """Standard error of ``low(minima) / low(beside)`` of the same ``n`` rounds, relative to it.

    From :data:`RESAMPLES` drawings of the rounds with replacement (Efron's bootstrap), the same ones in every call.
    """
    n = len(minima)
    if n < 2:
        return float("inf")
    drawn = np.random.default_rng(n).integers(0, n, (RESAMPLES, n))
    return float(np.log(low(minima[drawn]) / low(beside[drawn])).std())


def fastest(samples: NDArray[np.float64]) -> float:
    """The fastest inference of a block, without the time that other processes had the core, where that can be read."""
    return float(np.atleast_2d(samples)[-1].min())


def nearest_reference(latency_ms: float, calibrations: Mapping[str, Calibration]) -> str:
    """Name of the reference whose latency is nearest in proportion."""
    return min(calibrations, key=lambda name: abs(np.log(calibrations[name].latency_ms / latency_ms)))


def time_interleaved(
    nets: Mapping[str, Block],
    references: Mapping[str, Block],
    calibrations: Mapping[str, Calibration],
    protocol: Protocol,
    progress: Progress | None = None,
) -> list[Timing]:
    """Time all nets in one interleaved run; one :class:`Timing` a net, in the order of the argument.

    Every round visits every net that is not yet known to ``enough_error``, in a fresh order, as
    net - reference - net, so that each block has a block of its reference beside it. After ``rounds_max``
    rounds it goes on with the nets only whose latency would be refused, for :data:`PATIENCE` times as many at
    the latest: on a busy machine, more rounds are often enough.
    """
    if set(references) != set(calibrations) or not references:
        raise MeasureError(
            f"every reference needs a calibration, got {set(references)} and {set(calibrations)}"
        )
    rng = np.random.default_rng(protocol.seed)
    records = [_pilot(key, block, calibrations, protocol) for key, block in nets.items()]
    blocks_of: dict[str, list[float]] = {name: [] for name in references}
    open_records = records
    for done in range(1, PATIENCE * protocol.rounds_max + 1):
        for group in _round(open_records, rng):
            _time_group(group, nets, references, blocks_of, protocol)
        if done >= protocol.rounds_min:
            allowed = protocol.enough_error if done < protocol.rounds_max else protocol.refuse_error
            open_records = [record for record in open_records if record.error() > allowed]
        if progress is not None:
            progress(done, _expected_rounds(done, protocol) if open_records else done)
        if not open_records:
            break
    return [_timing(record, blocks_of, calibrations, protocol) for record in records]


def _expected_rounds(done: int, protocol: Protocol) -> int:
    """How many rounds a run has that is not finished after ``done``."""
    limits = (protocol.rounds_min, protocol.rounds_max, PATIENCE * protocol.rounds_max)
    return next(limit for limit in limits if done < limit or limit == limits[-1])


def _pilot(key: str, block: Block, calibrations: Mapping[str, Calibration], protocol: Protocol) -> _Record:
    """Warm the net up and choose the reference of similar size."""
    return _Record(key, nearest_reference(fastest(block(protocol.block_ms)), calibrations))


def _round(records: Sequence[_Record], rng: np.random.Generator) -> Iterator[list[_Record]]:
    """Pairs of nets with the same reference, in a fresh order."""
    groups: list[list[_Record]] = []
    for name in sorted({record.reference for record in records}):
        alike = [record for record in records if record.reference == name]
        order = rng.permutation(len(alike))
        groups += [[alike[i] for i in order[start : start + 2]] for start in range(0, len(alike), 2)]
    for index in rng.permutation(len(groups)):
        yield groups[index]


def _time_group(
    group: list[_Record],
    nets: Mapping[str, Block],
    references: Mapping[str, Block],
    blocks_of: dict[str, list[float]],
    protocol: Protocol,
) -> None:
    """Time net - reference - net and note the ratios."""
    name = group[0].reference
    before = nets[group[0].key](protocol.block_ms)
    # A slow net's block is longer than block_ms: give the reference the same time to find a good moment.
    reference = fastest(references[name](max(protocol.block_ms, float(np.atleast_2d(before)[0].sum()))))
    blocks_of[name].append(reference)
    timed = [before] + [nets[record.key](protocol.block_ms) for record in group[1:]]
    for record, samples in zip(group, timed, strict=True):
        record.samples.append(np.atleast_2d(samples)[0])
        record.minima.append(fastest(samples))
        record.beside.append(reference)


def _timing(
    record: _Record,
    blocks_of: Mapping[str, list[float]],
    calibrations: Mapping[str, Calibration],
    protocol: Protocol,
) -> Timing:
    calibration = calibrations[record.reference]
    blocks = np.array(blocks_of[record.reference]) / calibration.latency_ms
    near_share = float((blocks <= NEAR).mean())
    error = record.error()
    ratio = low(np.array(record.minima)) / low(np.array(record.beside))
    latency = float(ratio) * calibration.latency_ms
    samples = np.concatenate(record.samples)
    first, middle, late = np.quantile(samples, [0.0, 0.5, 0.9])
    refused = error > protocol.refuse_error
    return Timing(
        key=record.key,
        verdict=_verdict(error, near_share, protocol),
        latency_ms=None if refused else latency,
        standard_error_ms=error * latency,
        rounds=len(record.minima),
        raw_ms={"min": float(first), "p50": float(middle), "p90": float(late)},
        raw_n=len(samples),
        reference={
            "name": calibration.name,
            "sha256": calibration.sha256,
            "calibrated_ms": calibration.latency_ms,
            "near_share": near_share,
            "drift": float(low(blocks)),
        },
        error=f"standard error must be at most {100 * protocol.refuse_error:g}%, got {error:.1%}"
        if refused
        else None,
    )


def _verdict(error: float, near_share: float, protocol: Protocol) -> Verdict:
    if error > protocol.refuse_error:
        return "refused"
    if near_share < CONTENDED_BELOW:
        return "contended"
    return "good" if error <= protocol.enough_error else "noisy"


def calibrate(
    references: Mapping[str, Block],
    sha256: Mapping[str, str],
    protocol: Protocol,
    progress: Progress | None = None,
) -> dict[str, Calibration]:
    """The uncontended latencies of all reference nets, from one interleaved run.

    Each gets the 10th percentile of its block minima: a speed that the machine really reaches, but no lucky block.
    So a net comes out the same whichever reference it is held against.
    """
    rng = np.random.default_rng(protocol.seed)
    names = list(references)
    minima = np.zeros((protocol.calibration_rounds, len(names)))
    for block in references.values():
        block(protocol.block_ms)
    for done in range(protocol.calibration_rounds):
        for column in rng.permutation(len(names)):
            minima[done, column] = fastest(references[names[column]](protocol.block_ms))
        if progress is not None:
            progress(done + 1, protocol.calibration_rounds)
    latency = low(minima.T)
    return {
        name: Calibration(name, sha256[name], float(value), protocol.calibration_rounds)
        for name, value in zip(names, latency, strict=True)
    }
