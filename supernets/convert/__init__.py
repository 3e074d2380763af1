"""Any torch network as a supernet: ``convert`` and its result.

The names are imported when they are used: the service reads records of this package without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supernets.convert.converted import AxisFound, Converted, convert, convert_program

__all__ = ["AxisFound", "Converted", "convert", "convert_program"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("supernets.convert.converted"), name)
