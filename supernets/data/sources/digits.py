"""scikit-learn's 1,797 handwritten digits, 8x8: real images that need no download."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from supernets.data.dataset import carve
from supernets.data.source import OfficialSource


class Digits(OfficialSource):
    """Grey images, upscaled to 32x32 unless asked otherwise; train 1,077, validation 360, test 360."""

    classes = tuple("0123456789")
    channels = 1
    resolution = 32
    sizes = {"train": 1077, "validation": 360, "test": 360}

    def piles(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Cut by seed: there are no official splits."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        side = self.spec.resolution or self.resolution
        # 0..16 per pixel; to 32x32 every weight is a multiple of 1/64, so the result is the same on every machine
        values = torch.from_numpy(bunch.images).to(torch.float32).unsqueeze(1)
        values = F.interpolate(
            values, size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
        images = (values * (255 / 16)).round().clamp(0, 255).to(torch.uint8)
        labels = torch.from_numpy(bunch.target).to(torch.int64)
        splits = carve(images, labels, {"validation": 360, "test": 360}, self.seed)
        return {name: (part.images, part.labels) for name, part in splits.items()}
