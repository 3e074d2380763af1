"""``.pt2`` files of others: what torch writes is read, and what could run is refused before torch sees it."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from supernets.convert import convert, convert_program
from supernets.convert.archive import read_program
from supernets.errors import ConvertError
from supernets.families.converted.traced_space import TracedConfig
from tests.convert.networks import CASES, built

CASE = next(case for case in CASES if case.name == "residual")


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("pt2") / "net.pt2"
    program = torch.export.export(
        built(CASE), (CASE.inputs(2)["x"],), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    torch.export.save(program, path)
    return path


def test_a_file_gives_the_supernet_of_its_network(written: Path) -> None:
    settings = TracedConfig((0.5, 1.0))
    found = convert_program(read_program(written), settings)
    direct = convert(built(CASE), CASE.inputs(2), widths=(0.5, 1.0))
    assert found.family.space() == direct.family.space()
    state, own = found.net.state_dict(), direct.net.state_dict()
    assert state.keys() == own.keys()
    assert all(torch.equal(state[name], own[name]) for name in own)


def changed(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy with other entries; None leaves an entry out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name.partition("/")[2], old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


def in_model(change: Callable[[Any], None]) -> Callable[[str, bytes], bytes]:
    def apply(name: str, content: bytes) -> bytes:
        if name != "models/model.json":
            return content
        program = json.loads(content)
        change(program)
        return json.dumps(program).encode()

    return apply


def test_example_inputs_are_not_unpickled(written: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    stored = io.BytesIO()
    torch.save(Bomb(mark), stored)
    path = changed(
        written,
        tmp_path / "a.pt2",
        lambda n, c: stored.getvalue() if n.startswith("data/sample_inputs") else c,
    )
    read_program(path)
    assert not mark.exists()


def test_pickled_tensors_are_refused(written: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    def change(name: str, content: bytes) -> bytes:
        if name == "data/weights/model_weights_config.json":
            config = json.loads(content)
            config["config"]["head.bias"]["use_pickle"] = True
            return json.dumps(config).encode()
        return pickle.dumps(Bomb(mark)) if name.startswith("data/weights/weight_") else content

    with pytest.raises(ConvertError, match=r"raw, 'head.bias' is pickled"):
        read_program(changed(written, tmp_path / "a.pt2", change))
    assert not mark.exists()


@pytest.mark.parametrize(
    "target", ["torch.ops.mine.run.default", "torch.os.system", "os.system", "#mine:run", "math.sin"]
)
def test_operators_of_others_are_refused(written: Path, tmp_path: Path, target: str) -> None:
    def change(program: Any) -> None:
        program["graph_module"]["graph"]["nodes"][0]["target"] = target

    with pytest.raises(ConvertError, match="operators must be those of torch"):
        read_program(changed(written, tmp_path / "a.pt2", in_model(change)))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "s0.__class__",
        "open('x')",
        "Symbol('s0').subs(1)",
        "(lambda: 1)()",
        "[x for x in (1,)]",
        "9**9**9",
        "Symbol('os')",
    ],
)
def test_code_in_place_of_a_size_is_refused(written: Path, tmp_path: Path, text: str) -> None:
    def change(program: Any) -> None:
        values = program["graph_module"]["graph"]["tensor_values"]
        for value in values.values():
            for size in value["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = text

    with pytest.raises(ConvertError, match="sizes must be expressions"):
        read_program(changed(written, tmp_path / "a.pt2", in_model(change)))


def test_a_bound_with_code_as_its_symbol_is_refused(written: Path, tmp_path: Path) -> None:
    def change(program: Any) -> None:
        (bounds,) = list(program["range_constraints"].values())[:1]
        program["range_constraints"] = {"__import__('os')": bounds}

    with pytest.raises(ConvertError, match="sizes must be expressions"):
        read_program(changed(written, tmp_path / "a.pt2", in_model(change)))


def test_other_entries_are_refused(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.pt2"
    path.write_bytes(written.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net/data/aotinductor/model/wrapper.so", b"\x7fELF")
    with pytest.raises(ConvertError, match="a graph and tensors only"):
        read_program(path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt2"
    for content in (b"", b"PK", pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(ConvertError, match=r"must be a file of torch.export.save"):
            read_program(path)


def test_a_file_with_a_fixed_batch_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt2"
    torch.export.save(torch.export.export(built(CASE), (CASE.inputs(2)["x"],)), path)
    with pytest.raises(ConvertError, match="batch of any size as its first axis.*dynamic batch"):
        convert_program(read_program(path))
