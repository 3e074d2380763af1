"""Errors of ``supernets``; every message states the rule, what was got, and the choices.

::

    SupernetError
    ├── UnknownNameError      a name that is not in a registry
    ├── SpaceError            a space that contradicts itself, or is too large to enumerate
    ├── ArchError             an arch outside its space
    ├── CheckpointError       weights that are truncated, foreign or do not match their manifest
    ├── DataError             a data set that is absent or does not fit
    ├── RecipeError           a recipe with unknown or contradictory parts
    ├── PlanError             a training request whose fields are missing, unknown or contradictory
    ├── TrainingError         training that went wrong (a loss that is not a number)
    ├── ConvertError          a network that cannot be made a supernet
    └── ExportError           an exported file that does not equal its network
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MAX_COMPARED = 200
"""Characters of a text that is compared with names."""


class SupernetError(Exception):
    """Base class of everything raised on purpose in this folder."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """The end of a message about an unknown name: the choice that is most like it, in any case, or nothing."""
    by_case = {choice.lower(): choice for choice in choices}
    near = get_close_matches(name[:MAX_COMPARED].lower(), by_case, 1)
    return f"; did you mean {by_case[near[0]]}?" if near else ""


class UnknownNameError(SupernetError, KeyError):
    """A name is not in its registry."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        self.kind, self.name, self.choices = kind, name, tuple(choices)
        listed = ", ".join(self.choices) or "none"
        super().__init__(f"unknown {kind} {name!r}; choices: {listed}{nearest(name, self.choices)}")

    def __str__(self) -> str:
        return str(self.args[0])


class SpaceError(SupernetError, ValueError):
    """A space contradicts itself, or is too large for the operation."""


class ArchError(SupernetError, ValueError):
    """An arch lies outside its space."""


class CheckpointError(SupernetError, ValueError):
    """Weights and manifest do not match, or a file is not of its declared kind."""


class DataError(SupernetError, ValueError):
    """A data set is absent or does not fit; ``code`` names the kind of fault."""

    def __init__(self, message: str, code: str = "data") -> None:
        self.code = code
        super().__init__(message)


class RecipeError(SupernetError, ValueError):
    """A recipe has unknown, missing or contradictory parts."""


class PlanError(SupernetError, ValueError):
    """A field of a training request is missing, unknown or does not fit the others."""

    def __init__(self, field: str, got: object, allowed: object, message: str) -> None:
        self.field, self.got, self.allowed = field, got, allowed
        choices = ", ".join(map(str, allowed)) if isinstance(allowed, list | tuple) else str(allowed)
        super().__init__(f"{field}: {message}; allowed: {choices}")


class TrainingError(SupernetError, RuntimeError):
    """Training failed or cannot start."""


class ConvertError(SupernetError, ValueError):
    """A network cannot be made a supernet, or a file with one cannot be read.

    ``field`` of a request is at fault; ``got`` and ``allowed`` are its value and what it may be, where that is short.
    """

    def __init__(self, message: str, field: str = "", got: object = None, allowed: object = None) -> None:
        super().__init__(message)
        self.field, self.got, self.allowed = field, got, allowed


class ExportError(SupernetError, RuntimeError):
    """An exported file is not equal to the network it came from."""
