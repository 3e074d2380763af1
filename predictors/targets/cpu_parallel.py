"""This machine's CPU with independent operators of a net running at the same time (ONNX Runtime's parallel mode)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from predictors.errors import ProtocolError
from predictors.measuring.runtime import Session
from predictors.targets.cpu import MAX_THREADS, CpuSettings, CpuTarget
from predictors.targets.target import TargetSettings


@dataclass(frozen=True, kw_only=True)
class ParallelSettings(CpuSettings):
    """As those of the CPU; ``operators`` of different branches run at the same time, each with ``threads``."""

    operators: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.operators <= MAX_THREADS:
            raise ProtocolError(f"operators must be from 2 to {MAX_THREADS}, got {self.operators}")

    def session(self) -> Session:
        """ONNX Runtime's parallel execution mode."""
        return Session(
            threads=self.threads, operators=self.operators, batch=self.batch, provider=self.provider
        )


class CpuParallelTarget(CpuTarget):
    """For nets with branches, where latency matters more than the cores that an inference takes."""

    kind: ClassVar[str] = "cpu_parallel"
    settings_type: ClassVar[type[TargetSettings]] = ParallelSettings
