"""Files in the layout of the released once-for-all supernets, with generated weights."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def _uniform(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.random(shape, dtype=np.float32) - np.float32(0.5)


def generated(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A tensor for each name, from a seed that is the name: the same wherever it is made."""
    return {name: torch.from_numpy(_tensor(name, shape)) for name, shape in shapes.items()}


def _tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    u = _uniform(zlib.crc32(name.encode()), shape)
    if name.endswith("running_var") or (len(shape) == 1 and "bn" in name and name.endswith("weight")):
        return 1 + u
    if name.endswith("_matrix"):
        return (np.eye(shape[0], dtype=np.float32) + np.float32(0.2) * u).astype(np.float32)
    if len(shape) == 1:
        return np.float32(0.2) * u
    return u * np.float32((12 * 2 / np.prod(shape[1:])) ** 0.5)


def images(resolution: int, seed: int) -> Tensor:
    """Two images ``(2, 3, r, r)``."""
    return torch.from_numpy(_uniform(seed, (2, 3, resolution, resolution)) * np.float32(4))


def older_spelling(name: str) -> str:
    """How files of 2019 name a parameter."""
    for block in (".conv.inverted_bottleneck", ".conv.depth_conv", ".conv.point_linear"):
        name = name.replace(block, ".mobile_inverted_conv" + block.removeprefix(".conv"))
    return name.replace(".bn.bn.", ".bn.").replace("linear.linear.", "linear.")


def save(path: Path, state: Mapping[str, Tensor], *, wrapped: bool = True) -> Path:
    """Write the file that torch writes."""
    torch.save({"state_dict": dict(state)} if wrapped else dict(state), path)
    return path
