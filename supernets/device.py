"""The device of a training: this machine's CPU or a GPU, and what both promise."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from supernets.errors import TrainingError, nearest

DEVICES = ("auto", "cpu", "cuda")


def choose(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is a GPU where PyTorch sees one, or else the CPU.

    Raises ``TrainingError`` for another word, and for ``cuda`` where there is no GPU.
    """
    if name not in DEVICES:
        raise TrainingError(
            f"device must be one of {', '.join(DEVICES)}, got {name!r}{nearest(name, DEVICES)}"
        )
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise TrainingError(
            f"device 'cuda' must be there, but torch {torch.__version__} sees no GPU; choose cpu, or install a build "
            f"of torch for your GPU"
        )
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def described(device: torch.device) -> str:
    """``cpu``, or the name of the GPU."""
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


@contextlib.contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Make a GPU behave as a CPU does: the same step gives the same bits, and fp32 means fp32.

    Convolutions take deterministic algorithms and no shortened mantissas (TF32). The nets here are small: launching
    their kernels takes longer than running them, so that neither costs time.
    """
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
