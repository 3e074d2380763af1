"""Examples are run against the real application."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from netwright import Client
from tests.netwright.house import ONNX

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_search(client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = runpy.run_path(str(EXAMPLES / "01_search.py"))["search"]
    saved = search(client, "digits", "cpu", 0.03, 4, tmp_path / "m.onnx")
    assert saved.read_bytes() == ONNX
    assert "latency_ms" in capsys.readouterr().out


def test_a_search_without_an_answer_names_the_nearest(client: Client, tmp_path: Path) -> None:
    search = runpy.run_path(str(EXAMPLES / "01_search.py"))["search"]
    with pytest.raises(SystemExit, match="excess"):
        search(client, "digits", "cpu", 1e-9, 4, tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["02_use_the_file.py", "03_classify_a_text.py"])
def test_an_example_without_arguments_shows_its_use(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [name])
    with pytest.raises(SystemExit, match=f"python examples/{name} subnet.onnx"):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
