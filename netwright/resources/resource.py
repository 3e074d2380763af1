"""What every resource of the API shares on the client's side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netwright.connection import JSON


class Resource(Mapping[str, Any]):
    """One thing on the server: a read-only mapping of the fields that the server answered."""

    def __init__(self, data: JSON) -> None:
        self.data = data

    def __getitem__(self, field: str) -> Any:
        return self.data[field]

    def __iter__(self) -> Any:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    @property
    def id(self) -> str:
        """The server's name for it."""
        return str(self.data["id"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.data.get('id', '')!r})"
