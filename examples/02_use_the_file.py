"""Classify a picture with an exported file; everything it needs to know is in the file's metadata.

    python examples/02_use_the_file.py subnet.onnx photo.png

Needs onnxruntime, numpy and pillow, nothing of Netwright.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

FITS = {"crop": ImageOps.fit, "pad": ImageOps.pad, "squeeze": Image.Image.resize}
"""How a picture becomes square: the middle of it, black bars, or another aspect."""


def classify(file: str, picture: str) -> str:
    """The name of the class with the highest score."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found = session.get_modelmeta().custom_metadata_map
    facts = {name.removeprefix("netwright."): json.loads(text) for name, text in found.items()}
    scores = session.run(None, {session.get_inputs()[0].name: pixels(picture, facts["preprocessing"])})[0][0]
    name: str = facts["classes"][int(scores.argmax())]
    return name


def pixels(picture: str, how: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The picture as the network expects it: ``(1, channels, height, width) float32``.

    As in training, it is first fitted to the size of the data, then resized to that of the network.
    """
    image = ImageOps.exif_transpose(Image.open(picture)).convert("RGB" if how["channels"] == 3 else "L")
    side = how["base_resolution"]
    image = FITS[how["fit"]](image, (side, side), Image.Resampling.BILINEAR)
    edge = (side - round(side * how.get("crop", 1))) // 2
    size = how["width"], how["height"]
    image = image.crop((edge, edge, side - edge, side - edge)).resize(size, Image.Resampling.BILINEAR)
    values = np.asarray(image, dtype=np.float32).reshape(*size[::-1], how["channels"]) / 255
    normalised = ((values - how["mean"]) / how["std"]).astype(np.float32)
    return normalised.transpose(2, 0, 1)[np.newaxis]  # one example, channels, rows, columns


if __name__ == "__main__":
    print(classify(sys.argv[1], sys.argv[2]))
