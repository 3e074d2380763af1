"""From stored images to batches: order, augmentation, resizing and normalising."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from supernets.data.stored.order import mix, permutation
from supernets.errors import DataError

LUMINANCE = (0.299, 0.587, 0.114)


def prepare(images: Tensor, resolution: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """``(n, c, h, w) uint8`` to ``(n, c, r, r) float32``: scaled to 0..1, resized, normalised.

    The resize is bilinear with antialiasing; images that already have the size are not resampled at all.

    Raises:
        DataError: not uint8, or mean and std do not have one value per channel.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise DataError(f"images must be uint8 (n, c, h, w), but got {images.dtype} {tuple(images.shape)}")
    channels = images.shape[1]
    if len(mean) != channels or len(std) != channels or resolution < 1:
        raise DataError(
            f"mean and std need {channels} values and resolution >= 1 must hold, but got "
            f"{len(mean)}, {len(std)} and {resolution}"
        )
    pixels = images.to(torch.float32).div_(255.0)
    if pixels.shape[2:] != (resolution, resolution):
        pixels = F.interpolate(
            pixels, size=(resolution, resolution), mode="bilinear", align_corners=False, antialias=True
        )
    centre = pixels.new_tensor(mean).view(1, -1, 1, 1)
    scale = pixels.new_tensor(std).view(1, -1, 1, 1)
    return pixels.sub_(centre).div_(scale)


def augment(
    images: Tensor,
    generator: torch.Generator,
    pad: int = 0,
    flip: bool = False,
    *,
    of: int | None = None,
    part: slice = slice(None),
) -> Tensor:
    """Random crop after padding with black, and random horizontal flip, drawn for each image.

    Args:
        images: ``(n, c, h, w)`` of any dtype; meant for uint8, before :func:`prepare`, where 0 is black.
        generator: the only source of randomness; two draws of ``n`` for the crop, one for the flip.
        pad: pixels added on every side; the crop has the old size.
        flip: mirror each image with probability one half.
        of: size of the whole batch, of which ``images`` are ``part``: what is drawn is drawn for all of it.
        part: which images of the whole batch these are.

    Returns:
        ``(n, c, h, w)``, a new tensor, or ``images`` itself if nothing is to be done.
    """
    if pad < 0:
        raise DataError(f"pad >= 0 must hold, but got {pad}")
    if not pad and not flip:
        return images
    n, channels, height, width = images.shape
    of = n if of is None else of
    top, left = (torch.randint(0, 2 * pad + 1, (of, 1), generator=generator)[part] for _ in range(2))
    rows, columns = torch.arange(height) + top, torch.arange(width) + left
    if flip:
        mirrored = torch.rand((of, 1), generator=generator)[part] < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    padded = F.pad(images, (pad, pad, pad, pad))
    return padded[
        torch.arange(n).view(n, 1, 1, 1),
        torch.arange(channels).view(1, channels, 1, 1),
        rows.view(n, 1, height, 1),
        columns.view(n, 1, 1, width),
    ]


def distort(
    images: Tensor,
    generator: torch.Generator,
    crop: float = 1.0,
    colour: float = 0.0,
    grey: float = 0.0,
    *,
    largest: float = 1.0,
    of: int | None = None,
    part: slice = slice(None),
) -> Tensor:
    """Random crops resized to the whole image, other colours, and no colour, drawn for each image.

    Args:
        images: ``(n, c, h, w) uint8``.
        generator: the only source of randomness; draws of ``n``: four for the crop, three for colours, one for grey.
        crop: smallest share of the area that a crop has; its sides have a ratio from 3/4 to 4/3.
        colour: brightness, contrast and saturation are multiplied by numbers from ``1 - colour`` to ``1 + colour``.
        grey: probability with which an image becomes grey.
        largest: largest share of the area that a crop has, where ``crop`` is below 1.
        of: as of :func:`augment`.
        part: as of :func:`augment`.

    Returns:
        ``(n, c, h, w) uint8``, a new tensor, or ``images`` itself if nothing is to be done.
    """
    if crop >= 1 and not colour and not grey:
        return images
    of = len(images) if of is None else of

    def drawn(low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand((of, 1, 1, 1), generator=generator))[part]

    x = images.float()
    if crop < 1:
        area, ratio = drawn(crop, largest), drawn(math.log(3 / 4), math.log(4 / 3)).exp()
        width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
        left, top = drawn(-1, 1) * (1 - width), drawn(-1, 1) * (1 - height)
        zero = torch.zeros_like(width)
        places = torch.cat([width, zero, left, zero, height, top], 1).view(-1, 2, 3)
        grid = F.affine_grid(places, list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    if colour:
        x = x * drawn(1 - colour, 1 + colour)
        middle = _grey(x).mean((2, 3), keepdim=True)
        x = middle + (x - middle) * drawn(1 - colour, 1 + colour)
        without = _grey(x)
        x = without + (x - without) * drawn(1 - colour, 1 + colour)
    if grey:
        x = torch.where(drawn(0, 1) < grey, _grey(x), x)
    return x.round().clamp(0, 255).to(images.dtype)


def _grey(x: Tensor) -> Tensor:
    """Luminance ``(n, 1, h, w)`` of colour images (ITU-R BT.601), the mean of other channels."""
    if x.shape[1] != len(LUMINANCE):
        return x.mean(1, keepdim=True)
    return (x * torch.tensor(LUMINANCE).view(1, -1, 1, 1)).sum(1, keepdim=True)


@lru_cache(maxsize=2)
def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """The order ``(n,) int64`` in which epoch ``epoch`` visits ``n`` images; it depends on nothing else.

    The last two are cached, since every step of an epoch needs them: do not modify them.
    """
    return torch.from_numpy(permutation(n, seed, epoch))


def batch_indices(n: int, batch_size: int, seed: int, step: int) -> Tensor:
    """Which images global step ``step`` sees, ``(batch_size,) int64``; to resume takes nothing else.

    An epoch has ``n // batch_size`` full batches; the remainder differs from epoch to epoch.
    """
    if not 1 <= batch_size <= n:
        raise DataError(f"1 <= batch_size <= {n} must hold, but got {batch_size}")
    epoch, batch = divmod(step, n // batch_size)
    return epoch_order(n, seed, epoch)[batch * batch_size : (batch + 1) * batch_size]


def step_generator(seed: int, step: int) -> torch.Generator:
    """A generator for what step ``step`` draws (augmentation), independent of all other steps."""
    return torch.Generator().manual_seed(mix(seed, step))
