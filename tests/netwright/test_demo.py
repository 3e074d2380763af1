"""The demo's own decisions, against the fake server; the real thing is run by ``make demo``."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from netwright import Client, demo
from netwright.errors import NetwrightError, NoSuchPointError
from tests.netwright.fake_server import ARCH, ONNX, FakeServer, job, problem


@pytest.fixture
def demo_server(server: FakeServer) -> FakeServer:
    rows = [
        {
            "id": f"mea_{k}",
            "subnet": "sub_small",
            "arch": ARCH,
            "metric": "latency_ms",
            "unit": "ms",
            "value": value,
        }
        for k, value in enumerate([0.05, 0.02, 0.12])
    ]
    server.routes["GET", "/v1/measurements"] = {"items": rows, "next_page_token": None}
    server.routes["GET", "/v1/jobs"] = {"items": [], "next_page_token": None}
    return server


def ask(client: Client, out: Path) -> tuple[demo.Answer, list[str]]:
    said: list[str] = []
    return demo.ask(client, "digits", out, said.append, Console(file=io.StringIO(), width=160)), said


def test_the_limit_lies_between_35_and_50_percent_of_the_measured_range(
    client: Client, demo_server: FakeServer, tmp_path: Path
) -> None:
    answer, _ = ask(client, tmp_path)
    assert 0.35 <= (answer.limit_ms - 0.02) / (0.12 - 0.02) <= 0.50
    sent = demo_server.sent("/v1/searches")
    assert sent["constraints"] == [{"metric": "latency_ms", "max": answer.limit_ms}]
    assert demo_server.sent("/v1/targets/tgt_1/measurements")["count"] <= 40
    assert demo_server.sent("/v1/supernets/sup_1/evaluations")["count"] >= 100


def test_the_most_accurate_point_within_the_limit_is_saved(
    client: Client, demo_server: FakeServer, tmp_path: Path
) -> None:
    answer, said = ask(client, tmp_path)
    assert answer.pick.id == "sub_middle"
    assert (tmp_path / "subnet.onnx").read_bytes() == ONNX
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert len(said) == 5


def test_unfinished_jobs_of_an_earlier_demo_are_cancelled(
    client: Client, demo_server: FakeServer, tmp_path: Path
) -> None:
    def left(request: httpx.Request) -> httpx.Response:
        items = [job("running")] if request.url.params["state"] == "running" else []
        return httpx.Response(200, json={"items": items, "next_page_token": None})

    demo_server.routes["GET", "/v1/jobs"] = left
    ask(client, tmp_path)
    assert ("POST", "/v1/jobs/job_1:cancel", None) in demo_server.asked


@pytest.mark.parametrize("path", ["/v1/supernets", "/v1/targets"])
def test_a_newer_version_gets_a_further_name(
    client: Client, demo_server: FakeServer, tmp_path: Path, path: str
) -> None:
    known = demo_server.routes["POST", path]

    def answer(request: httpx.Request) -> httpx.Response:
        taken = not request.content.endswith(b'-3"}') and b'-3"' not in request.content
        return (
            problem(409, "conflict", "another one is called so") if taken else httpx.Response(201, json=known)
        )

    demo_server.routes["POST", path] = answer
    ask(client, tmp_path)
    assert demo_server.sent(path)["name"].endswith("-3")
    demo_server.routes["POST", path] = problem(409, "conflict", "another one is called so")
    with pytest.raises(NetwrightError, match="fresh folder by --out"):
        ask(client, tmp_path)


def test_an_empty_front_ends_the_demo(client: Client, demo_server: FakeServer, tmp_path: Path) -> None:
    empty = {"search": "sea_1", "objectives": [], "pick": None, "total": 0, "points": []}
    demo_server.routes["GET", "/v1/searches/sea_1/front"] = empty
    with pytest.raises(NoSuchPointError, match="front is empty"):
        ask(client, tmp_path)
    assert not (tmp_path / "subnet.onnx").exists()
