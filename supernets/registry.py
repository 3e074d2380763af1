"""The one dispatch style: a literal table from a name to ``"module:attribute"``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from supernets.errors import UnknownNameError


class Registry(Mapping[str, str]):
    """Names of one kind of variant and where each is defined; importing happens in :meth:`load` only."""

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> str:
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, tuple(self._entries))
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def load(self, name: str) -> Any:
        """Import and return what is registered under ``name``; an unknown name lists the choices."""
        module, _, attribute = self[name].partition(":")
        return getattr(import_module(module), attribute)
