"""Content-addressed files: whole, unchanged, checked."""

import hashlib
import os
import threading

import pytest

from service.artifacts import ArtifactStore
from service.errors import ArtifactError


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return ArtifactStore(str(tmp_path / "store") if request.param == "local" else f"memory://{tmp_path}")


def test_what_is_put_comes_back_under_its_hash(store, tmp_path):
    content = b"x" * 3_000_000 + b"end"
    path = tmp_path / "file"
    path.write_bytes(content)
    sha256, size = store.put_file(path)
    assert (sha256, size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert store.put(content) == sha256
    assert store.read(sha256) == content
    assert store.size(sha256) == len(content)
    assert b"".join(store.stream(sha256)) == content
    assert b"".join(store.stream(sha256, 2_999_999, 3_000_002)) == b"xen"


def test_a_missing_artifact_and_a_bad_name_are_told(store):
    with pytest.raises(ArtifactError, match="no longer"):
        store.read("0" * 64)
    for name in ("../../etc/passwd", "0" * 63, "G" * 64):
        with pytest.raises(ArtifactError, match="64 lower-case hex"):
            store.read(name)


def test_storing_again_repairs_a_damaged_artifact(tmp_path):
    store = ArtifactStore(str(tmp_path / "store"))
    sha256 = store.put(b"good")
    path = tmp_path / "store" / sha256[:2] / sha256
    assert store.is_whole(sha256)
    for damaged in (b"evil", b""):
        path.write_bytes(damaged)
        assert not store.is_whole(sha256)
        assert store.put(b"good") == sha256 and store.read(sha256) == b"good"
    path.unlink()
    assert not store.is_whole(sha256)


@pytest.mark.parametrize("put", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_no_artifact_and_is_not_replaced(tmp_path, put):
    store = ArtifactStore(str(tmp_path / "store"))
    sha256 = store.put(b"good")
    path = tmp_path / "store" / sha256[:2] / sha256
    path.unlink()
    put(path)
    assert not store.is_whole(sha256)
    for use in (store.read, store.size, lambda sha256: next(store.stream(sha256))):
        with pytest.raises(ArtifactError, match="no longer"):
            use(sha256)
    with pytest.raises(ArtifactError, match="remove it"):
        store.put(b"good")
    assert path.exists() and not path.is_file()


def test_a_damaged_artifact_is_never_handed_out(tmp_path):
    store = ArtifactStore(str(tmp_path / "store"))
    sha256 = store.put(b"good")
    [path] = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    path.write_bytes(b"evil")
    with pytest.raises(ArtifactError, match="damaged"):
        store.read(sha256)
    with pytest.raises(ArtifactError, match="damaged"):
        next(store.stream(sha256))
    with pytest.raises(ArtifactError, match="damaged"):
        store.fetch(sha256, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_fetch_replaces_what_has_another_hash(store, tmp_path):
    sha256 = store.put(b"content")
    path = tmp_path / "folder" / "file"
    assert store.fetch(sha256, path).read_bytes() == b"content"
    path.write_bytes(b"other")
    assert store.fetch(sha256, path).read_bytes() == b"content"


def test_writers_at_the_same_time_leave_one_whole_file(tmp_path):
    store = ArtifactStore(str(tmp_path / "store"))
    content = b"y" * 1_000_000
    threads = [threading.Thread(target=store.put, args=(content,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [content]


def test_a_failed_write_leaves_nothing(tmp_path):
    store = ArtifactStore(str(tmp_path / "store"))

    def broken():
        yield b"some"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store._store("0" * 64, broken())
    assert not any(path.is_file() for path in (tmp_path / "store").rglob("*"))
