"""A device that is another machine: an agent on it takes nets from the service, measures them and returns rows."""

from __future__ import annotations

from typing import ClassVar

from predictors.targets.cpu import CpuTarget
from predictors.targets.target import MeasuredBy


class AgentTarget(CpuTarget):
    """Latency on the machine where the agent runs, by the same code as on the worker's own machine.

    An object of this class exists on the device only; the service stores the description that the agent sends.
    """

    kind: ClassVar[str] = "agent"
    measured_by: ClassVar[MeasuredBy] = "agent"
