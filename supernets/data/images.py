"""Image files to uint8 tensors of one size."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from supernets.errors import DataError

MAX_PIXELS = 50_000_000
"""A larger picture is refused before it is decoded: a small file can name a huge one."""
MAX_BYTES = 8 * 1024**3
"""The largest uint8 tensor that is made of a data set."""
DEFAULT_RESOLUTION = 224
GREY_MODES = ("1", "L", "I", "I;16", "F")


def opened(source: bytes | Path, label: str) -> Image.Image:
    """An image of bytes or a path, header read only; ``label`` names it in errors."""
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except UnidentifiedImageError as error:
        raise DataError(
            f"every file must be an image that can be read, but {label} has no known image format"
        ) from error
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"every file must be an image that can be read, but {label}: {error}") from error
    image.filename = label  # by which a damaged one is named when its pixels are decoded
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise DataError(
            f"an image may have {MAX_PIXELS:,} pixels, but {label} has {image.width}x{image.height}"
        )
    return image


def common_form(
    images: Sequence[Image.Image], resolution: int | None, channels: int | None
) -> tuple[int, int]:
    """Resolution and channels of a data set: what was asked for, otherwise what the images have.

    Without a resolution: the shorter side, if all have the same, otherwise 224. Without channels: all must
    be grey or all colour.
    """
    if channels is None:
        found = {1 if image.mode in GREY_MODES else 3 for image in images}
        if len(found) != 1:
            raise DataError(
                "all images must have the same number of channels, but some are grey and some colour; "
                "give channels=1 or channels=3 to convert them"
            )
        channels = found.pop()
    if resolution is None:
        sides = {min(image.size) for image in images}
        resolution = sides.pop() if len(sides) == 1 else DEFAULT_RESOLUTION
    return resolution, channels


def stack(images: Iterable[Image.Image], n: int, resolution: int | None, channels: int) -> Tensor:
    """``n`` images as ``(n, channels, r, r) uint8``: shorter side to ``r`` (bilinear), centre cropped.

    Without a resolution every image must already be square and of the first one's size.
    """
    out: NDArray[np.uint8] | None = None
    for index, image in enumerate(images):
        pixels = _pixels(image, resolution, channels)
        if out is None:
            if n * pixels.nbytes > MAX_BYTES:
                raise DataError(
                    f"a data set may take {MAX_BYTES:,} bytes as uint8, but {n} images of {pixels.shape} "
                    f"take {n * pixels.nbytes:,}; choose a smaller resolution"
                )
            out = np.empty((n, *pixels.shape), dtype=np.uint8)
        if pixels.shape != out.shape[1:]:
            raise DataError(
                f"all images must be square and of equal size unless a resolution is given, but image "
                f"{index} is {image.width}x{image.height}"
            )
        out[index] = pixels
    if out is None:
        raise DataError("a split needs images, but got none")
    return torch.from_numpy(out)


def _pixels(image: Image.Image, resolution: int | None, channels: int) -> NDArray[np.uint8]:
    """``(channels, r, r) uint8`` of one image, upright."""
    try:
        upright = ImageOps.exif_transpose(image) or image
        plain = upright.convert("L" if channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(
            f"every file must be an image that can be read, but "
            f"{getattr(image, 'filename', '') or 'one'} is damaged: {error}"
        ) from error
    if resolution is not None and plain.size != (resolution, resolution):
        plain = ImageOps.fit(plain, (resolution, resolution), Image.Resampling.BILINEAR)
    pixels = np.asarray(plain, dtype=np.uint8)
    if pixels.shape[0] != pixels.shape[1]:
        raise DataError(
            f"all images must be square unless a resolution is given, but one is {plain.width}x{plain.height}"
        )
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def resized(images: Tensor, resolution: int | None) -> Tensor:
    """``(n, c, h, w) uint8`` at another resolution (bilinear, antialiased); the same tensor if it has it."""
    if resolution is None or images.shape[2:] == (resolution, resolution):
        return images
    parts = [
        F.interpolate(
            part.to(torch.float32),
            size=(resolution, resolution),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        .round_()
        .clamp_(0, 255)
        .to(torch.uint8)
        for part in torch.split(images, 2048)
    ]
    return torch.cat(parts)
