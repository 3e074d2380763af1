"""The metadata of an exported file: only facts that never change. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supernets.errors import ExportError

PREFIX = "netwright."
FIELDS = (
    "supernet",
    "arch",
    "weights_sha256",
    "stats_sha256",
    "preprocessing",
    "tokenizer",
    "classes",
    "task",
    "quality",
    "licence",
)
"""A latency is none of them: it belongs to a target and a measurement, which may be repeated."""


def file_metadata(
    *,
    supernet: str,
    arch: Mapping[str, object],
    weights_sha256: str,
    stats_sha256: str | None,
    preprocessing: Mapping[str, object],
    classes: Sequence[str],
    task: str,
    quality: Mapping[str, object] | None,
    licence: str | None,
    tokenizer: str | None = None,
) -> dict[str, str]:
    """The metadata of a file: text to JSON text.

    Args:
        supernet: its name.
        arch: ``Arch.as_dict()``.
        weights_sha256: of the supernet's weights.
        stats_sha256: of the BatchNorm statistics; None where there is no BatchNorm.
        preprocessing: ``DataSet.preprocessing()`` with the dimensions of the arch.
        classes: names in the order of the outputs.
        task: its name.
        quality: the evaluation on the test split as JSON, or None where there was none.
        tokenizer: the content of ``tokenizer.json`` of a network of texts; its hash is in ``preprocessing``.
        licence: of the weights, an SPDX name where there is one; None where their owner states none.
    """
    values = {
        "supernet": supernet,
        "arch": dict(arch),
        "weights_sha256": weights_sha256,
        "stats_sha256": stats_sha256,
        "preprocessing": dict(preprocessing),
        "classes": list(classes),
        "task": task,
        "quality": None if quality is None else dict(quality),
        "licence": licence,
        "tokenizer": tokenizer,
    }
    return {
        PREFIX + field: json.dumps(value, sort_keys=True, allow_nan=False)
        for field, value in values.items()
        if field not in ("licence", "tokenizer") or value is not None
    }


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuse keys that :func:`file_metadata` does not write."""
    foreign = sorted(set(metadata) - {PREFIX + field for field in FIELDS})
    if foreign:
        raise ExportError(
            f"the metadata of a file may have only the fields {', '.join(FIELDS)} (each behind {PREFIX!r}), "
            f"but got {', '.join(foreign)}"
        )


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata of the ONNX file at ``path``, field to value; empty if it is not one of ours."""
    from supernets.export.runtime import session

    found = session(path).get_modelmeta().custom_metadata_map
    return {
        key.removeprefix(PREFIX): json.loads(text) for key, text in found.items() if key.startswith(PREFIX)
    }
