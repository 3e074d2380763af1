"""Examples are run against the fake server."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from netwright import Client
from tests.netwright.fake_server import ONNX, FakeServer

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_search(client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = runpy.run_path(str(EXAMPLES / "01_search.py"))["search"]
    saved = search(client, "digits", "cpu", 0.07, 24, tmp_path / "m.onnx")
    assert saved.read_bytes() == ONNX
    assert "sub_middle" in capsys.readouterr().out


def test_search_that_finds_nothing_says_so(client: Client, server: FakeServer, tmp_path: Path) -> None:
    found = {
        **server.routes["GET", "/v1/searches/sea_1"],
        "feasible": False,
        "nearest": {"violations": [{"excess": 2}]},
    }
    server.routes["GET", "/v1/searches/sea_1"] = found
    search = runpy.run_path(str(EXAMPLES / "01_search.py"))["search"]
    with pytest.raises(SystemExit, match="excess"):
        search(client, "digits", "cpu", 0.001, 24, tmp_path / "m.onnx")
