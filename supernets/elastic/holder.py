"""Modules under the names that checkpoints use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn


class Holder(nn.Module):
    """Gives its children the names under which checkpoints store them."""

    def __init__(self, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
