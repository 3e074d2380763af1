"""Classify a picture with an exported file; everything it needs to know is in the file's metadata.

    python examples/02_use_the_file.py subnet.onnx photo.png

Needs onnxruntime, numpy and pillow, nothing of Netwright.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image


def classify(file: str, picture: str) -> str:
    """The name of the class with the highest score."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found = session.get_modelmeta().custom_metadata_map
    facts = {name.removeprefix("netwright."): json.loads(text) for name, text in found.items()}
    how = facts["preprocessing"]
    image = Image.open(picture).convert("RGB" if how["channels"] == 3 else "L")
    edge = min(image.size)  # the square in the middle
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    image = image.crop((left, top, left + edge, top + edge))
    for side in (
        how["base_resolution"],
        how["resolution"],
    ):  # as in training: the size of the data, then of the arch
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.float32).reshape(side, side, how["channels"]) / 255
    values = ((pixels - how["mean"]) / how["std"]).astype(np.float32)
    batch = values.transpose(2, 0, 1)[np.newaxis]  # one example, channels, rows, columns
    scores = session.run(None, {session.get_inputs()[0].name: batch})[0][0]
    name: str = facts["classes"][int(scores.argmax())]
    return name


if __name__ == "__main__":
    print(classify(sys.argv[1], sys.argv[2]))
