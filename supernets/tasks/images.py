"""What tasks on images share: batches, augmentation, the inputs of a file, and the image for a person."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from supernets.data import augment, distort, prepare
from supernets.data.dataset import Expected
from supernets.elastic.active import Inputs
from supernets.errors import DataError
from supernets.tasks.task import BATCH, Dimensions, Example, Interface, NamedTensor, Preprocessing, Task

if TYPE_CHECKING:
    from supernets.data import DataSet, Facts


def centre_crop(stored: Tensor, share: float) -> Tensor:
    """The middle ``share`` of height and width of images ``(n, c, h, w)``."""
    height, width = (round(side * share) for side in stored.shape[2:])
    top, left = (stored.shape[2] - height) // 2, (stored.shape[3] - width) // 2
    return stored[:, :, top : top + height, left : left + width]


class ImageTask(Task):
    """One image ``(c, h, w) uint8`` in, one row of outputs out.

    A family for such a task has the dimensions ``channels``, ``height``, ``width`` and ``outputs``.
    """

    reads = "images"

    def prepare(self, stored: Tensor, preprocessing: Preprocessing, dimensions: Dimensions) -> Inputs:
        """``(n, c, h, w) float32``, resized and normalised; see :func:`supernets.data.prepare`."""
        cropped = centre_crop(stored, preprocessing.get("crop", 1.0))
        images = prepare(cropped, dimensions["height"], preprocessing["mean"], preprocessing["std"])
        return (images.contiguous(memory_format=torch.channels_last),)

    def check_like(self, data: DataSet | Facts, preprocessing: Preprocessing, name: str) -> None:
        """Refuse images of other channels."""
        self.check_kind(data)
        channels = len(preprocessing["mean"])
        if data.channels not in (None, channels):
            raise DataError(
                f"images must have the {channels} channels of {name!r}, {data.name!r} has {data.channels}; with "
                f"option channels={channels} they are converted"
            )

    def prepared_like(
        self, data: DataSet, preprocessing: Preprocessing, outputs: tuple[int, ...], name: str
    ) -> DataSet:
        """With mean, standard deviation and centre crop of the network's images."""
        self.check_like(data, preprocessing, name)
        expected = Expected(
            mean=tuple(preprocessing["mean"]),
            std=tuple(preprocessing["std"]),
            crop=float(preprocessing.get("crop", 1.0)),
            outputs=outputs,
        )
        return dataclasses.replace(data, expected=expected)

    def augment(
        self,
        stored: Tensor,
        generator: torch.Generator,
        *,
        pad: int = 0,
        flip: bool = False,
        crop: float = 1.0,
        largest: float = 1.0,
        colour: float = 0.0,
        grey: float = 0.0,
        of: int | None = None,
        part: slice = slice(None),
    ) -> Tensor:
        """Random crop after padding, mirroring, other crops and colours; see :mod:`supernets.data.batches`."""
        cropped = augment(stored, generator, pad, flip, of=of, part=part)
        return distort(cropped, generator, crop, colour, grey, largest=largest, of=of, part=part)

    def interface(self, dimensions: Dimensions) -> Interface:
        """``image (batch, c, h, w)``, prepared as :meth:`prepare` does, to ``logits (batch, outputs)``."""
        shape = (BATCH, dimensions["channels"], dimensions["height"], dimensions["width"])
        return Interface(
            (NamedTensor("image", "float32", shape),),
            NamedTensor("logits", "float32", (BATCH, dimensions["outputs"])),
        )

    def show(self, stored: Tensor, label: Tensor, data: DataSet) -> Example:
        """A PNG and the names of what it shows."""
        from PIL import Image

        pixels = stored.permute(1, 2, 0).numpy()
        buffer = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
        return Example("image/png", buffer.getvalue(), self.describe(label, data.classes))

    def describe(self, label: Tensor, classes: Sequence[str]) -> str:
        """The stored label of one example in words; the default is the name of its class."""
        return classes[int(label)]
