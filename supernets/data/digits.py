"""scikit-learn's 1,797 handwritten digits, 8x8: real images that need no download."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from supernets.data.dataset import carve
from supernets.data.facts import Facts
from supernets.data.load import Piles, Request

CLASSES = tuple("0123456789")
RESOLUTION = 32


def load(request: Request) -> Piles:
    """Grey images, upscaled to 32x32 unless asked otherwise; train 1,077, validation 360, test 360."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    side = request.resolution or RESOLUTION
    # 0..16 per pixel; to 32x32 every weight is a multiple of 1/64, so the result is the same on every machine
    values = torch.from_numpy(bunch.images).to(torch.float32).unsqueeze(1)
    values = F.interpolate(values, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    images = (values * (255 / 16)).round().clamp(0, 255).to(torch.uint8)
    labels = torch.from_numpy(bunch.target).to(torch.int64)
    splits = carve(images, labels, {"validation": 360, "test": 360}, request.seed)
    return Piles(CLASSES, {name: (part.images, part.labels) for name, part in splits.items()})


def facts(request: Request) -> Facts:
    """They never change."""
    return Facts(request.name, CLASSES, 1, request.resolution or RESOLUTION, train=1077, held=1797)
