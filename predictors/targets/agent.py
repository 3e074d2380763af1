"""A device that is another machine: an agent on it takes work from the service and brings back rows."""

from __future__ import annotations

from typing import ClassVar

from predictors.targets.cpu import CpuTarget


class AgentTarget(CpuTarget):
    """Latency on the machine where the agent runs, by the same code as the worker's own machine.

    An object of this class exists on the device only; the service knows what the agent says of it.
    """

    kind = "agent"
    remote: ClassVar[bool] = True
