"""Every data source keeps the promises of the interface; a source without an instance here fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from supernets import DATA_SOURCES
from supernets.data import fingerprint, open_source
from supernets.data.source import DataSource
from supernets.data.text.dataset import TextData
from tests.small import small_corpus, small_texts
from tests.supernets.test_data import write_folder, write_parquet
from tests.supernets.test_stream import write


def _parquet(folder: Path) -> str:
    write_parquet(folder / "all.parquet", 120)
    return f"parquet:{folder}"


INSTANCES: dict[str, Callable[[Path], str]] = {
    "digits": lambda _: "digits",
    "folder": lambda folder: f"folder:{write_folder(folder / 'f', {'a': 60, 'b': 60})}",
    "parquet": _parquet,
    "stream": lambda folder: f"stream:{write(folder)}",
    "text": small_texts,
    "corpus": small_corpus,
    "python_source": lambda _: "python_source,window=512",
}
ELSEWHERE = {
    "hub": "tests/supernets/test_stream.py, with the hub's client replaced",
    "fashion_mnist": "tests/supernets/test_facts.py and test_data.py, where NETWRIGHT_DATA is set",
    "cifar10": "tests/supernets/test_facts.py and test_data.py, where NETWRIGHT_DATA is set",
}


@pytest.fixture(params=list(DATA_SOURCES))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> DataSource:
    if request.param in ELSEWHERE:
        pytest.skip(f"tested in {ELSEWHERE[request.param]}")
    assert request.param in INSTANCES, f"add an instance of {request.param} to INSTANCES"
    return open_source(INSTANCES[request.param](tmp_path))


def test_facts_are_what_loading_finds(source: DataSource) -> None:
    facts, data = source.facts(), source.splits()
    assert (facts.name, facts.classes, facts.reads) == (data.name, data.classes, data.reads)
    assert facts.train == len(data.train)
    if isinstance(data, TextData):
        assert (facts.channels, facts.resolution, facts.stored_bytes) == (None, None, None)
        assert facts.vocabulary == data.tokenization.vocabulary
    else:
        assert (facts.channels, facts.resolution) == (data.channels, data.base_resolution)
        assert facts.stored_bytes == data.stored_bytes
    assert data.name == str(source.spec)


def test_equal_files_spec_and_seed_give_equal_hashes(source: DataSource) -> None:
    again = open_source(str(source.spec))
    assert again.splits().describe() == source.splits().describe()
    assert fingerprint(again) == fingerprint(source)


def test_the_report_counts_every_example(source: DataSource) -> None:
    report, data = source.look().report, source.splits()
    examples = sum(len(data.split(name)) for name in ("train", "validation", "test"))
    assert sum(split.images for split in report.splits.values()) == examples
    if data.classes:
        assert all(sum(split.classes.values()) == split.images for split in report.splits.values())
    if data.reads == "images":
        assert (report.channels, report.resolution) == (data.channels, data.base_resolution)
    assert report.errors == []
    assert set(report.as_json()) == {"splits", "channels", "resolution", "problems"}
