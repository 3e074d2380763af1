"""Streamed training images: the order is a function of seed and step, and nothing of it is in memory but a buffer."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from supernets.data import DataSet, load_data
from supernets.data import images as images_module
from supernets.data import streamed as stream_module
from supernets.data.images import Form
from supernets.data.stored.tables import ParquetShards, index_files
from supernets.data.streamed import StreamedSplit, some_rows
from supernets.errors import DataError
from supernets.evaluate import evaluate_net
from supernets.recipes.recipe import Recipe
from supernets.training.loop import STATE_INFO, Training, restore, train_step
from supernets.training.steps.processes import Processes
from tests.small import small_family, start, train
from tests.supernets.test_processes import ROOT, environment, toml

CLASSES = 10


def png(value: int) -> bytes:
    """An image that says which row it is."""
    pixels = np.zeros((8, 8), dtype=np.uint8)
    pixels[0, :2] = value // 256, value % 256
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write(
    folder: Path, files: int = 3, rows: int = 80, group: int = 16, split: str = "train", first: int = 0
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(files):
        values = [first + index * rows + k for k in range(rows)]
        table = pa.table(
            {
                "image": pa.array([{"bytes": png(v), "path": None} for v in values]),
                "label": pa.array([v % CLASSES for v in values]),
            }
        )
        pq.write_table(table, folder / f"{split}-{index:05d}-of-{files:05d}.parquet", row_group_size=group)
    return folder


def values_of(images: torch.Tensor) -> list[int]:
    return (images[:, 0, 0, 0].int() * 256 + images[:, 0, 0, 1].int()).tolist()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("shards"))


@pytest.fixture
def data(folder: Path) -> DataSet:
    return load_data(f"stream:{folder}")


def split_of(folder: Path, buffer: int) -> StreamedSplit:
    shards = shards_of(folder)
    return StreamedSplit(shards, np.arange(len(shards.labels)), Form(1, 8), buffer=buffer, sample=20)


def shards_of(folder: Path) -> ParquetShards:
    return index_files({"train": sorted(folder.glob("*.parquet"))}).splits["train"]


def test_an_epoch_visits_every_row_once_and_the_next_in_another_order(folder: Path) -> None:
    split = split_of(folder, buffer=40)
    seen = [values_of(split.batch(16, 3, step)[0]) for step in range(30)]
    first, second = (sum(part, []) for part in (seen[:15], seen[15:]))
    assert sorted(first) == sorted(second) == list(range(240))
    assert first != second
    assert values_of(split.batch(16, 4, 0)[0]) != seen[0]


def test_rows_are_shuffled_within_a_buffer_of_shuffled_groups(folder: Path) -> None:
    split = split_of(folder, buffer=40)
    order = sum((values_of(split.batch(16, 0, step)[0]) for step in range(15)), [])
    groups = [value // 16 for value in order]
    assert len(set(groups[:48])) == 3  # three groups of 16 make a buffer of 40 or more
    assert groups[:48] != sorted(groups[:48], key=groups.index)
    assert {value % 16 for value in order[:48]} == set(range(16))


def test_a_batch_is_a_function_of_seed_and_step_alone(folder: Path) -> None:
    straight, jumping = split_of(folder, 40), split_of(folder, 40)
    batches = {step: straight.batch(16, 1, step) for step in range(20)}
    for step in (19, 3, 4, 17, 0):
        images, labels = jumping.batch(16, 1, step)
        assert torch.equal(images, batches[step][0]) and torch.equal(labels, batches[step][1])
        assert labels.tolist() == [value % CLASSES for value in values_of(images)]


def test_processes_decode_their_own_share_of_the_same_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = split_of(folder, 40).batch(16, 0, 7)
    decoded: list[int] = []
    real = images_module.opened
    monkeypatch.setattr(images_module, "opened", lambda cell: decoded.append(1) or real(cell))
    shares = []
    for rank in range(2):
        split = split_of(folder, 40)
        decoded.clear()
        split._batch(16, 0, 7, *Processes(rank, 2).part(16).indices(16)[:2])
        assert len(decoded) == 8
        shares.append(split.batch(16, 0, 7, Processes(rank, 2).part(16)))
    assert torch.equal(torch.cat([images for images, _ in shares]), whole[0])
    assert torch.equal(torch.cat([labels for _, labels in shares]), whole[1])


def test_no_more_than_two_buffers_are_kept(folder: Path) -> None:
    split = split_of(folder, 32)
    for step in range(15):
        split.batch(16, 0, step)
        assert sum(len(rows) for rows in split._buffers.values()) <= 2 * (32 + 16)


def test_splits_share_no_row_and_lose_none(data: DataSet) -> None:
    parts = {name: set(values_of(data.held(name).images)) for name in ("validation", "test")}
    train_rows = set(sum((values_of(data.train.batch(1, 0, step)[0]) for step in range(len(data.train))), []))
    assert len(parts["validation"]) == len(parts["test"]) == 48 and len(train_rows) == 144
    assert train_rows.isdisjoint(parts["validation"] | parts["test"])
    assert parts["validation"].isdisjoint(parts["test"])
    assert set(values_of(data.train.head(10**9))) <= train_rows
    assert set(torch.bincount(data.validation.labels).tolist()) == {4, 5}


def test_splits_that_the_folder_brings_are_kept(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, files=1, rows=30, split="test", first=1000)
    data = load_data(f"stream:{tmp_path}")
    assert (len(data.train), len(data.validation), len(data.test)) == (200, 40, 30)


def test_what_is_held_comes_from_few_groups(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "NEAR_GROUPS", 2)
    shards = shards_of(folder)
    rows = some_rows(shards, 0)
    assert len(rows) == 32 and len({row // 16 for row in rows.tolist()}) == 2


def test_the_hash_depends_on_files_labels_and_form(folder: Path, tmp_path: Path) -> None:
    known = load_data(f"stream:{folder}")
    assert load_data(f"stream:{folder}").describe() == known.describe()
    assert load_data(f"stream:{folder}", seed=1).train.sha256 != known.train.sha256
    assert load_data(f"stream:{folder},resolution=16").train.sha256 != known.train.sha256
    assert load_data(f"stream:{write(tmp_path, group=20)}").train.sha256 != known.train.sha256


def recipe() -> Recipe:
    values = Recipe.read("sandwich").as_json()
    return Recipe.parse(
        {**values, "steps": 24, "batch_size": 8, "schedule": {}, "augment": {"pad": 2, "flip": True}}
    )


def test_a_resumed_training_equals_an_uninterrupted_one(folder: Path, tmp_path: Path) -> None:
    def run(out: str, until: int | None = None) -> Training:
        data = load_data(f"stream:{folder}")
        return train(recipe(), small_family(), data, tmp_path / out, until_step=until, evaluate_every=99)

    whole = run("whole")
    run("parts", 5)
    run("parts", 19)  # past the end of the first epoch of 144 images
    parts = run("parts")
    state = whole.net.state_dict()
    assert all(torch.equal(state[name], value) for name, value in parts.net.state_dict().items())


def test_a_streamed_training_has_the_losses_of_the_same_rows_in_memory(data: DataSet) -> None:
    streamed = start(recipe(), small_family(), data, 0)
    losses = train_step(streamed)
    images, labels = data.train.batch(8, 0, 0)
    same = SimpleNamespace(batch=lambda *_: (images, labels), __len__=lambda: 144)
    other = start(recipe(), small_family(), data, 0)
    other.data = SimpleNamespace(train=same, expected=None, preprocessing=data.preprocessing)
    assert train_step(other) == losses


def test_the_train_split_cannot_be_evaluated_but_the_others_can(data: DataSet) -> None:
    training = start(recipe(), small_family(), data, 0)
    smallest = training.space.min()
    assert evaluate_net(training.net, training.task, data, smallest, "validation").n == 48
    with pytest.raises(DataError, match="is streamed"):
        evaluate_net(training.net, training.task, data, smallest, "train")


def test_what_cannot_be_streamed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="must name a parquet file or a folder"):
        load_data(f"stream:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match="has the word train in its name"):
        load_data(f"stream:{tmp_path}")
    write(tmp_path / "few", files=1, rows=50)
    with pytest.raises(DataError, match="too few to cut out"):
        load_data(f"stream:{tmp_path / 'few'}")
    write(tmp_path / "two")
    monkeypatch.setattr("supernets.data.stored.tables.MAX_GROUP_BYTES", 10)
    with pytest.raises(DataError, match="write the file with smaller ones"):
        load_data(f"stream:{tmp_path / 'two'}")


def test_the_hub_is_streamed_file_by_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    real = datasets.load_dataset
    other = write(tmp_path / "test", files=1, first=1000)

    def local(repository: str, split: str, streaming: bool) -> object:
        assert (repository, streaming) == ("ethz/food101", True)
        files = sorted(map(str, (folder if split == "train" else other).glob("*.parquet")))
        loaded = real("parquet", data_files=files, split="train", streaming=True, cache_dir=str(tmp_path))
        return loaded.cast_column("image", datasets.Image())

    monkeypatch.setattr(datasets, "load_dataset", local)
    data = load_data("hub:food101")
    assert data.name == "hub:food101" and len(data.test) == 80
    train_rows = sum((values_of(data.train.batch(10, 0, step)[0]) for step in range(20)), [])
    assert len(set(train_rows)) == len(train_rows) == 200
    with pytest.raises(DataError, match="only fashion_mnist, cifar10"):
        load_data("hub:nobody/knows")


def test_a_killed_streamed_training_resumes_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    from tests.small import SMALL

    (tmp_path / "family.toml").write_text(toml(SMALL))
    out = tmp_path / "killed"
    command = [
        sys.executable,
        "-m",
        "supernets.training.launch",
        "sandwich",
        "--family",
        str(tmp_path / "family.toml"),
    ]
    command += [
        "--data",
        f"stream:{folder}",
        "--out",
        str(out),
        "--steps",
        "100000",
        "--checkpoint-every",
        "2",
    ]
    environment_ = environment() | {"PATH": os.environ["PATH"]}
    process = subprocess.Popen(command, env=environment_, cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 250
    while not (out / STATE_INFO).is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    made = Recipe.parse({**Recipe.read("sandwich").as_json(), "steps": 100000})
    killed, straight = (start(made, small_family(), load_data(f"stream:{folder}"), seed=0) for _ in range(2))
    restore(killed, out)
    for _ in range(killed.step):
        train_step(straight)
    for _ in range(2):
        assert train_step(killed) == train_step(straight)
