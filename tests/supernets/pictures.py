"""Small pictures in folders and parquet files, and what a data report says about them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from supernets.data import DataReport, data_report, load_data
from supernets.errors import DataError

Make = Callable[[int], Image.Image]
NAMES = (
    b'{"info":{"features":{"label":{"names":["a","b","c"],"_type":"ClassLabel"},"image":{"_type":"Image"}}}}'
)


def pictures() -> Make:
    """Noise with a bright quadrant that shows the class; no two are equal."""
    rng = np.random.default_rng(0)

    def make(label: int) -> Image.Image:
        pixels = rng.integers(0, 60, (16, 16, 3), dtype=np.uint8)
        y, x = divmod(label % 4, 2)
        pixels[y * 8 : (y + 1) * 8, x * 8 : (x + 1) * 8] += 150
        return Image.fromarray(pixels)

    return make


def folder(root: Path, make: Make, count: int = 40, labels: int = 3, suffix: str = ".png") -> Path:
    for label in range(labels):
        (root / f"c{label}").mkdir(parents=True, exist_ok=True)
        for index in range(count):
            make(label).save(root / f"c{label}" / f"{index}{suffix}")
    return root


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def shard(path: Path, make: Make, labels: pa.Array, metadata: dict[bytes, bytes] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = pa.array([encoded(make(index % 3)) for index in range(len(labels))], pa.binary())
    table = pa.table({"image": images, "label": labels}).replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=40)
    return path


def codes(report: DataReport, level: str) -> list[str]:
    return [problem.code for problem in report.problems if problem.level == level]


def message(report: DataReport, code: str) -> str:
    return next(problem.message for problem in report.problems if problem.code == code)


def refused(spec: str, code: str) -> str:
    """The message with which the report and loading refuse a data set alike."""
    report = data_report(spec)
    assert code in codes(report, "error"), report.problems
    with pytest.raises(DataError) as caught:
        load_data(spec)
    return message(report, code) + str(caught.value)
