"""Small files that unpack to gigabytes: refused, or read in pieces, within a limit on memory.

Each case runs in a child process that may map ``HEADROOM`` bytes more than it does after its imports.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from supernets.errors import CheckpointError
from supernets.manifest import Manifest
from supernets.official.nets import read_entries
from supernets.pretrained.folder import PretrainedFolder

HEADROOM = 700 << 20
LIMITED = f"""
import re, resource, sys
from pathlib import Path
import pyarrow.parquet, pyarrow.compute, torch
from PIL import Image
Image.init()
from predictors.tables.read import read_table
from supernets.checkpoints import read_tensors
from supernets.data import load_data
from supernets.errors import CheckpointError
from supernets.manifest import Manifest
from supernets.official.nets import read_entries
from supernets.pretrained.folder import PretrainedFolder
from predictors.quality.imported_mlp import _convert
import supernets.data.sources.fashion_mnist, supernets.data.sources.folder, supernets.data.sources.stream
pyarrow.set_cpu_count(1); pyarrow.set_io_thread_count(1); torch.set_num_threads(1)
mapped = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (mapped + {HEADROOM},) * 2)
for line in sys.stdin:
    try:
        answer = f"result: {{eval(line)}}"
    except Exception as error:
        answer = f"refused: {{type(error).__name__}} {{error}}"
    pyarrow.default_memory_pool().release_unused()
    print(answer.replace(chr(10), " "), flush=True)
"""
Limited = Callable[[str], str]


@pytest.fixture(scope="module")
def limited() -> Iterator[Limited]:
    """What a child process under the limit answers to an expression."""
    with subprocess.Popen(
        [sys.executable, "-c", LIMITED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        # Arrow's own pools keep the addresses of what was freed, which would shrink the headroom of the next case.
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
    ) as child:
        assert child.stdin is not None and child.stdout is not None

        def ask(expression: str) -> str:
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write(expression + "\n")
            child.stdin.flush()
            return child.stdout.readline().strip()

        yield ask
        child.stdin.close()
        assert child.wait(60) == 0


def png(label: int, index: int, padding: bytes = b"") -> bytes:
    """A small image, whose file is larger by ``padding``: decoders skip what follows the last chunk."""
    pixels = np.random.default_rng(index).integers(0, 60, (16, 16), dtype=np.uint8)
    pixels[:8, 8 * label : 8 * label + 8] += 150
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue() + padding


def table(path: Path, images: list[bytes], labels: list[object], places: list[int]) -> str:
    """A parquet file whose rows take few distinct values, which are stored once."""
    rows = {
        "image": pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(images, pa.binary())),
        "label": pa.array([labels[place] for place in places]),
    }
    pq.write_table(
        pa.table(rows),
        path,
        compression="zstd",
        dictionary_pagesize_limit=256 << 20,
        row_group_size=1 << 20,
        store_schema=False,  # a plain column, not one of Arrow's dictionaries
    )
    assert pq.read_schema(path).types == [pa.binary(), rows["label"].type]
    return str(path)


def test_rows_that_repeat_a_large_image_are_read_in_pieces(limited: Limited, tmp_path: Path) -> None:
    images = [png(place % 2, place, b"\0" * (1 << 20)) for place in range(2)]
    places = [index % 2 for index in range(1500)]
    file = table(tmp_path / "all.parquet", images, [0, 1], places)
    assert Path(file).stat().st_size < 100_000
    answer = limited(f"len(load_data('parquet:{file}').train)")
    assert answer == "result: 900"


def repeated(values: list[str], places: list[int]) -> pa.DictionaryArray:
    """A column of the values at ``places``; written without the schema of Arrow it is a plain column."""
    return pa.DictionaryArray.from_arrays(pa.array(places, type=pa.int32()), pa.array(values))


def test_a_label_of_megabytes_is_refused(limited: Limited, tmp_path: Path) -> None:
    names = [letter * (1 << 20) for letter in "ab"]
    places = [index % 2 for index in range(1500)]
    images = [png(place, place) for place in range(2)]
    pq.write_table(
        pa.table({"image": [images[place] for place in places], "label": repeated(names, places)}),
        tmp_path / "all.parquet",
        compression="zstd",
        dictionary_pagesize_limit=256 << 20,
        store_schema=False,
    )
    assert pq.read_schema(tmp_path / "all.parquet").types == [pa.binary(), pa.string()]
    assert (tmp_path / "all.parquet").stat().st_size < 200_000
    for source in ("parquet", "stream"):
        answer = limited(f"load_data('{source}:{tmp_path}/all.parquet')")
        assert "a class name may have 200 characters" in answer


def chunk(body: bytes) -> bytes:
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP file of these chunks."""
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(width: int, height: int, strip: bytes = b"", compression: int = 8) -> bytes:
    """A grey TIFF file of one strip with the given size in its header."""
    tags = {
        256: width,
        257: height,
        258: 8,
        259: compression,
        262: 1,
        273: 8,
        277: 1,
        278: height,
        279: len(strip),
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    start = 8 + len(strip) + len(strip) % 2
    return (
        b"II*\0"
        + struct.pack("<I", start)
        + strip.ljust(start - 8, b"\0")
        + struct.pack("<H", 9)
        + entries
        + bytes(4)
    )


LOSSLESS = b"\x2f" + struct.pack("<I", 16_382 | 16_382 << 14) + bytes(64)
BOMBS = {
    "TIFF": tiff(60_000, 60_000, zlib.compress(bytes(100_000))),
    "WebP lossless": riff((b"VP8L", LOSSLESS)),
    "WebP lossy": riff((b"VP8 ", b"\x30\x01\0\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383) + bytes(64))),
    "WebP extended": riff(
        (b"VP8X", bytes([0, 0, 0, 0]) + (16_382).to_bytes(3, "little") + (16_382).to_bytes(3, "little")),
        (b"VP8L", LOSSLESS),
    ),
    "WebP animation": riff(
        (b"VP8X", bytes([2, 0, 0, 0]) + (16_382).to_bytes(3, "little") + (16_382).to_bytes(3, "little")),
        (b"ANIM", bytes(6)),
        (
            b"ANMF",
            bytes(6)
            + (16_382).to_bytes(3, "little") * 2
            + bytes(4)
            + b"VP8L"
            + struct.pack("<I", len(LOSSLESS))
            + LOSSLESS,
        ),
    ),
    "JPEG": b"\xff\xd8\xff\xc0"
    + struct.pack(">HBHHB", 11, 8, 65_500, 65_500, 1)
    + b"\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    + bytes(64),
    "PNG": b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    + chunk(b"IDAT" + zlib.compress(bytes(100_000)))
    + chunk(b"IEND"),
    "GIF": b"GIF89a"
    + struct.pack("<HH", 65_535, 65_535)
    + b"\x80\0\0\0\0\0\xff\xff\xff,"
    + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0)
    + b"\x02\x02D\x01\0;",
    "BMP": b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "PPM": b"P5 60000 60000 255\n" + bytes(64),
}
"""Files of a few bytes that declare pictures of billions of pixels."""


@pytest.mark.parametrize("kind", BOMBS)
def test_a_picture_that_declares_billions_of_pixels_is_refused_unread(
    limited: Limited, kind: str, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(50):
            (tmp_path / name / f"{index}.png").write_bytes(png(name == "b", index))
    (tmp_path / "a" / "bomb.png").write_bytes(BOMBS[kind])
    answer = limited(f"load_data('folder:{tmp_path}')")
    assert "a/bomb.png" in answer and "50,000,000 pixels" in answer


def npz(path: Path, shape: tuple[int, ...], dtype: str, zeros: int) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                head, {"descr": dtype, "fortran_order": False, "shape": shape}
            )
            with archive.open(f"{name}.npy", "w") as file:
                file.write(head.getvalue())
                for _ in range(zeros >> 20):
                    file.write(b"\0" * (1 << 20))


@pytest.mark.parametrize(
    ("shape", "dtype", "megabytes"),
    [
        ((10**18,), "<u8", 0),
        ((900_000, 28, 28), "|u1", 8),
        ((1000, 28, 28), "<f8", 8),
        ((10**6, 10**6), "|u1", 0),
    ],
)
def test_arrays_that_declare_more_than_they_hold_are_refused(
    limited: Limited, shape: tuple[int, ...], dtype: str, megabytes: int, tmp_path: Path
) -> None:
    npz(tmp_path / "fashion_mnist.npz", shape, dtype, megabytes << 20)
    answer = limited(f"load_data('fashion_mnist', Path('{tmp_path}'))")
    assert answer.startswith("refused: DataError") and "x_train" in answer


@pytest.mark.parametrize(
    ("length", "rows", "bound"),
    [(1 << 20, 2000, "at most 65536 characters"), (60_000, 6000, "bytes unpacked")],
)
def test_a_table_that_repeats_long_text_is_read_in_pieces_and_refused(
    limited: Limited, length: int, rows: int, bound: str, tmp_path: Path
) -> None:
    text = repeated(["a" * length], [0] * rows)
    pq.write_table(
        pa.table({"arch": text, "latency": pa.array([1.0] * rows)}),
        tmp_path / "t.parquet",
        compression="zstd",
        dictionary_pagesize_limit=256 << 20,
        store_schema=False,
    )
    assert pq.read_schema(tmp_path / "t.parquet").types == [pa.string(), pa.float64()]
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    answer = limited(f"read_table(Path('{tmp_path}/t.parquet').read_bytes(), ['arch', 'latency'])")
    assert answer.startswith("refused: TableError") and bound in answer


def test_a_csv_of_one_long_field_or_of_many_rows_is_refused(limited: Limited) -> None:
    assert limited("read_table(b'a,b\\n' + b'x' * 5_000_000, ['a'])").startswith("refused: TableError")
    assert limited("read_table(b'a\\n' + b'1\\n' * 2_000_000, ['a'])").startswith("refused: TableError")


def test_weights_that_declare_more_than_the_file_holds_are_refused(limited: Limited, tmp_path: Path) -> None:
    for shape, end in (([10**9, 10**9], 4 * 10**18), ([1 << 30], 4 << 30)):
        head = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}).encode()
        path = tmp_path / "w.safetensors"
        path.write_bytes(struct.pack("<Q", len(head)) + head + b"\0" * 64)
        assert "CheckpointError" in limited(f"read_tensors(Path('{path}'))")
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    assert "CheckpointError" in limited(f"read_tensors(Path('{path}'))")


def repacked(
    content: bytes, change: Callable[[str, bytes], bytes], method: int = zipfile.ZIP_STORED
) -> bytes:
    """An archive of torch with other entries, or packed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(packed, "w", method) as out:
        for name in archive.namelist():
            out.writestr(name, change(name, archive.read(name)))
    return packed.getvalue()


def torch_bombs() -> dict[str, bytes]:
    """Files of at most a megabyte that hold, or declare, gigabytes."""

    def saved(state: object) -> bytes:
        file = io.BytesIO()
        torch.save(state, file)
        return file.getvalue()

    one = torch.zeros(1, dtype=torch.half)
    small, wide = saved({"w": one}), one.expand(10**4, 10**4)
    # A pickle that calls bytearray(10**11), which torch allows.
    reserve = b"\x80\x02c__builtin__\nbytearray\n" + pickle.dumps((10**11,), 2)[2:-1] + b"R."
    return {
        "one number": saved({"w": one.expand(10**6, 10**6)}),
        "many tensors": saved({f"w{number}": wide for number in range(100)}),
        "packed": repacked(
            saved({"w": torch.zeros(50_000_000)}), lambda _, content: content, zipfile.ZIP_DEFLATED
        ),
        "bytearray": repacked(small, lambda name, content: reserve if name.endswith(".pkl") else content),
        "other pickle": repacked(
            small, lambda name, content: b"\x80\x02R." if name.endswith(".pkl") else content
        ),
    }


def test_a_torch_file_that_unpacks_or_repeats_to_gigabytes_is_refused(
    limited: Limited, tmp_path: Path
) -> None:
    path = tmp_path / "pytorch_model.bin"
    for name, content in torch_bombs().items():
        assert len(content) < 1 << 20
        path.write_bytes(content)
        official = limited(f"read_entries(Path('{path}'))")
        pretrained = limited(f"PretrainedFolder(Path('{tmp_path}')).tensors()")
        predictor = limited(f"_convert(['{path}', '{tmp_path}/n.npz'], None)")
        assert official.startswith("refused: CheckpointError"), (name, official)
        assert pretrained.startswith("refused: ConvertError"), (name, pretrained)
        assert predictor.startswith("refused: "), (name, predictor)
        assert "MemoryError" not in predictor and "allocate" not in official + pretrained + predictor, name


def test_tied_weights_are_no_bomb(tmp_path: Path) -> None:
    shared = torch.arange(1000.0)
    torch.save({"in": shared, "out": shared, "head": shared[:500]}, tmp_path / "pytorch_model.bin")
    assert PretrainedFolder(tmp_path).tensors()["out"].tolist() == shared.tolist()
    assert len(read_entries(tmp_path / "pytorch_model.bin")) == 3


def test_compressed_text_and_nested_aliases_are_no_tables(limited: Limited, tmp_path: Path) -> None:
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(b"arch,latency\n" + b"1,1\n" * (64 << 20)))
    assert packed.stat().st_size < 1 << 20
    aliases = "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30)
    )
    (tmp_path / "t.yaml").write_text(f"a0: &a0 [x, x]\n{aliases}")
    for name in ("t.csv.gz", "t.yaml"):
        answer = limited(f"read_table(Path('{tmp_path}/{name}').read_bytes(), ['arch', 'latency'])")
        assert answer.startswith("refused: TableError")


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "a\0b"])
@pytest.mark.parametrize("field", ["report", "recipe", "preprocessing"])
def test_text_that_no_database_can_hold_is_refused_anywhere_in_a_manifest(
    field: str, text: str, tmp_path: Path
) -> None:
    zoo = Path(__file__).parents[2] / "zoo" / "digits" / "manifest.json"
    values = json.loads(zoo.read_text())
    values[field] = {**values[field], "a": [{"b": text}]}
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="must hold text"):
        Manifest.read(tmp_path)
