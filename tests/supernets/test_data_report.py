"""The data report: faults that a plausible-looking training would hide, with the right value or refusal of each."""

from __future__ import annotations

import decimal
import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from supernets.data import data_report, load_data, look_at
from supernets.data.images import Form, pixels_of
from supernets.data.sheet import contact_sheet
from supernets.data.stored.examples import Cell
from supernets.data.stored.names import split_of_file, split_of_folder
from supernets.data_facts.spec import DataSpec
from supernets.errors import DataError, UnknownNameError
from tests.supernets.pictures import NAMES, Make, codes, folder, message, pictures, refused, shard


@pytest.fixture
def picture() -> Make:
    return pictures()


# --- pixels ----------------------------------------------------------------------------------------


RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)
DEEP = {
    "16 bits": Image.fromarray(RAMP * 257),
    "12 bits in 16": Image.fromarray((RAMP * (4095 / 255)).round().astype(np.uint16)),
    "big-endian": Image.frombytes("I;16B", (16, 16), (RAMP * 257).astype(">u2").tobytes()),
    "32-bit integers": Image.fromarray((RAMP * 257).astype(np.int32)),
    "float 0..1": Image.fromarray((RAMP / 255).astype(np.float32)),
    "float 0..255": Image.fromarray(RAMP.astype(np.float32)),
    "float 0..65535": Image.fromarray((RAMP * 257).astype(np.float32)),
    "float of its own range": Image.fromarray((RAMP * 0.5 - 30).astype(np.float32)),
}


@pytest.mark.parametrize("kind", DEEP)
def test_images_of_more_than_8_bits_keep_their_full_range(kind: str, tmp_path: Path) -> None:
    deep = DEEP[kind]
    noise = iter(np.random.default_rng(0).permuted(np.tile(np.arange(256), (200, 1)), axis=1))

    def make(label: int) -> Image.Image:
        order = next(noise)
        pixels = np.asarray(deep).reshape(-1)[order]
        return Image.frombytes(deep.mode, (16, 16), pixels.tobytes())

    root = folder(tmp_path, make, suffix=".tiff")
    with Image.open(root / "c0" / "0.tiff") as stored:
        assert stored.mode == deep.mode
    report = data_report(f"folder:{root}")
    assert codes(report, "error") == []
    assert report.channels == 1
    pixels = report.splits["train"].pixels
    assert pixels is not None and pixels.distinct_values == 256
    assert pixels.mean == pytest.approx(0.5, abs=1e-3)
    assert ("scaled" in codes(report, "warning")) == (kind == "float of its own range")


def test_a_stated_range_is_used_and_recorded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    make = lambda _: Image.fromarray(noise.integers(1000, 2001, (16, 16)).astype(np.uint16))  # noqa: E731
    root = folder(tmp_path, make)
    data = load_data(f"folder:{root},range=1000..2000")
    assert data.name.endswith(",range=1000..2000")
    assert (int(data.train.images.min()), int(data.train.images.max())) == (0, 255)
    assert load_data(data.name).describe() == data.describe()


def test_floats_that_are_no_numbers_are_refused_by_file(tmp_path: Path, picture: Make) -> None:
    root = folder(tmp_path, lambda label: picture(label).convert("L").convert("F"), suffix=".tiff")
    bad = np.full((16, 16), np.nan, np.float32)
    Image.fromarray(bad).save(root / "c1" / "7.tiff")
    assert "c1/7.tiff" in refused(f"folder:{root}", "unreadable_image")


def test_integers_and_floats_together_need_a_range(tmp_path: Path, picture: Make) -> None:
    root = folder(tmp_path, lambda label: picture(label).convert("L").convert("F"), suffix=".tiff")
    Image.fromarray(RAMP).save(root / "c0" / "0.tiff")
    assert "range=LOW..HIGH" in refused(f"folder:{root}", "mixed_depths")


def black(mode: str) -> Image.Image:
    """A black square on transparent ground."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:8, :8, 3] = 255
    image = Image.fromarray(pixels)
    if mode == "P":
        plain = Image.new("P", (16, 16), 1)
        plain.putpalette([0, 0, 0] * 256)
        plain.paste(0, (0, 0, 8, 8))
        plain.info["transparency"] = 1
        return plain
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white(mode: str) -> None:
    image = black(mode)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **({"transparency": 1} if mode == "P" else {}))
    cell = Cell("icon", buffer.getvalue())
    for channels in (1, 3):
        pixels = pixels_of(cell, Form(channels, 16))
        assert pixels[:, :8, :8].max() == 0 and pixels[:, 8:, 8:].min() == 255


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("LA", 1), ("grey P", 1), ("RGB", 3), ("P", 3), ("RGBA", 3), ("CMYK", 3)],
)
def test_grey_and_colour_are_recognised_by_mode_and_palette(
    mode: str, channels: int, tmp_path: Path, picture: Make
) -> None:
    def make(label: int) -> Image.Image:
        image = picture(label)
        if mode == "grey P":
            return image.convert("L").convert("P")
        return image.quantize(64) if mode == "P" else image.convert(mode)

    suffix = ".tiff" if mode == "CMYK" else ".png"
    assert data_report(f"folder:{folder(tmp_path, make, suffix=suffix)}").channels == channels


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_the_first_frame_of_an_animation_is_used_and_said(suffix: str, tmp_path: Path, picture: Make) -> None:
    root = folder(tmp_path, picture)
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(root / "c0" / f"moving{suffix}", save_all=True, append_images=frames[1:])
    report = data_report(f"folder:{root},channels=3")
    assert "1 image with several frames" in message(report, "animated")


def test_mixed_grey_and_colour_name_the_option_that_converts_them(tmp_path: Path, picture: Make) -> None:
    root = folder(tmp_path, picture)
    picture(0).convert("L").save(root / "c0" / "0.png")
    words = refused(f"folder:{root}", "mixed_channels")
    assert f"folder:{root},channels=3" in words and "1 are grey (such as c0/0.png)" in words
    for channels in (1, 3):
        assert load_data(f"folder:{root},channels={channels}").channels == channels


def wide(root: Path) -> Path:
    rng = np.random.default_rng(0)

    def make(label: int) -> Image.Image:
        pixels = np.full((16, 64), 100, np.uint8)
        pixels[:, 50 + 4 * label : 54 + 4 * label] = 250
        pixels[0, 0] = rng.integers(0, 90)
        return Image.fromarray(pixels)

    return folder(root, make)


def test_classes_that_a_crop_makes_equal_are_refused_and_another_fit_keeps_them(tmp_path: Path) -> None:
    root = wide(tmp_path)
    words = refused(f"folder:{root}", "equal_classes")
    assert "c0, c1, c2" in words
    assert "75%" in message(data_report(f"folder:{root}"), "cropped")
    for fit in ("squeeze", "pad"):
        report = data_report(f"folder:{root},fit={fit}")
        assert codes(report, "error") == [] and "cropped" not in codes(report, "warning")
        data = load_data(f"folder:{root},fit={fit}")
        assert data.name.endswith(f",fit={fit}") and data.report is not None
    padded = load_data(f"folder:{root},fit=pad").train.images
    assert padded[:, :, :6].max() == 0 and padded[:, :, 6:10].max() > 90


def test_equal_images_are_counted_within_and_across_classes_and_splits(tmp_path: Path, picture: Make) -> None:
    for split, count in (("train", 60), ("test", 30)):
        folder(tmp_path / split, picture, count)
    for copy, of in (("train/c0/1", "train/c0/0"), ("train/c1/5", "train/c0/0"), ("test/c2/3", "train/c2/3")):
        (tmp_path / f"{copy}.png").write_bytes((tmp_path / f"{of}.png").read_bytes())
    report = data_report(f"folder:{tmp_path}")
    assert codes(report, "error") == []
    assert message(report, "equal_within_class").startswith("1 image of train")
    assert message(report, "equal_across_classes").startswith("3 images")
    assert message(report, "equal_across_splits").startswith("1 of 90 images of test are in train too")
    assert load_data(f"folder:{tmp_path}").report == report


def test_a_copied_split_is_refused_and_so_is_one_of_equal_images(tmp_path: Path, picture: Make) -> None:
    folder(tmp_path / "train", picture)
    for path in sorted((tmp_path / "train").glob("*/*.png")):
        copy = tmp_path / "test" / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(copy, compress_level=1)  # other bytes, the same pixels
    assert "120 of 120 images of test are in train too" in refused(
        f"folder:{tmp_path}", "equal_across_splits"
    )
    even = folder(tmp_path / "even", lambda _: Image.new("L", (16, 16), 7))
    assert "all 120 images of train are equal" in refused(f"folder:{even}", "all_equal")
    assert message(data_report(f"folder:{even}"), "constant_images").startswith("120 of 120")


def test_every_file_that_cannot_be_read_is_named_at_once(tmp_path: Path, picture: Make) -> None:
    root = folder(tmp_path, picture)
    (root / "c0" / "3.png").write_bytes(b"no image")
    (root / "c2" / "9.png").write_bytes((root / "c2" / "9.png").read_bytes()[:60])
    (root / "c1" / "gone.png").symlink_to(root / "c1" / "nowhere.png")
    words = refused(f"folder:{root}", "unreadable_image")
    assert all(name in words for name in ("c0/3.png", "c2/9.png", "c1/gone.png"))


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(
            (name, "train")
            for name in ("train", "Training", "TRN", "train2017", "train_images", "Train Set", "trainset")
        ),
        *((name, "validation") for name in ("val", "VALID", "Validation", "dev", "valSet", "val_data")),
        *((name, "test") for name in ("test", "Testing", "tst", "TEST", "test-images", "eval", "Evaluation")),
        *(
            (name, None)
            for name in ("test-tube", "trains", "validator", "contest", "trainval", "devices", "latest")
        ),
    ],
)
def test_folders_are_splits_by_their_whole_name(name: str, split: str | None) -> None:
    assert split_of_folder(name) == split


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(
            (name, "train")
            for name in ("train_latest", "train-00000-of-00003", "imagenet.Training", "myTrainFile")
        ),
        *((name, "test") for name in ("test", "devices_test", "TST")),
        *((name, "validation") for name in ("interval-dev", "x_val_1")),
        *((name, None) for name in ("trainval", "interval", "contest", "devices", "latest")),
    ],
)
def test_files_are_of_a_split_by_a_whole_word(name: str, split: str | None) -> None:
    assert split_of_file(name) == split


def test_names_of_two_splits_and_two_names_of_one_split_are_refused(tmp_path: Path, picture: Make) -> None:
    with pytest.raises(DataError, match="test and train"):
        split_of_file("train_vs_test")
    for name in ("Train", "val", "valid"):
        folder(tmp_path / name, picture)
    assert "'val' and 'valid', which both mean validation" in refused(f"folder:{tmp_path}", "ambiguous_split")


def test_splits_in_other_spellings_are_no_classes(tmp_path: Path, picture: Make) -> None:
    for name, count in (("Training", 60), ("Testing", 20)):
        folder(tmp_path / name, picture, count)
    report = data_report(f"folder:{tmp_path}")
    assert {name: split.images for name, split in report.splits.items()} == {"train": 180, "test": 60}
    assert list(report.splits["train"].classes) == ["c0", "c1", "c2"]
    assert report.details.made == {"validation": 30}


def test_a_split_of_few_images_is_refused(tmp_path: Path, picture: Make) -> None:
    for name, count in (("train", 60), ("test", 6)):
        folder(tmp_path / name, picture, count)
    assert "at least 20 images, but test has 18 images" in refused(f"folder:{tmp_path}", "too_few_images")


def test_a_class_that_is_called_like_a_split_is_a_class(tmp_path: Path, picture: Make) -> None:
    folder(tmp_path, picture)
    (tmp_path / "c0").rename(tmp_path / "train")
    assert load_data(f"folder:{tmp_path}").classes == ("c1", "c2", "train")


def test_hidden_and_system_files_are_skipped_at_every_depth(tmp_path: Path, picture: Make) -> None:
    root = folder(tmp_path, picture)
    for place in ("c0/.ipynb_checkpoints", "c1/deep/.cache", "__MACOSX/c0", ".git", "c2/__MACOSX"):
        (root / place).mkdir(parents=True)
        picture(0).save(root / place / "0.png")
    for place in ("c0/._1.png", "c1/Thumbs.db", "desktop.ini"):
        (root / place).write_bytes(b"x")
    report = data_report(f"folder:{root}")
    assert report.splits["train"].classes == {"c0": 40, "c1": 40, "c2": 40}
    assert report.problems == []
    assert sum(report.details.skipped.values()) == 8


def test_other_files_and_links_to_folders_are_counted_and_loops_end(tmp_path: Path, picture: Make) -> None:
    root = folder(tmp_path, picture)
    (root / "c0" / "notes.txt").write_text("x")
    (root / "c0" / "LICENSE").write_text("x")
    (root / "c1" / "loop").symlink_to(root)
    report = data_report(f"folder:{root}")
    assert report.splits["train"].images == 120
    assert message(report, "files_skipped") == (
        "files or links left out: .txt: 1, links to folders: 1, no suffix: 1"
    )


@pytest.mark.parametrize("suffix", [".jfif", ".heic", "", None])
def test_a_class_without_a_readable_image_is_named(suffix: str | None, tmp_path: Path, picture: Make) -> None:
    root = folder(tmp_path, picture)
    (root / "lost").mkdir()
    for index in range(5 if suffix is not None else 0):
        picture(0).save(root / "lost" / f"{index}{suffix}", "JPEG")
    words = refused(f"folder:{root}", "class_without_images")
    kind = "no files" if suffix is None else f"5 with {suffix or 'no suffix'}"
    assert f"lost has {kind}" in words
    assert data_report(f"folder:{root}").splits["train"].classes["lost"] == 0


def test_one_file_in_two_splits_is_refused(tmp_path: Path, picture: Make) -> None:
    for split in ("train", "test"):
        folder(tmp_path / split, picture)
    (tmp_path / "test" / "c0" / "0.png").unlink()
    os.link(tmp_path / "train" / "c0" / "0.png", tmp_path / "test" / "c0" / "0.png")
    assert "are the same file" in refused(f"folder:{tmp_path}", "file_in_two_splits")


def test_a_folder_one_level_too_high_gets_a_hint(tmp_path: Path, picture: Make) -> None:
    folder(tmp_path / "photos", picture)
    assert f"did you mean folder:{tmp_path / 'photos'}?" in refused(f"folder:{tmp_path}", "one_class")


# --- labels ----------------------------------------------------------------------------------------

N = 120
VALUES = [index % 3 for index in range(N)]
LABELS: dict[str, tuple[pa.Array, tuple[str, ...]]] = {
    **{
        str(kind): (pa.array(VALUES, kind), ("0", "1", "2"))
        for kind in (
            pa.int8(),
            pa.uint8(),
            pa.int16(),
            pa.int32(),
            pa.int64(),
            pa.uint64(),
            pa.float32(),
            pa.float64(),
        )
    },
    "bool": (pa.array([bool(v % 2) for v in VALUES]), ("false", "true")),
    "decimal": (pa.array([decimal.Decimal(v) for v in VALUES], pa.decimal128(9, 0)), ("0", "1", "2")),
    **{
        str(kind): (pa.array(["cat", "dog", "fox"] * 40, kind), ("cat", "dog", "fox"))
        for kind in (pa.string(), pa.large_string(), pa.string_view())
    },
    "category": (pa.array(["cat", "dog", "fox"] * 40).dictionary_encode(), ("cat", "dog", "fox")),
    "integer category": (pa.array(VALUES).dictionary_encode(), ("0", "1", "2")),
    "sentiment": (pa.array([v - 1 for v in VALUES]), ("-1", "0", "1")),
}
NO_LABELS = {
    "floats": pa.array([v + 0.5 for v in VALUES]),
    "infinity": pa.array([float("inf"), *map(float, VALUES[1:])]),
    "decimals": pa.array([decimal.Decimal("0.5") + v for v in VALUES], pa.decimal128(9, 2)),
    "timestamps": pa.array([v * 10**9 for v in VALUES], pa.timestamp("ns")),
    "lists": pa.array([[v] for v in VALUES]),
    "nothing": pa.nulls(N),
    "binary": pa.array([b"x"] * N),
    "too large": pa.array([2**63 + v for v in VALUES], pa.uint64()),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_every_type_that_people_have(kind: str, tmp_path: Path, picture: Make) -> None:
    labels, classes = LABELS[kind]
    data = load_data(f"parquet:{shard(tmp_path / 'all.parquet', picture, labels)}")
    assert data.classes == classes
    counts = sum(
        np.bincount(data.split(s).labels.numpy(), minlength=len(classes))
        for s in ("train", "validation", "test")
    )
    assert list(counts) == ([80, 40] if kind == "bool" else [40, 40, 40])


@pytest.mark.parametrize("kind", NO_LABELS)
def test_labels_that_are_no_classes_are_refused_for_their_type(
    kind: str, tmp_path: Path, picture: Make
) -> None:
    refused(f"parquet:{shard(tmp_path / 'all.parquet', picture, NO_LABELS[kind])}", "label_type")


@pytest.mark.parametrize("value", [-1, None])
def test_a_row_without_a_label_is_refused_or_left_out_and_names_are_kept(
    value: int | None, tmp_path: Path, picture: Make
) -> None:
    labels = pa.array([*VALUES[:-1], value])
    path = shard(tmp_path / "all.parquet", picture, labels, {b"huggingface": NAMES})
    assert f"row {N - 1} has" in refused(f"parquet:{path}", "unlabelled")
    for source in ("parquet", "stream"):
        data = load_data(f"{source}:{path},unlabelled=drop")
        assert data.classes == ("a", "b", "c")
        assert sum(len(data.split(s)) for s in ("train", "validation", "test")) == N - 1
        assert data.report is not None and "1 row of train" in message(data.report, "unlabelled")


@pytest.mark.parametrize("source", ["parquet", "stream"])
def test_files_with_labels_of_two_types_are_named_with_their_types(
    source: str, tmp_path: Path, picture: Make
) -> None:
    shard(tmp_path / "train-0.parquet", picture, pa.array(VALUES))
    shard(tmp_path / "train-1.parquet", picture, pa.array(list(map(str, VALUES))))
    words = refused(f"{source}:{tmp_path}", "label_types_differ")
    assert "train-0.parquet has int64" in words and "train-1.parquet string" in words


def test_a_test_split_may_lack_a_class_but_not_add_one(tmp_path: Path, picture: Make) -> None:
    shard(tmp_path / "train.parquet", picture, pa.array(VALUES))
    shard(tmp_path / "test.parquet", picture, pa.array([2] * 40))
    data = load_data(f"parquet:{tmp_path}")
    assert data.classes == ("0", "1", "2") and set(data.test.labels.tolist()) == {2}
    shard(tmp_path / "test.parquet", picture, pa.array([3] * 40))
    assert "row 0 of test.parquet (test) has 3" in refused(f"parquet:{tmp_path}", "unknown_label")


@pytest.mark.parametrize("source", ["parquet", "stream"])
def test_one_file_belongs_to_one_split(source: str, tmp_path: Path, picture: Make) -> None:
    shard(tmp_path / "train_latest.parquet", picture, pa.array(VALUES))
    shard(tmp_path / "devices.parquet", picture, pa.array(VALUES))
    report = data_report(f"{source}:{tmp_path}")
    assert {name: split.images for name, split in report.splits.items()} == {"train": N}
    assert "devices.parquet" in message(report, "files_skipped")
    (tmp_path / "train_latest.parquet").rename(tmp_path / "trainval.parquet")
    assert "trainval.parquet" in refused(f"{source}:{tmp_path}", "no_train_split")


def test_the_form_of_a_stream_is_that_of_all_its_row_groups(tmp_path: Path, picture: Make) -> None:
    shard(tmp_path / "train-0.parquet", lambda label: picture(label).convert("L"), pa.array(VALUES))
    shard(tmp_path / "train-1.parquet", picture, pa.array(VALUES))
    assert "120 are grey (such as row 0 of train-0.parquet)" in refused(
        f"stream:{tmp_path}", "mixed_channels"
    )
    assert load_data(f"stream:{tmp_path},channels=3").train.shape == (3, 16, 16)


# --- specs and the sheet ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "digits",
        "digits,resolution=16",
        "folder:/a b/c:d,channels=3,resolution=64,fit=pad",
        "stream:/x,range=-3.5..8.25,unlabelled=drop",
        "hub:imagenet,resolution=224",
        "folder:/what?/really=yes",
    ],
)
def test_a_spec_is_the_same_as_text_and_as_json(text: str) -> None:
    spec = DataSpec.parse(text)
    assert str(spec) == text
    assert DataSpec.model_validate_json(spec.model_dump_json()) == spec
    assert DataSpec.parse(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("folder:x,chanels=3", "did you mean channels"),
        ("folder:x,channels=2", "1 .grey. or 3 .RGB., but got"),
        ("folder:x,fit=zoom", "crop, squeeze or pad, but got 'zoom'"),
        ("folder:x,range=5", "two numbers"),
        ("folder:x,range=5..1", "LOW < HIGH"),
        ("folder:x,range=nan..1", "LOW < HIGH"),
        ("folder:x,fit=pad,fit=crop", "'fit' twice"),
        ("folder:x,source=y", "but got 'source'"),
        ("folder:a\nb", "control characters"),
        ("folder:" + "x" * 5000, "2000 characters"),
    ],
)
def test_a_spec_that_is_wrong_is_refused_with_the_choices(text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        DataSpec.parse(text)


def test_a_spec_of_another_type_is_refused() -> None:
    with pytest.raises(UnknownNameError):
        DataSpec.parse({"location": "x"})
    with pytest.raises(DataError, match="must be a text"):
        DataSpec.parse({"source": "folder", "location": 3})


def test_a_relative_path_becomes_absolute(
    tmp_path: Path, picture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path / "pics", picture)
    monkeypatch.chdir(tmp_path)
    data = load_data("folder:pics")
    assert data.name == f"folder:{tmp_path}/pics"
    monkeypatch.chdir("/")
    assert load_data(data.name).describe() == data.describe()


def test_the_contact_sheet_shows_every_class_as_it_is_loaded(tmp_path: Path) -> None:
    look = look_at(f"folder:{wide(tmp_path)},fit=pad")
    sheet = Image.open(io.BytesIO(contact_sheet(look.piles, look.classes)))
    assert sheet.size == (8 * 68 + 4, 3 * (64 + 18 + 4) + 4)
    first = np.asarray(sheet.crop((4, 22, 68, 86)))
    assert np.array_equal(first[::4, ::4, 0], look.piles["train"].images[0, 0].numpy())


def test_a_report_of_a_sample_counts_everything(tmp_path: Path, picture: Make) -> None:
    report = data_report(f"folder:{folder(tmp_path, picture)}", limit=30)
    assert report.splits["train"].images == 120 and report.details.examined == 30


def test_a_data_set_that_is_absent_is_a_report_with_its_reason(tmp_path: Path) -> None:
    report = data_report(f"folder:{tmp_path / 'nowhere'}")
    assert report.as_json() == {
        "splits": {},
        "channels": None,
        "resolution": None,
        "problems": [
            {
                "level": "error",
                "code": "data_missing",
                "message": f"folder:PATH must name a folder of class sub-folders, but there is none at "
                f"{tmp_path}/nowhere",
            }
        ],
    }


def test_an_exif_orientation_is_applied_to_16_bits_too() -> None:
    pixels = np.zeros((8, 8), np.uint16)
    pixels[:, 4:] = 65535
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    upright = pixels_of(Cell("turned", buffer.getvalue()), Form(1, 8, range=(0, 65535)))
    assert upright[0, :4].max() == 0 and upright[0, 4:].min() == 255


def test_large_photos_of_different_sizes_are_reported_as_shrunk(picture: Make, tmp_path: Path) -> None:
    sizes = iter(range(450, 1000))
    # BMP: compressing PNG files of this size would take most of the test.
    folder(tmp_path, lambda label: picture(label).resize((600, next(sizes))), suffix=".bmp")
    report = data_report(f"folder:{tmp_path}")
    assert report.resolution == 224 and codes(report, "warning") == ["shrunk"]
    assert "resolution=N" in message(report, "shrunk")
    assert codes(data_report(f"folder:{tmp_path},resolution=32"), "warning") == []
