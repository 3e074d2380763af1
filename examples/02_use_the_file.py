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

BILINEAR = Image.Resampling.BILINEAR


def pixels(picture: str, how: dict[str, Any]) -> Any:
    """The input ``(1, channels, height, width) float32``, by ``preprocessing`` of the file's metadata."""
    image = ImageOps.exif_transpose(Image.open(picture))
    if image.mode in ("I", "F") or image.mode.startswith("I;"):  # more than 8 bits
        if how["value_range"] is None:
            sys.exit(f"the network was trained on images of 8 bits, but {picture} has mode {image.mode}")
        low, high = how["value_range"]
        values = (np.asarray(image).astype(np.float64) - low) * (255 / (high - low))
        image = Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, how["background"]), layer).convert("RGB")
    image = image.convert("RGB" if how["channels"] == 3 else "L")
    base = (how["base_resolution"], how["base_resolution"])  # the size of the training data
    if how["fit"] == "squeeze":
        image = image.resize(base, BILINEAR)
    else:
        image = (ImageOps.pad if how["fit"] == "pad" else ImageOps.fit)(image, base, BILINEAR)
    edge = round(base[0] * how.get("crop", 1.0))
    start = (base[0] - edge) // 2
    image = image.crop((start, start, start + edge, start + edge))
    image = image.resize((how["width"], how["height"]), BILINEAR)  # the size that this network reads
    values = np.asarray(image, np.float32).reshape(how["height"], how["width"], how["channels"]) / 255
    values = (values - how["mean"]) / how["std"]
    return values.astype(np.float32).transpose(2, 0, 1)[np.newaxis]


def classify(file: str, picture: str) -> str:
    """The name of the class with the highest score."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found = session.get_modelmeta().custom_metadata_map
    facts = {name.removeprefix("netwright."): json.loads(text) for name, text in found.items()}
    inputs = {session.get_inputs()[0].name: pixels(picture, facts["preprocessing"])}
    name: str = facts["classes"][int(session.run(None, inputs)[0][0].argmax())]
    return name


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(classify(sys.argv[1], sys.argv[2]))
