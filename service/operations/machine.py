"""Checks of this machine: Python and its packages, runtimes, processors."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator

from packaging.requirements import Requirement

from service.operations.findings import Finding, Place, error, ok, warning
from service.version import VERSION

SHOWN = ("torch", "onnxruntime", "sqlalchemy", "fastapi")
OLDEST_PYTHON = (3, 11)


def packages(_: Place) -> Iterator[Finding]:
    """Whether Python and the server's packages have the versions that Netwright needs."""
    python = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        yield error("packages", f"Python is {python}, 3.11 or newer is needed", "install Python 3.11")
    wrong = [words for words in map(_fault, _requirements()) if words]
    if wrong:
        yield error("packages", "; ".join(wrong), "pip install 'netwright[server]' in this environment")
        return
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in SHOWN)
    yield ok("packages", f"Netwright {VERSION}, Python {python}, {versions}")


def _requirements() -> list[Requirement]:
    """What the package asks for with its server, for this Python and system."""
    found = [Requirement(text) for text in importlib.metadata.requires("netwright") or ()]
    return [each for each in found if each.marker is None or each.marker.evaluate({"extra": "server"})]


def _fault(requirement: Requirement) -> str | None:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed, {requirement.specifier or 'any version'} is needed"
    if requirement.specifier.contains(version, prereleases=True):
        return None
    return f"{requirement.name} is {version}, {requirement.specifier} is needed"


def runtime(place: Place) -> Iterator[Finding]:
    """Which execution providers ONNX Runtime has, and whether trainings find the device of the settings."""
    import onnxruntime
    import torch

    providers = onnxruntime.get_available_providers()
    if "CPUExecutionProvider" not in providers:
        yield error(
            "runtime",
            f"ONNX Runtime has no CPU provider, only {', '.join(providers) or 'none'}",
            "pip install onnxruntime",
        )
    else:
        yield ok("runtime", f"ONNX Runtime {onnxruntime.__version__} with {', '.join(providers)}")
    requested, gpu = place.settings.device, torch.cuda.is_available()
    if requested == "cuda" and not gpu:
        yield error(
            "runtime",
            "NETWRIGHT_DEVICE is cuda, but torch finds no GPU",
            "install a torch with GPU libraries, or NETWRIGHT_DEVICE=auto",
        )
    else:
        yield ok("runtime", f"trainings run on {torch.cuda.get_device_name() if gpu else 'the CPU'}")


def threads(place: Place) -> Iterator[Finding]:
    """Whether jobs use more threads than this process may run at once."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    used = place.settings.threads
    if used > cores:
        yield warning(
            "threads",
            f"NETWRIGHT_THREADS is {used}, this machine has {cores}: jobs slow each other down",
            f"NETWRIGHT_THREADS={cores} or less",
        )
    else:
        yield ok("threads", f"{used} of {cores}")
