"""This machine and its runtime, as the description of a target holds them."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
DOT_PRODUCTS = {"avx512_vnni", "avx_vnni", "asimddp"}
"""Flags of processors with an instruction for sums of products of 8-bit integers: VNNI on x86, its like on ARM."""
MAX_CLOCK = Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")


def describe_device() -> dict[str, object]:
    """Properties that stay the same while this is the same machine; ``max_mhz`` is None where it is unknown."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 1,
        "max_mhz": max_mhz(),
        "memory_gb": memory_gb(),
        "architecture": platform.machine(),
        "system": platform.system(),
    }


def describe_runtime() -> dict[str, object]:
    """Name, version and execution providers of the runtime."""
    import onnxruntime

    return {
        "name": "onnxruntime",
        "version": onnxruntime.__version__,
        "providers": onnxruntime.get_available_providers(),
    }


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """The CPU's model name, or the platform's name for it."""
    try:
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def has_dot_products() -> bool | None:
    """Whether the CPU has an instruction that makes 8-bit integers fast; None where it is unknown."""
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        return None
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), None)
    return None if flags is None else not DOT_PRODUCTS.isdisjoint(flags.split())


def max_mhz() -> int | None:
    """The highest clock of the first core in MHz, None where it is unknown."""
    try:
        return round(int(MAX_CLOCK.read_text()) / 1000)
    except (OSError, ValueError):
        return None


def memory_gb() -> int | None:
    """Main memory in whole GB (10^9 bytes), None where it is unknown."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    except (AttributeError, ValueError, OSError):
        return None
