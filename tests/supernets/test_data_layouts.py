"""Layouts and forms of data sets that look right and are not: each is refused, or named, or has its right value."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path, PurePath

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from supernets.data import data_report, load_data
from supernets.data.stored.names import is_system, split_of_path
from supernets.errors import DataError
from tests.supernets.pictures import Make, codes, folder, message, pictures, refused, shard

N = 120
VALUES = [index % 3 for index in range(N)]


@pytest.fixture
def picture() -> Make:
    return pictures()


def png16(pixels: NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits: ``(h, w, 2)`` grey and alpha, ``(h, w, 3)`` RGB. Pillow does not write these."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def deep_folder(root: Path, make: Make, factor: int, channels: int) -> Path:
    """RGB, or grey with opaque alpha, of 16 bits; the 8-bit values times ``factor``."""
    for label in range(2):
        (root / f"c{label}").mkdir(parents=True)
        for index in range(60):
            pixels = np.asarray(make(label)).astype(np.uint16) * factor
            if channels == 2:
                pixels = np.dstack([pixels[..., 0], np.full(pixels.shape[:2], 65535, np.uint16)])
            (root / f"c{label}" / f"{index}.png").write_bytes(png16(pixels))
    return root


def test_rgb_of_16_bits_keeps_its_upper_8_bits(tmp_path: Path, picture: Make) -> None:
    data = load_data(f"folder:{deep_folder(tmp_path, picture, 257, 3)}")
    assert data.channels == 3 and data.report is not None
    assert data.report.details.modes == {"RGB;16": 120} and not data.report.problems
    assert data.train.head(100).max() == 209  # 59 + 150, as in 8 bits


@pytest.mark.parametrize("channels", [2, 3])
def test_12_bits_in_16_of_several_channels_are_refused(channels: int, tmp_path: Path, picture: Make) -> None:
    root = deep_folder(tmp_path, picture, 16, channels)
    assert "120 images (such as c0/0.png) end at 3583" in refused(f"folder:{root}", "deep_colour")


def test_a_range_for_rgb_of_16_bits_is_refused(tmp_path: Path, picture: Make) -> None:
    root = deep_folder(tmp_path, picture, 257, 3)
    assert "range=0..4095 applies to grey images" in refused(f"folder:{root},range=0..4095", "deep_colour")


def test_grey_and_alpha_of_16_bits_is_grey(tmp_path: Path, picture: Make) -> None:
    assert load_data(f"folder:{deep_folder(tmp_path, picture, 257, 2)}").channels == 1


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("data/test-00000-of-00001.parquet", "test"),
        ("default/train/0000.parquet", "train"),
        ("plain_text/validation/0000.parquet", "validation"),
        ("eval/0.parquet", "test"),
        ("data/trainval.parquet", None),
        ("x/0.parquet", None),
        ("train/train-0.parquet", "train"),
    ],
)
def test_the_split_of_a_path(path: str, split: str | None) -> None:
    assert split_of_path(PurePath(path)) == split


@pytest.mark.parametrize("path", ["train/test.parquet", "test/a/dev-0.parquet"])
def test_a_path_with_words_of_two_splits_is_refused(path: str) -> None:
    with pytest.raises(DataError, match="belongs to one split"):
        split_of_path(PurePath(path))


@pytest.mark.parametrize("source", ["parquet", "stream"])
def test_parquet_files_are_found_at_every_depth_and_in_any_case(
    source: str, tmp_path: Path, picture: Make
) -> None:
    for path in ("default/train/0000.PARQUET", "default/test/0000.parquet"):
        shard(tmp_path / path, picture, pa.array(VALUES))
    for path in (".cache/train/0.parquet", "@eaDir/test.parquet", "default/train/._0000.parquet"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    report = data_report(f"{source}:{tmp_path}")
    assert {name: split.images for name, split in report.splits.items()} == {"train": N, "test": N}


def test_split_folders_inside_class_folders_are_refused(tmp_path: Path, picture: Make) -> None:
    for name in ("train", "test"):
        folder(tmp_path / name, picture)
    inverted = tmp_path / "inverted"
    for name in ("train", "test"):
        for label in range(3):
            (inverted / f"c{label}").mkdir(parents=True, exist_ok=True)
            (tmp_path / name / f"c{label}").rename(inverted / f"c{label}" / name)
    assert "splits must stand above classes (test/c0)" in refused(f"folder:{inverted}", "ambiguous_split")


def test_splits_below_a_split_are_no_classes(tmp_path: Path, picture: Make) -> None:
    for name in ("train", "test"):
        folder(tmp_path / "train" / name, picture)
    words = refused(f"folder:{tmp_path}", "ambiguous_split")
    assert f"did you mean folder:{tmp_path / 'train'}?" in words


def test_one_class_with_a_folder_that_is_called_like_a_split_is_allowed(
    tmp_path: Path, picture: Make
) -> None:
    folder(tmp_path, picture)
    (tmp_path / "c0" / "train").mkdir()
    (tmp_path / "c0" / "0.png").rename(tmp_path / "c0" / "train" / "0.png")
    assert load_data(f"folder:{tmp_path}").classes == ("c0", "c1", "c2")


def test_splits_one_level_down_get_a_hint(tmp_path: Path, picture: Make) -> None:
    for name in ("train", "test"):
        folder(tmp_path / "photos" / name, picture)
    assert f"did you mean folder:{tmp_path / 'photos'}?" in refused(f"folder:{tmp_path}", "one_class")


@pytest.mark.parametrize(
    "name", ["__MACOSX", "@eaDir", "#recycle", "lost+found", "System Volume Information"]
)
def test_folders_of_systems_are_no_classes(name: str, tmp_path: Path, picture: Make) -> None:
    assert is_system(name)
    folder(tmp_path, picture)
    (tmp_path / name).mkdir()
    picture(0).save(tmp_path / name / "0.png")
    assert list(data_report(f"folder:{tmp_path}").splits["train"].classes) == ["c0", "c1", "c2"]


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_class_of_damaged_files_only_is_named(content: bytes | None, tmp_path: Path, picture: Make) -> None:
    folder(tmp_path, picture)
    for path in (tmp_path / "c2").iterdir():
        path.write_bytes(path.read_bytes()[:60] if content is None else content)
    report = data_report(f"folder:{tmp_path}")
    assert message(report, "class_without_images") == "train has no image of c2 that can be read"
    words = message(report, "unreadable_image")
    assert words.count("every file must be an image") == 1 and words.endswith("so are 35 more")


def test_a_label_of_each_row_is_no_class(tmp_path: Path, picture: Make) -> None:
    path = shard(tmp_path / "all.parquet", picture, pa.array(range(N)))
    assert "would take every image of 0, 1, 2, 3, 4 and 43 more" in refused(
        f"parquet:{path}", "class_without_images"
    )
    for name in ("train", "validation", "test"):
        shard(tmp_path / "own" / f"{name}.parquet", picture, pa.array(range(N)))
    report = data_report(f"parquet:{tmp_path / 'own'}")
    assert "120 of 120 classes have a single image" in message(report, "single_images")


@pytest.mark.parametrize("names", [("Cat", "cat", "cat "), ("caf\u00e9", "cafe\u0301", "dog")])
def test_classes_that_differ_in_spelling_only_are_named(
    names: tuple[str, ...], tmp_path: Path, picture: Make
) -> None:
    path = shard(tmp_path / "all.parquet", picture, pa.array([names[v] for v in VALUES]))
    words = message(data_report(f"parquet:{path}"), "similar_classes")
    assert repr(names[0]) in words and repr(names[1]) in words and "dog" not in words


def test_blank_text_is_no_label(tmp_path: Path, picture: Make) -> None:
    labels = pa.array(
        [("", "dog", " ")[v] if v != 1 else ("dog", "fox")[i % 2] for i, v in enumerate(VALUES)]
    )
    path = shard(tmp_path / "all.parquet", picture, labels)
    assert "row 0 has none (80 of 120 rows)" in refused(f"parquet:{path}", "unlabelled")


@pytest.mark.parametrize("source", ["parquet", "stream"])
def test_a_test_split_without_any_label_is_left_out(source: str, tmp_path: Path, picture: Make) -> None:
    shard(tmp_path / "train.parquet", picture, pa.array(VALUES))
    shard(tmp_path / "test.parquet", picture, pa.array([-1] * 40))
    assert "-1, which stands for none (40 of 40 rows)" in refused(f"{source}:{tmp_path}", "unlabelled")
    data = load_data(f"{source}:{tmp_path},unlabelled=drop")
    assert data.report is not None and codes(data.report, "warning") == ["unlabelled"]
    assert "no row of test has a label" in message(data.report, "unlabelled")
    assert sum(len(data.split(name)) for name in ("train", "validation", "test")) == N
