"""Tasks: functions of one typed input that run in a child process, report progress and return a typed output.

``def evaluate(request: EvaluateIn, progress: Progress) -> EvaluateOut`` is a task. Inputs and outputs are
:class:`StepData`: they cross a process and are recorded as JSON, and are validated when they are read back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar, Protocol, Self, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, JsonValue

from service.artifacts import full_disk_named
from service.settings import Settings

Rows = list[list[int]]
"""A population as JSON: one row of choice indices for each subnet."""


WAITED = "waited_s"
"""Among the metrics of a progress report: seconds for which the task has waited for a busy machine so far."""


class StepData(BaseModel):
    """Base of what steps take and return."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    NEEDS_LESS: ClassVar[str] = "a machine with more"
    """What needs less memory than a task with this input, or has more."""

    def smaller(self) -> tuple[Self, str]:
        """An input for the same output that needs less memory, and in words how the task runs with it.

        A new process is less in itself: it has none of the networks and data that the old one kept.
        """
        return self, "in a new process"

    def shares(self, workers: int) -> list[Self]:  # noqa: ARG002
        """This input in parts for this many workers, whose outputs are joined; none where it is not worth it."""
        return []

    @property
    def limit_s(self) -> float | None:
        """Seconds after which no further part is begun; None: each is."""
        return None

    def here(self, settings: Settings) -> Self:  # noqa: ARG002
        """This input for a child of another worker: with the folders of its machine."""
        return self

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The output for the whole input, of the outputs for its parts; of none, for a part that was not begun."""
        raise NotImplementedError(f"{cls.__name__} is the output of a task whose input has no parts")


In = TypeVar("In", bound=StepData)
Out = TypeVar("Out", bound=StepData)


class Progress(Protocol):
    """Reports how far a task is."""

    def __call__(
        self, done: int, total: int, message: str | None = None, metrics: Mapping[str, object] | None = None
    ) -> None:
        """Report ``done`` of ``total``, what is being done, and figures for the event stream."""


Task = Callable[[In, Progress], Out]


class Deadline:
    """After ``seconds`` of this process' own clock nothing new is started; None is never."""

    def __init__(self, seconds: float | None) -> None:
        self._began, self._seconds = time.monotonic(), seconds

    @property
    def passed(self) -> bool:
        """Whether nothing new may be started."""
        return self._seconds is not None and time.monotonic() - self._began >= self._seconds

    def excuse(self, waited_s: float) -> None:
        """Time of waiting for a busy machine does not count."""
        self._began += waited_s


def output_type(function: Callable[..., Out]) -> type[Out]:
    """The annotated return type of a task or of a function that writes rows."""
    found: type[Out] = get_type_hints(function)["return"]
    return found


def run_task(call: dict[str, Any], progress: Progress) -> JsonValue:
    """In the child: validate the input of ``call["task"]`` (``module:function``), run it, and dump its output."""
    module, _, name = call["task"].partition(":")
    function = getattr(import_module(module), name)
    hints = get_type_hints(function)
    request = hints[next(iter(hints))].model_validate(call["request"])
    with full_disk_named():
        output: JsonValue = function(request, progress).model_dump(mode="json")
    return output
