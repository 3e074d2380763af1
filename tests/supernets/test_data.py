from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torch.nn import functional as F

from supernets import DATA_SOURCES
from supernets.data import (
    DataSet,
    Split,
    augment,
    batch_indices,
    check_data,
    epoch_order,
    load_data,
    open_source,
    prepare,
    step_generator,
)
from supernets.data import images as images_module
from supernets.data.dataset import count_pixels, stratified
from supernets.data.listed import HUB, from_hub
from supernets.data.stored.examples import Cell
from supernets.data.stored.order import permutation
from supernets.data.stored.tables import index_files
from supernets.errors import DataError, UnknownNameError

NETWRIGHT_DATA = os.environ.get("NETWRIGHT_DATA")


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load_data("digits")


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETWRIGHT_DATA", raising=False)


def write_folder(
    root: Path, classes: dict[str, int], size: int = 12, mode: str = "RGB", seed: int = 0
) -> Path:
    rng = np.random.default_rng(seed)
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            shape = (size, size) if mode == "L" else (size, size, 3)
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(root / name / f"{index}.png")
    return root


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


# digits


def test_digits_has_the_sizes_that_reports_name(digits: DataSet) -> None:
    assert [len(digits.split(s)) for s in ("train", "validation", "test")] == [1077, 360, 360]
    assert tuple(digits.train.images.shape) == (1077, 1, 32, 32)
    assert digits.train.images.dtype == torch.uint8 and digits.train.labels.dtype == torch.int64
    assert digits.classes == tuple("0123456789")


def test_digits_never_change(digits: DataSet) -> None:
    # Manifests of trained supernets hold this hash: a change makes every one of them foreign.
    assert digits.test.sha256 == "4a3de95f886dca2552e1d973127097b37b4245ac1ece037e7cc22a7d0915950d"


def test_digits_splits_share_no_image_and_lose_none(digits: DataSet) -> None:
    from sklearn.datasets import load_digits

    pixels = {
        s: [im.numpy().tobytes() for im in digits.split(s).images] for s in ("train", "validation", "test")
    }
    together = sum(pixels.values(), [])
    assert len(together) == 1797
    assert len(set(together)) == len(np.unique(load_digits().data, axis=0))
    assert not set(pixels["train"]) & set(pixels["test"]) and not set(pixels["validation"]) & set(
        pixels["test"]
    )


def test_digits_keep_their_labels(digits: DataSet) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    label_of = {
        image.tobytes(): label
        for image, label in zip(bunch.images.astype(np.uint8), bunch.target, strict=True)
    }
    small = F.avg_pool2d(digits.test.images.float(), 4) * (16 / 255)
    nearest = [
        bunch.target[np.abs(bunch.images - image.numpy()).sum((1, 2)).argmin()] for image in small[:40, 0]
    ]
    assert len(label_of) == 1797
    assert nearest == digits.test.labels[:40].tolist()


def test_another_seed_gives_other_splits_and_the_same_seed_the_same(digits: DataSet) -> None:
    assert load_data("digits", seed=1).test.sha256 != digits.test.sha256
    assert load_data("digits", seed=0).describe() == digits.describe()


def test_hash_depends_on_images_and_labels(digits: DataSet) -> None:
    images, labels = digits.test.images.clone(), digits.test.labels.clone()
    assert Split("test", images, labels).sha256 == digits.test.sha256
    labels[3] = (labels[3] + 1) % 10
    assert Split("test", images, labels).sha256 != digits.test.sha256
    images[0, 0, 0, 0] ^= 1
    assert Split("test", images, digits.test.labels).sha256 != digits.test.sha256


def test_moments_equal_those_of_the_pixels(digits: DataSet) -> None:
    pixels = digits.train.images.double() / 255
    assert digits.mean == (round(float(pixels.mean()), 6),)
    assert digits.std[0] == pytest.approx(float(pixels.std(unbiased=False)), abs=1e-6)
    assert digits.preprocessing()["base_resolution"] == 32


def test_resolution_is_an_argument() -> None:
    assert load_data("digits,resolution=8").base_resolution == 8


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(0, 99))
def test_every_prefix_of_a_stratified_order_is_in_proportion(labels: list[int], seed: int) -> None:
    values = np.asarray(labels)
    order = stratified(values, seed)
    assert sorted(order.tolist()) == list(range(len(labels)))
    for size in range(1, len(labels) + 1):
        for label in set(labels):
            expected = size * labels.count(label) / len(labels)
            assert abs((values[order[:size]] == label).sum() - expected) <= len(set(labels))


# known data sets


@pytest.mark.data
@pytest.mark.skipif(not NETWRIGHT_DATA, reason="NETWRIGHT_DATA is not set")
def test_fashion_mnist_from_the_data_folder() -> None:
    data = load_data("fashion_mnist", Path(str(NETWRIGHT_DATA)))
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [50_000, 10_000, 10_000]
    assert data.mean[0] == pytest.approx(0.2860, abs=1e-3) and data.std[0] == pytest.approx(0.3530, abs=1e-3)
    with np.load(Path(str(NETWRIGHT_DATA)) / "fashion_mnist.npz", allow_pickle=False) as arrays:
        assert np.array_equal(data.test.images[:, 0].numpy(), arrays["x_test"])
    assert torch.bincount(data.validation.labels).tolist() == [1000] * 10


@pytest.mark.data
@pytest.mark.skipif(not NETWRIGHT_DATA, reason="NETWRIGHT_DATA is not set")
def test_cifar10_test_split_from_the_data_folder() -> None:
    from supernets.data.sources.cifar10 import Cifar10, read

    images, labels = read(Path(str(NETWRIGHT_DATA)) / "cifar10_test.parquet")
    assert tuple(images.shape) == (10_000, 3, 32, 32)
    rows = pq.read_table(Path(str(NETWRIGHT_DATA)) / "cifar10_test.parquet").to_pylist()
    assert labels.tolist() == [row["label"] for row in rows] and len(Cifar10.classes) == 10
    last = np.asarray(Image.open(io.BytesIO(rows[-1]["image_webp"])))
    assert np.array_equal(images[-1].numpy(), last.transpose(2, 0, 1))
    assert (images.double() / 255).mean((0, 2, 3)).tolist() == pytest.approx(
        [0.4914, 0.4822, 0.4465], abs=0.01
    )


def test_the_test_split_of_cifar10_is_decoded_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    rows = {"image": [png(image) for image in pixels], "label": [row % 10 for row in range(30)]}
    pq.write_table(pa.table(rows), tmp_path / "cifar10_test.parquet")
    source = open_source("cifar10", tmp_path)
    with pytest.raises(DataError, match="no cifar10_train.parquet"):
        source.split("test")
    (tmp_path / "cifar10_train.parquet").write_bytes(b"not read")
    test = source.split("test")
    assert np.array_equal(test.stored.numpy(), pixels.transpose(0, 3, 1, 2))
    assert test.labels.tolist() == rows["label"]
    assert test.sha256 == Split("test", test.stored, test.labels).sha256
    for name in ("train", "validation"):
        with pytest.raises(DataError, match="cifar10_train.parquet must be a parquet file"):
            source.split(name)


def test_a_split_is_that_of_the_whole_data_set(digits: DataSet, tmp_path: Path) -> None:
    own = f"folder:{write_folder(tmp_path / 'own', {'cat': 120, 'dog': 120})}"
    for spec, data in (("digits", digits), (own, load_data(own))):
        for name, found in data.describe()["splits"].items():
            assert open_source(spec).split(name).sha256 == found["sha256"]
    with pytest.raises(DataError, match="unknown split 'tests'; choices: train, validation, test"):
        open_source("digits").split("tests")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encoded_images() -> dict[str, bytes]:
    """Images of every mode and format that is decoded, some of them turned by EXIF."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    found = {
        f"{mode} PNG": saved(colour.convert(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")
    }
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        for kind in ("JPEG", "PNG", "TIFF", "WEBP"):
            found[f"{kind} turned by {turn}"] = saved(colour, kind, exif=exif)
    found |= {kind: saved(colour, kind) for kind in ("BMP", "GIF", "PPM")}
    found["GIF with a transparent colour"] = saved(colour.convert("P"), "GIF", transparency=3)
    found["PNG with a transparent colour"] = saved(colour.convert("P"), "PNG", transparency=3)
    found["WEBP with alpha"] = saved(colour.convert("RGBA"), "WEBP", lossless=True)
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_decoding_gives_what_each_step_on_a_copy_gives(channels: int) -> None:
    form = images_module.Form(channels, 9, "squeeze")
    for name, content in encoded_images().items():
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        if images_module.has_alpha(upright):
            layer = upright.convert("RGBA")
            white = Image.new("RGBA", layer.size, "white")
            upright = Image.alpha_composite(white, layer).convert("RGB")
        plain = upright.convert("L" if channels == 1 else "RGB")
        expected = np.asarray(plain.resize((9, 9), Image.Resampling.BILINEAR)).reshape(9, 9, channels)
        assert np.array_equal(
            images_module.pixels_of(Cell(name, content), form), expected.transpose(2, 0, 1)
        ), name


def test_a_struct_of_bytes_and_path_is_read_as_the_bytes_alone(tmp_path: Path) -> None:
    images = [png(np.full((4, 4, 3), value, dtype=np.uint8)) for value in range(3)]
    structs = [{"bytes": image, "path": None} for image in images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    missing = {"a struct": None, "its bytes": {"bytes": None, "path": "a.png"}}
    for name, hole in {"nothing": structs[0], **missing}.items():
        column = pa.array([*structs, hole, structs[1]], type=kind)
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"image": column, "label": [0, 1, 0, 1, 0]}), path)
        examples = index_files({"train": [path]}).splits["train"]
        rows = np.array([0, 2, 4])
        assert [cell.content for cell in examples.cells(rows)] == [images[0], images[2], images[1]]
        if name in missing:
            with pytest.raises(DataError, match="must hold an encoded image in every row, but row 3 of"):
                list(examples.cells(np.arange(5)))


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_an_absent_data_set_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    for ask in (check_data, load_data):
        with pytest.raises(DataError, match=f"{name} must lie in.*NETWRIGHT_DATA.*hub"):
            ask(name, tmp_path)


def test_what_can_be_loaded_passes_the_check_and_the_hub_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "fashion_mnist.npz").touch()
    check_data("digits", tmp_path)
    check_data("fashion_mnist", tmp_path)
    check_data("cifar10")
    check_data(f"folder:{write_folder(tmp_path / 'own', {'a': 1, 'b': 1})}")
    with pytest.raises(DataError, match="there is none at .*nowhere"):
        check_data(f"parquet:{tmp_path / 'nowhere'}")


def test_the_data_folder_is_read_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETWRIGHT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere"):
        load_data("fashion_mnist")


def test_an_npz_with_pickles_is_refused(tmp_path: Path) -> None:
    objects = np.asarray([{"a": 1}] * 3, dtype=object)
    np.savez(tmp_path / "fashion_mnist.npz", x_train=objects, y_train=objects, x_test=objects, y_test=objects)
    with pytest.raises(DataError, match="plain arrays"):
        load_data("fashion_mnist", tmp_path)


def test_a_truncated_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fashion_mnist.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DataError, match="fashion_mnist.npz"):
        load_data("fashion_mnist", tmp_path)


def test_a_small_npz_loads_with_a_resolution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supernets.data.sources.fashion_mnist.VALIDATION", 50)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (260, 28, 28), dtype=np.uint8), np.arange(260, dtype=np.uint8) % 10
    np.savez(tmp_path / "fashion_mnist.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    data = load_data("fashion_mnist,resolution=14", tmp_path)
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [150, 50, 60]
    assert data.base_resolution == 14 and data.test.labels.tolist() == y[200:].tolist()


def test_the_hub_gives_what_the_folder_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 28, 28), dtype=np.uint8)
    asked = []

    def load_dataset(repository: str, split: str) -> object:
        asked.append((repository, split))
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=3)})
        rows = {"image": [Image.fromarray(p) for p in pixels], "label": [0, 1, 2, 0, 1, 2]}
        return datasets.Dataset.from_dict(rows, features=features)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    piles = from_hub("fashion_mnist", channels=1, resolution=28)
    assert asked == [(HUB["fashion_mnist"].repository, "train"), (HUB["fashion_mnist"].repository, "test")]
    assert np.array_equal(piles["train"][0][:, 0].numpy(), pixels)
    assert piles["test"][1].tolist() == [0, 1, 2, 0, 1, 2]


def test_a_hub_that_does_not_answer_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def load_dataset(repository: str, split: str) -> object:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match="NETWRIGHT_DATA.*uoft-cs/cifar10.*no route"):
        load_data("cifar10")


def test_only_listed_data_sets_come_from_the_hub() -> None:
    with pytest.raises(DataError, match="fashion_mnist, cifar10"):
        from_hub("somebody/else", channels=3, resolution=32)


# folders


def test_a_folder_of_classes_is_split_by_seed(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "birds", {"wren": 50, "crow": 70})
    data = load_data(f"folder:{root}")
    assert data.classes == ("crow", "wren")
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [72, 24, 24]
    assert torch.bincount(data.test.labels).tolist() == [14, 10]
    assert (data.channels, data.base_resolution) == (3, 12)
    assert load_data(f"folder:{root}").describe() == data.describe()
    assert load_data(f"folder:{root}", seed=1).describe() != data.describe()


def test_a_folder_with_splits_keeps_them(tmp_path: Path) -> None:
    for split, n, seed in (("train", 60, 0), ("val", 20, 1), ("test", 25, 2)):
        write_folder(tmp_path / split, {"a": n, "b": n}, mode="L", seed=seed)
    data = load_data(f"folder:{tmp_path}")
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [120, 40, 50]
    first = np.asarray(Image.open(tmp_path / "test" / "a" / "0.png"))
    assert np.array_equal(data.test.images[0, 0].numpy(), first)


def test_a_folder_is_sized_and_converted_as_asked(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"a": 60, "b": 60}, size=20)
    Image.new("RGB", (40, 30)).save(root / "a" / "wide.jpg")
    Image.new("L", (20, 20)).save(root / "a" / "grey.png")
    with pytest.raises(DataError, match="channels=1 or channels=3"):
        load_data(f"folder:{root}")
    data = load_data(f"folder:{root},resolution=10,channels=1")
    assert (data.channels, data.base_resolution) == (1, 10)


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"a": 60, "b": 60}, size=8)
    left_dark = Image.fromarray(np.repeat(np.repeat([[0, 255]], 8, 0), 4, 1).astype(np.uint8)).convert("RGB")
    exif = left_dark.getexif()
    exif[0x0112] = 6  # rotated by 90 degrees clockwise to be upright
    for index in range(60):
        left_dark.save(root / "a" / f"{index}.png", exif=exif)
    images = load_data(f"folder:{root}").train
    upright = images.images[images.labels == 0][0, 0]
    assert upright[0].max() == 0 and upright[-1].min() == 255


@pytest.mark.parametrize(
    ("classes", "message"),
    [({"only": 120}, "at least 2 classes"), ({"a": 10, "b": 10}, "too few"), ({}, "class sub-folders")],
)
def test_a_folder_that_does_not_suffice_is_refused(
    tmp_path: Path, classes: dict[str, int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_data(f"folder:{write_folder(tmp_path, classes)}")


def test_a_missing_folder_a_mixed_one_and_a_link_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_data(f"folder:{tmp_path / 'nowhere'}")
    outside = write_folder(tmp_path / "outside", {"a": 1})
    root = write_folder(tmp_path / "inside", {"a": 60, "b": 60})
    (root / "a" / "link.png").symlink_to(outside / "a" / "0.png")
    with pytest.raises(DataError, match="leads out"):
        load_data(f"folder:{root}")
    mixed = write_folder(tmp_path / "mixed", {"train/dogs": 1, "cats": 1})
    with pytest.raises(DataError, match="and also cats"):
        load_data(f"folder:{mixed}")


def test_a_file_that_is_no_image_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path, {"a": 60, "b": 60})
    whole = (root / "b" / "7.png").read_bytes()
    (root / "b" / "7.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        load_data(f"folder:{root}")
    (root / "b" / "7.png").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"7\.png"):
        load_data(f"folder:{root}")


def test_large_pictures_and_large_sets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_folder(tmp_path, {"a": 60, "b": 60}, size=12)
    monkeypatch.setattr(images_module, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="smaller resolution"):
        load_data(f"folder:{root}")
    monkeypatch.setattr(images_module, "MAX_PIXELS", 100)
    with pytest.raises(DataError, match="12x12"):
        load_data(f"folder:{root}")


# parquet


def write_parquet(path: Path, n: int, label: str = "label", text: bool = False, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 9, 9, 3), dtype=np.uint8)
    labels = [["cat", "dog"][i % 2] if text else 3 + 2 * (i % 2) for i in range(n)]
    pq.write_table(pa.table({"image": [png(p) for p in pixels], label: labels, "id": list(range(n))}), path)
    return pixels


def test_a_parquet_file_is_split_by_seed(tmp_path: Path) -> None:
    write_parquet(tmp_path / "all.parquet", 120)
    data = load_data(f"parquet:{tmp_path / 'all.parquet'}")
    assert data.classes == ("3", "5")
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [72, 24, 24]
    assert torch.bincount(data.test.labels).tolist() == [12, 12]


def test_a_folder_of_parquet_files_keeps_its_splits(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train-00000.parquet", 150, text=True)
    pixels = write_parquet(tmp_path / "test-00000.parquet", 40, text=True, seed=1)
    data = load_data(f"parquet:{tmp_path}")
    assert data.classes == ("cat", "dog")
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [125, 25, 40]
    assert np.array_equal(data.test.images.numpy(), pixels.transpose(0, 3, 1, 2))


def test_the_hubs_own_parquet_files_are_read_with_their_class_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    names = ["oak", "elm", "ash"]
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    rows = {"img": [Image.new("L", (9, 9), i) for i in range(120)], "label": [i % 3 for i in range(120)]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "trees.parquet")
    data = load_data(f"parquet:{tmp_path / 'trees.parquet'}")
    assert data.classes == tuple(names) and data.channels == 1
    assert (data.test.images[:, 0, 0, 0].long() % 3).tolist() == data.test.labels.tolist()


def test_parquet_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with pytest.raises(DataError, match="there is none at"):
        load_data(f"parquet:{path}")
    path.write_bytes(b"PAR1 not")
    with pytest.raises(DataError, match="can be read"):
        load_data(f"parquet:{path}")
    pq.write_table(pa.table({"a": [1.5], "label": [1]}), path)
    with pytest.raises(DataError, match="one image column"):
        load_data(f"parquet:{path}")
    pq.write_table(pa.table({"image": [b"x", None], "label": [1, 2]}), path)
    with pytest.raises(DataError, match="encoded image in every row, but row 1"):
        load_data(f"parquet:{path}")
    pq.write_table(pa.table({"image": [b"x", b"y"], "label": [1, None]}), path)
    with pytest.raises(DataError, match="row 1 has none"):
        load_data(f"parquet:{path}")


# names and arguments


@pytest.mark.parametrize("name", ["mnist", "", "Digits", "https://example.org/x.zip"])
def test_an_unknown_name_lists_the_choices(name: str) -> None:
    for ask in (check_data, load_data):
        with pytest.raises(UnknownNameError, match="digits, fashion_mnist, cifar10"):
            ask(name)


@pytest.mark.parametrize("name", ["digits:here", "folder", "folder:", "parquet"])
def test_a_path_is_wanted_where_it_belongs(name: str) -> None:
    with pytest.raises(DataError, match="folder:PATH"):
        load_data(name)


def test_every_data_set_can_be_imported() -> None:
    assert all(callable(DATA_SOURCES.load(name)) for name in DATA_SOURCES)


@pytest.mark.parametrize(
    "options", ["resolution=0", "resolution=1000000", "channels=3", "channels=2", "fit=pad"]
)
def test_options_out_of_range_are_refused(options: str) -> None:
    with pytest.raises(DataError, match="got"):
        load_data(f"digits,{options}")


def test_a_split_of_another_word_is_refused(digits: DataSet) -> None:
    with pytest.raises(DataError, match="train, validation, test"):
        digits.split("val")


def test_splits_that_contradict_each_other_are_refused(digits: DataSet) -> None:
    colour = Split("test", digits.test.images.repeat(1, 3, 1, 1), digits.test.labels)
    with pytest.raises(DataError, match="equal channels"):
        DataSet("x", digits.classes, digits.train, digits.validation, colour)
    with pytest.raises(DataError, match=r"0\.\.8"):
        DataSet("x", digits.classes[:9], digits.train, digits.validation, digits.test)
    with pytest.raises(DataError, match="uint8"):
        Split("test", digits.test.images.float(), digits.test.labels)
    with pytest.raises(DataError, match="int64"):
        Split("test", digits.test.images, digits.test.labels[1:])


# batches


def test_prepare_leaves_pixels_alone_where_the_size_fits(digits: DataSet) -> None:
    images = digits.test.images[:5]
    assert torch.equal(prepare(images, 32, [0.0], [1.0]), images.float() / 255)


@pytest.mark.parametrize("resolution", [8, 20, 48])
def test_prepare_resizes_and_normalises(digits: DataSet, resolution: int) -> None:
    images = digits.test.images[:5].clone()
    out = prepare(images, resolution, digits.mean, digits.std)
    expected = F.interpolate(images.float() / 255, size=(resolution,) * 2, mode="bilinear", antialias=True)
    assert out.dtype == torch.float32 and out.shape == (5, 1, resolution, resolution)
    assert torch.allclose(out, (expected - digits.mean[0]) / digits.std[0], atol=1e-5)
    assert torch.equal(images, digits.test.images[:5])


def test_prepare_averages_when_it_shrinks() -> None:
    stripes = (torch.arange(32) % 2 * 255).to(torch.uint8).expand(1, 1, 32, 32).contiguous()
    assert float((prepare(stripes, 8, [0.0], [1.0]) - 0.5).abs().max()) < 0.1


def test_prepare_refuses_what_does_not_fit(digits: DataSet) -> None:
    images = digits.test.images[:2]
    with pytest.raises(DataError, match="uint8"):
        prepare(images.float(), 8, [0.0], [1.0])
    with pytest.raises(DataError, match="1 values"):
        prepare(images, 8, [0.0] * 3, [1.0] * 3)
    with pytest.raises(DataError, match="resolution"):
        prepare(images, 0, [0.0], [1.0])


@settings(max_examples=30)
@given(
    st.integers(1, 4),
    st.sampled_from([1, 3]),
    st.integers(1, 7),
    st.integers(0, 3),
    st.booleans(),
    st.integers(0, 99),
)
def test_augment_equals_cropping_one_image_at_a_time(
    n: int, c: int, side: int, pad: int, flip: bool, seed: int
) -> None:
    images = torch.randint(0, 256, (n, c, side, side), generator=torch.Generator().manual_seed(seed)).to(
        torch.uint8
    )
    out = augment(images, torch.Generator().manual_seed(seed), pad, flip)
    draws = torch.Generator().manual_seed(seed)
    top, left = (
        (torch.randint(0, 2 * pad + 1, (n, 1), generator=draws) for _ in range(2))
        if pad or flip
        else ([], [])
    )
    mirrored = torch.rand((n, 1), generator=draws) < 0.5 if flip else torch.zeros(n, 1)
    for i in range(n):
        expected = images[i]
        if pad or flip:
            y, x = int(top[i]), int(left[i])
            expected = F.pad(images[i], (pad,) * 4)[:, y : y + side, x : x + side]
            expected = expected.flip(2) if mirrored[i] else expected
        assert torch.equal(out[i], expected)


def test_augment_draws_for_each_image_and_repeats_with_the_seed(digits: DataSet) -> None:
    images = digits.train.images[:1].expand(64, -1, -1, -1)
    out = augment(images, step_generator(0, 7), pad=2, flip=True)
    assert len({image.numpy().tobytes() for image in out}) > 20
    assert torch.equal(out, augment(images, step_generator(0, 7), pad=2, flip=True))
    assert not torch.equal(out, augment(images, step_generator(0, 8), pad=2, flip=True))


def test_augment_refuses_a_negative_pad(digits: DataSet) -> None:
    with pytest.raises(DataError, match="pad >= 0"):
        augment(digits.train.images[:1], step_generator(0, 0), pad=-1)


@given(st.integers(1, 300), st.integers(0, 2**40), st.integers(0, 1000))
def test_an_epoch_visits_every_image_once(n: int, seed: int, epoch: int) -> None:
    assert sorted(epoch_order(n, seed, epoch).tolist()) == list(range(n))


def test_order_depends_on_seed_and_epoch_and_never_changes() -> None:
    assert permutation(8, 0).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]
    orders = {tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_batches_of_an_epoch_do_not_overlap_and_follow_its_order() -> None:
    batches = [batch_indices(100, 32, seed=5, step=step) for step in range(6)]
    assert torch.equal(torch.cat(batches[:3]), epoch_order(100, 5, 0)[:96])
    assert torch.equal(torch.cat(batches[3:]), epoch_order(100, 5, 1)[:96])
    with pytest.raises(DataError, match="batch_size"):
        batch_indices(10, 11, 0, 0)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (30, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, "PNG")
    cells = [whole.getvalue()] * 120
    for damaged, words in ((b"no image", "no supported image format"), (cells[0][:400], "damaged")):
        table = pa.table({"image": [*cells[:7], damaged, *cells[8:]], "label": [k % 3 for k in range(120)]})
        pq.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(DataError, match=f"row 7 of a.parquet .*{words}") as refused:
            load_data(f"parquet:{tmp_path / 'a.parquet'}")
        assert "0x" not in str(refused.value)
        for split in ("train", "validation", "test"):
            for name in ("oak", "elm"):
                (tmp_path / "images" / split / name).mkdir(parents=True, exist_ok=True)
                (tmp_path / "images" / split / name / "1.png").write_bytes(cells[0])
        (tmp_path / "images" / "train" / "oak" / "1.png").write_bytes(damaged)
        with pytest.raises(DataError, match=f"oak/1.png .*{words}"):
            load_data(f"folder:{tmp_path / 'images'}")


def test_pixels_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(256, (7, 5, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("supernets.data.dataset.COUNTED_BYTES", 2 * images[0].numel())
    assert count_pixels(images).tolist() == np.bincount(images.numpy().reshape(-1), minlength=256).tolist()
    assert count_pixels(images[:0]).sum() == 0
