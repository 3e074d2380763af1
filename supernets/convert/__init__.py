"""Any torch network as a supernet: ``convert`` and its result."""

from supernets.convert.converted import AxisFound, Converted, convert, convert_program

__all__ = ["AxisFound", "Converted", "convert", "convert_program"]
