"""Image files to uint8 tensors of one form: upright, grey or RGB, square, 8 bits a channel."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from supernets.data.dataset import BACKGROUND
from supernets.data.stored.examples import Cell
from supernets.data_facts.spec import MAX_RESOLUTION, DataSpec
from supernets.errors import DataError

MAX_PIXELS = 50_000_000
"""A larger picture is refused before it is decoded: a small file can declare a huge one."""
MAX_FILE_BYTES = 256 << 20
MAX_BYTES = 8 * 1024**3
"""The largest uint8 tensor that is made of a data set."""
READABLE = "every file must be an image that can be read, but "
DEFAULT_RESOLUTION = 224
DEEP_RANGES = (255, 1023, 4095, 16383, 65535)
"""White of integer images of 8, 10, 12, 14 and 16 bits."""
FILL = 8
"""A float image whose largest value is below an eighth of a usual white is not taken to have that white."""
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    MemoryError,
    OverflowError,
    Image.DecompressionBombError,
)
SUPPORTED = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are decoded; others of Pillow's are old, or run other programs (EPS)."""


@dataclass(frozen=True)
class Form:
    """What every image of a data set becomes.

    ``range``: values of images of more than 8 bits that become 0 and 255; None where there are none.
    """

    channels: int
    resolution: int
    fit: str = "crop"
    range: tuple[float, float] | None = None


@dataclass
class Survey:
    """Facts from the headers of images. ``modes``, ``sizes``: counts; ``deep``: grey cells whose values exceed 8 bits.

    ``deep_colour``: number of images with 16 bits in each of several channels, of which Pillow keeps the upper 8;
    ``top``: the largest value that is kept of them.
    """

    n: int = 0
    grey: int = 0
    animated: int = 0
    alpha: int = 0
    lost: float = 0.0
    modes: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    deep: Counter[str] = field(default_factory=Counter)
    deep_colour: int = 0
    top: int = 0
    low: float = np.inf
    high: float = -np.inf
    unreadable: list[str] = field(default_factory=list)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def colour(self) -> int:
        """Number of colour images."""
        return self.n - self.grey


def opened(cell: Cell) -> Image.Image:
    """An image, header read only."""
    name, content = cell
    rule = f"{READABLE}{name}"
    size = len(content) if isinstance(content, bytes) else _size(content, rule)
    if size > MAX_FILE_BYTES:
        raise DataError(
            f"an image may take {MAX_FILE_BYTES:,} bytes, but {name} takes {size:,}", "image_too_large"
        )
    try:
        source = io.BytesIO(content if isinstance(content, bytes) else content.read_bytes())
        image = Image.open(source, formats=SUPPORTED)
    except UnidentifiedImageError as error:
        raise DataError(f"{rule} has no supported image format", "unreadable_image") from error
    except Image.DecompressionBombError as error:
        raise DataError(
            f"an image may have {MAX_PIXELS:,} pixels, but {name}: {error}", "image_too_large"
        ) from error
    except UNREADABLE as error:
        raise DataError(f"{rule}: {error or type(error).__name__}", "unreadable_image") from error
    image.filename = name  # by which a damaged one is named when its pixels are decoded
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise DataError(
            f"an image may have {MAX_PIXELS:,} pixels, but {name} has {image.width}x{image.height}",
            "image_too_large",
        )
    return image


def _size(path: Path, rule: str) -> int:
    try:
        found = os.stat(path)
    except OSError as error:
        raise DataError(f"{rule}: {error.strerror}", "unreadable_image") from error
    return found.st_size


def is_deep(mode: str) -> bool:
    """Whether pixels of this mode have more than 8 bits."""
    return mode in ("I", "F") or mode.startswith("I;")


def is_grey(image: Image.Image) -> bool:
    """Whether an image has no colour by its mode or palette: ``L``, ``LA``, deep ones, a palette of greys."""
    if image.mode in ("P", "PA"):
        palette = np.asarray(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La") or is_deep(image.mode) or _stored(image).startswith("LA;")


def _stored(image: Image.Image) -> str:
    """The mode of the pixels in the file, such as ``RGB;16B``, of an image whose header alone was read."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return ""
    args = image.tile[0][3]
    mode = args[0] if isinstance(args, tuple) and args else args
    return mode if isinstance(mode, str) else ""


def is_deep_colour(image: Image.Image) -> bool:
    """Whether the file has 16 bits in each of several channels; of an image whose header alone was read."""
    return ";16" in _stored(image) and not is_deep(image.mode)


def has_alpha(image: Image.Image) -> bool:
    """Whether some pixels may be transparent."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def survey(cells: Iterable[Cell], spec: DataSpec, into: Survey | None = None) -> Survey:
    """Read the headers of images; those of more than 8 bits are decoded for their values if ``spec`` has no range."""
    found = into or Survey()
    for cell in cells:
        try:
            with opened(cell) as image:
                _count(found, image, cell.name, spec)
        except DataError as error:
            found.unreadable.append(str(error))
    return found


def _count(found: Survey, image: Image.Image, name: str, spec: DataSpec) -> None:
    if is_deep(image.mode):
        kind = "F" if image.mode == "F" else "I"
        found.deep[kind] += 1
        found.examples.setdefault(kind, name)
        if spec.range is None:
            values = _values(image, name)
            found.low, found.high = min(found.low, float(values.min())), max(found.high, float(values.max()))
    grey, mode = is_grey(image), image.mode
    if is_deep_colour(image):
        found.deep_colour += 1
        found.examples.setdefault("deep colour", name)
        mode = f"{mode};16"
        found.top = max(found.top, _largest(image, name))
    found.examples.setdefault("grey" if grey else "colour", name)
    found.grey += grey
    found.alpha += has_alpha(image)
    try:
        found.animated += bool(getattr(image, "is_animated", False))
    except UNREADABLE as error:
        raise _damaged(name, error) from error
    found.n += 1
    found.modes[mode] += 1
    found.sizes[image.size] += 1
    found.lost += 1 - min(image.size) / max(image.size)


def _largest(image: Image.Image, name: str) -> int:
    """The largest value of any channel, without alpha."""
    try:
        return int(np.asarray(image.convert("RGB")).max())
    except UNREADABLE as error:
        raise _damaged(name, error) from error


def common_form(found: Survey, spec: DataSpec) -> Form:
    """The form of a data set: that of its spec, otherwise that of the images.

    Without a resolution: the shorter side if all images have the same, at most ``MAX_RESOLUTION``, otherwise 224.
    """
    channels: int | None = spec.channels
    if channels is None:
        if found.grey and found.colour:
            raise DataError(
                f"all images must have the same number of channels, but {found.grey:,} are grey "
                f"(such as {found.examples['grey']}) and {found.colour:,} colour (such as {found.examples['colour']}); "
                f"add channels=1 or channels=3 to convert them: {_with(spec, channels=3)}",
                "mixed_channels",
            )
        channels = 3 if found.colour else 1
    resolution = spec.resolution
    if resolution is None:
        sides = {min(size) for size in found.sizes}
        side = sides.pop() if len(sides) == 1 else DEFAULT_RESOLUTION
        resolution = side if side <= MAX_RESOLUTION else DEFAULT_RESOLUTION
    return Form(channels, resolution, spec.fit, _range(found, spec))


def _with(spec: DataSpec, **changes: object) -> str:
    return str(spec.model_copy(update=changes))


def _range(found: Survey, spec: DataSpec) -> tuple[float, float] | None:
    """Values of deep images that become black and white, from the range of all of them."""
    if not found.deep or spec.range is not None:
        return spec.range
    if len(found.deep) > 1:
        raise DataError(
            f"images of more than 8 bits must all be integers or all floats, but {found.examples['I']} has integers "
            f"and {found.examples['F']} floats; add range=LOW..HIGH: {_with(spec, range=(0, 65535))}",
            "mixed_depths",
        )
    low, high = found.low, found.high
    whites: tuple[float, ...] = DEEP_RANGES if "I" in found.deep else (1, 255, 65535)
    for white in whites:
        if low >= 0 and high <= white and ("I" in found.deep or white == 1 or high > white / FILL):
            return 0.0, float(white)
    return (low, high) if high > low else (low, low + 1)


def usual_range(form: Form) -> bool:
    """Whether values were scaled from a range that a file type has, not from one that was taken from the images."""
    return form.range is None or (form.range[0] == 0 and form.range[1] in (1, *DEEP_RANGES))


@dataclass(frozen=True, eq=False)
class Decoded:
    """``images (n, c, r, r) uint8`` of the rows ``kept (n,)`` of what was to be decoded; messages of the others."""

    images: Tensor
    kept: NDArray[np.int64]
    unreadable: list[str]


def decode(cells: Iterable[Cell], n: int, form: Form) -> Decoded:
    """Decode ``n`` images; those that cannot be read are left out, with a message each."""
    shape = (form.channels, form.resolution, form.resolution)
    if n * int(np.prod(shape)) > MAX_BYTES:
        raise DataError(
            f"a data set may take {MAX_BYTES:,} bytes as uint8, but {n:,} images of {shape} take "
            f"{n * int(np.prod(shape)):,}; choose a smaller resolution, or stream it (stream:PATH)",
            "too_large",
        )
    out = np.empty((n, *shape), dtype=np.uint8)
    kept: list[int] = []
    unreadable: list[str] = []
    for index, cell in enumerate(cells):
        try:
            out[len(kept)] = pixels_of(cell, form)
            kept.append(index)
        except DataError as error:
            unreadable.append(str(error))
    return Decoded(torch.from_numpy(out[: len(kept)]), np.array(kept, dtype=np.int64), unreadable)


def decode_all(cells: Iterator[Cell], n: int, form: Form) -> Tensor:
    """Decode ``n`` images; raises ``DataError`` for the first that cannot be read."""
    found = decode(cells, n, form)
    if found.unreadable:
        raise DataError(found.unreadable[0], "unreadable_image")
    return found.images


def pixels_of(cell: Cell, form: Form) -> NDArray[np.uint8]:
    """``(channels, r, r) uint8`` of one image, upright."""
    image = opened(cell)
    try:
        ImageOps.exif_transpose(image, in_place=True)
        flat = _scaled(image, cell.name, form) if is_deep(image.mode) else image
        plain, mode = _opaque(flat), "L" if form.channels == 1 else "RGB"
        fitted = _fitted(plain if plain.mode == mode else plain.convert(mode), form)
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise _damaged(cell.name, error) from error
    pixels = np.asarray(fitted, dtype=np.uint8)
    return pixels[None] if form.channels == 1 else pixels.transpose(2, 0, 1)


def _damaged(name: str, error: Exception) -> DataError:
    why = str(error) or type(error).__name__
    return DataError(f"{READABLE}{name} is damaged: {why}", "unreadable_image")


def _values(image: Image.Image, name: str) -> NDArray[np.float64]:
    """The values of an image of more than 8 bits."""
    try:
        values = np.asarray(image).astype(np.float64)
    except UNREADABLE as error:
        raise _damaged(name, error) from error
    if not np.isfinite(values).all():
        raise DataError(
            f"pixels must be finite numbers, but {name} ({image.mode}) has others", "unreadable_image"
        )
    return values


def _scaled(image: Image.Image, name: str, form: Form) -> Image.Image:
    """An image of more than 8 bits as ``L``."""
    if form.range is None:
        raise DataError(
            f"images of more than 8 bits need range=LOW..HIGH where others have 8, but {name} has mode {image.mode}",
            "mixed_depths",
        )
    low, high = form.range
    values = (_values(image, name) - low) * (255 / (high - low))
    return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    """The image on a background, if parts of it may be transparent."""
    if not has_alpha(image):
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, BACKGROUND), layer).convert("RGB")


def _fitted(image: Image.Image, form: Form) -> Image.Image:
    """The image as a square of the form's resolution."""
    side = (form.resolution, form.resolution)
    if image.size == side:
        return image
    if form.fit == "squeeze":
        return image.resize(side, Image.Resampling.BILINEAR)
    if form.fit == "pad":
        return ImageOps.pad(image, side, Image.Resampling.BILINEAR)
    return ImageOps.fit(image, side, Image.Resampling.BILINEAR)


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
