"""Classify a text with an exported file; tokenizer, special tokens and classes are in the file's metadata.

    python examples/03_classify_a_text.py subnet.onnx "how do i reset my pin"

Needs onnxruntime, numpy and tokenizers, nothing of Netwright.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import onnxruntime


def tokens(text: str, facts: dict[str, Any]) -> list[int]:
    """Token ids without special tokens: bytes, or by the tokenizer in the file."""
    if "tokenizer" not in facts:
        return list(text.encode())
    from tokenizers import Tokenizer

    ids: list[int] = Tokenizer.from_str(facts["tokenizer"]).encode(text, add_special_tokens=False).ids
    return ids


def classify(file: str, text: str) -> str:
    """The name of the class with the highest score. One text needs no padding: the file takes any length."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found = session.get_modelmeta().custom_metadata_map
    facts = {name.removeprefix("netwright."): json.loads(value) for name, value in found.items()}
    how = facts["preprocessing"]
    room = how["sequence"] - len(how["prefix"]) - len(how["suffix"])
    ids = np.array([how["prefix"] + tokens(text, facts)[:room] + how["suffix"]], np.int64)
    (scores,) = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    name: str = facts["classes"][int(scores[0].argmax())]
    return name


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(classify(sys.argv[1], sys.argv[2]))
