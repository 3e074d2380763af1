"""JSON answers as the dataclasses of ``models.py``."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from functools import cache
from typing import TypeVar

from netwright.errors import NetwrightError

T = TypeVar("T")
Reader = Callable[[object], object]


def read(kind: type[T], answer: object) -> T:
    """An answer as ``kind``, a dataclass or a subclass of one. Fields that it does not declare are left out.

    Raises:
        NetwrightError: the answer is not an object, or lacks a required field; the server is of another version.
    """
    if not isinstance(answer, Mapping):
        raise NetwrightError(f"the server must answer with a JSON object, got {type(answer).__name__}")
    values: dict[str, object] = {}
    for attribute, name, required, reader in _fields(typing.cast("Hashable", kind)):
        if name in answer:
            value = answer[name]
            values[attribute] = value if value is None or reader is None else reader(value)
        elif required:
            raise NetwrightError(
                f"the server's answer has no {name!r}, which this client needs in a {kind.__name__}: "
                "client and server are of different versions"
            )
    return kind(**values)


@cache
def _fields(kind: Hashable) -> list[tuple[str, str, bool, Reader | None]]:
    """Attribute, name in JSON, whether it is required, and what reads its value (None: taken as it is)."""
    assert isinstance(kind, type)
    declared = next(base for base in kind.__mro__ if "__dataclass_params__" in vars(base))
    hints = typing.get_type_hints(declared)
    missing = dataclasses.MISSING
    return [
        (
            field.name,
            field.metadata.get("json", field.name),
            field.default is missing and field.default_factory is missing,
            _reader(hints[field.name]),
        )
        for field in dataclasses.fields(declared)
    ]


def _reader(hint: object) -> Reader | None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return lambda value: read(hint, value)
    if hint is datetime:
        return lambda value: datetime.fromisoformat(str(value))
    if origin in (typing.Union, types.UnionType):
        return next((reader for each in arguments if (reader := _reader(each)) is not None), None)
    inner = _reader(arguments[-1]) if origin in (list, dict) else None
    if inner is None:
        return None
    if origin is list:
        return lambda value: [inner(each) for each in typing.cast("list[object]", value)]
    return lambda value: {key: inner(each) for key, each in typing.cast("dict[str, object]", value).items()}
