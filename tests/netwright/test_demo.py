"""The demo's way through the API, on the real application; the whole of it is run by ``make demo``."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from netwright import Client, demo
from netwright.errors import ConflictError, NetwrightError, NoSuchPointError
from service.db.tables import Job
from tests.netwright.house import ONNX, House


def ask(client: Client, out: Path) -> tuple[demo.Answer, list[str]]:
    said: list[str] = []
    return demo.ask(client, "digits", out, said.append, Console(file=io.StringIO(), width=160)), said


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    """Few evaluations; what was measured before counts as measured now, over the range of the stored rows."""
    monkeypatch.setattr(demo, "EVALUATIONS", 4)
    rows = client.measurements.list(metric="latency_ms")[:60]
    monkeypatch.setattr(demo, "_measure", lambda *_: rows)


def test_the_most_accurate_point_within_the_limit_is_saved(client: Client, tmp_path: Path) -> None:
    answer, said = ask(client, tmp_path)
    assert (answer.pick.value("latency_ms") or 1) <= answer.limit_ms
    assert (tmp_path / "subnet.onnx").read_bytes() == ONNX
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert len(said) == 5
    values = [row.value for row in client.measurements.list(metric="latency_ms")[:70]]
    assert 0.35 <= (answer.limit_ms - min(values)) / (max(values) - min(values)) <= 0.50


def test_unfinished_jobs_of_an_earlier_demo_are_cancelled(
    client: Client, house: House, tmp_path: Path
) -> None:
    job = house.job("running")
    ask(client, tmp_path)
    with house.database.read() as session:
        assert session.get_one(Job, job).state in ("cancelling", "cancelled")


def test_a_newer_version_gets_a_further_name(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"digits", "cpu", "cpu-2"}

    def add(kind: str, *, name: str) -> str:
        if name in taken:
            raise ConflictError(409, "conflict", "another one has this name")
        return name

    monkeypatch.setattr(client.supernets, "add", add)
    monkeypatch.setattr(client.targets, "add", add)
    assert demo._supernet(client, "digits") == "digits-2"  # type: ignore[comparison-overlap]
    assert demo._target(client) == "cpu-3"  # type: ignore[comparison-overlap]
    monkeypatch.setattr(demo, "_names", lambda _: ["digits"])
    with pytest.raises(NetwrightError, match="fresh folder by --out"):
        demo._supernet(client, "digits")


def test_an_empty_front_ends_the_demo(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "round_to", lambda *_: 1e-9)
    with pytest.raises(NoSuchPointError):
        ask(client, tmp_path)
    assert not (tmp_path / "subnet.onnx").exists()
