"""What is told of a data set before it is loaded is what loading finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from supernets.data import Facts, data_facts, load_data
from supernets.errors import DataError
from tests.supernets.test_data import NETWRIGHT_DATA, write_folder, write_parquet
from tests.supernets.test_stream import write


def assert_told(name: str) -> Facts:
    told, data = data_facts(name), load_data(name)
    assert (told.name, told.classes, told.channels) == (name, data.classes, data.channels)
    assert (told.resolution, told.train) == (data.base_resolution, len(data.train))
    assert told.stored_bytes == data.stored_bytes
    return told


def test_digits() -> None:
    assert_told("digits")


@pytest.mark.data
@pytest.mark.skipif(not NETWRIGHT_DATA, reason="NETWRIGHT_DATA is not set")
@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_the_official_files(name: str) -> None:
    assert_told(name)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_folder(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path, {"b": 70, "a": 60}, mode=mode)
    told = assert_told(f"folder:{tmp_path}")
    assert told.channels == (1 if mode == "L" else 3)
    monkeypatch.setattr("supernets.data.encoded.HEADERS", 7)
    assert data_facts(f"folder:{tmp_path}") == told


def test_a_folder_with_splits(tmp_path: Path) -> None:
    for seed, (split, count) in enumerate((("train", 130), ("test", 30))):
        write_folder(tmp_path / split, {"a": count, "b": count}, seed=seed)
    assert_told(f"folder:{tmp_path}")


@pytest.mark.parametrize("text", [False, True])
def test_a_parquet_file_and_a_folder_of_them(tmp_path: Path, text: bool) -> None:
    write_parquet(tmp_path / "train.parquet", 150, text=text)
    assert_told(f"parquet:{tmp_path / 'train.parquet'}")
    write_parquet(tmp_path / "test.parquet", 40, text=text, seed=1)
    assert_told(f"parquet:{tmp_path}")


def test_a_stream(tmp_path: Path) -> None:
    assert_told(f"stream:{write(tmp_path)}")
    write(tmp_path, files=1, split="test", first=1000)
    assert_told(f"stream:{tmp_path}")


def test_facts_of_a_stream_come_from_row_groups_of_every_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setattr("supernets.data.encoded.HEADERS", 30)
    facts = data_facts(f"stream:{tmp_path}")
    assert (facts.channels, facts.resolution, facts.classes) == (1, 8, tuple("0123456789"))


def test_the_hub_is_not_asked() -> None:
    assert data_facts("hub:imagenet") == Facts("hub:imagenet")
    with pytest.raises(DataError, match="only fashion_mnist, cifar10, food101, imagenet"):
        data_facts("hub:mine")


def test_what_loading_would_refuse_is_refused_where_it_shows(tmp_path: Path) -> None:
    for name in ("folder", "stream", "parquet"):
        with pytest.raises(DataError, match=str(tmp_path)):
            data_facts(f"{name}:{tmp_path}")
    write_folder(tmp_path / "mixed", {"a": 30})
    write_folder(tmp_path / "mixed", {"b": 30}, mode="L")
    with pytest.raises(DataError, match="30 are grey .such as b/0.png. and 30 colour .such as a/0.png."):
        data_facts(f"folder:{tmp_path / 'mixed'}")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(DataError, match="can be read"):
        data_facts(f"parquet:{tmp_path / 'bad.parquet'}")
