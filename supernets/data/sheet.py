"""A contact sheet: a few images of every class as the network will see them, in one PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from supernets.data.examine import Pile

COLUMNS = 8
MIN_SIDE, MAX_SIDE = 64, 128
MAX_CLASSES = 40
GAP, LABEL = 4, 18
NAME_LENGTH = 60
BACKGROUND = (208, 212, 220)
"""Neither black nor white, which are the borders of many images."""


def contact_sheet(piles: Mapping[str, Pile], classes: Sequence[str]) -> bytes:
    """A PNG with a row of at most ``COLUMNS`` images for each split and class, at most ``MAX_CLASSES`` of them.

    Images are shown at 64 to 128 pixels, enlarged without smoothing.
    """
    rows = [
        (
            f"{split}: {classes[label]} ({len(places):,})",
            pile,
            places[:: max(1, len(places) // COLUMNS)][:COLUMNS],
        )
        for split, pile in piles.items()
        for label in range(min(len(classes), MAX_CLASSES))
        if len(places := np.flatnonzero(pile.labels == label)) or split == "train"
    ]
    stored = max((pile.images.shape[-1] for pile in piles.values()), default=MIN_SIDE)
    side = min(MAX_SIDE, max(MIN_SIDE, stored))
    height = len(rows) * (side + LABEL + GAP) + GAP
    sheet = Image.new("RGB", (COLUMNS * (side + GAP) + GAP, max(height, side)), BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for index, (text, pile, places) in enumerate(rows):
        top = GAP + index * (side + LABEL + GAP)
        draw.text((GAP, top + 2), text[:NAME_LENGTH], fill="black", font=font)
        for column, place in enumerate(places.tolist()):
            pixels = pile.images[place].numpy().transpose(1, 2, 0)
            image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
            scaled = image.resize(
                (side, side), Image.Resampling.NEAREST if stored < side else Image.Resampling.BOX
            )
            sheet.paste(scaled, (GAP + column * (side + GAP), top + LABEL))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
