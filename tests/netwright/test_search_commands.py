"""Everything that the API can be asked of searches and fronts, from the command line; several targets in tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from netwright import Client
from netwright.cli import app
from netwright.commands.hints import as_command
from netwright.errors import NetwrightError
from tests.netwright.fake_server import FakeServer, point

NAMES = {"tgt_1": "cpu", "tgt_2": "pi"}


def run(line: str) -> Result:
    return CliRunner().invoke(app, line.split(), env={"COLUMNS": "240"})


@pytest.fixture
def two(client: Client, server: FakeServer) -> FakeServer:
    """The server with a second target."""
    listed = server.routes["GET", "/v1/targets"]
    [first] = listed(httpx.Request("GET", "http://fake/v1/targets")).json()["items"]
    second = {**first, "id": "tgt_2", "name": "pi"}
    server.routes["GET", "/v1/targets"] = server.named([first, second])
    return server


def on_both(subnet: str, owner: str | None, cpu: float, pi: float, **more: Any) -> dict[str, Any]:
    """A point that was measured on both targets."""
    found = point(subnet, cpu, 0.9)
    for key in ("measured", "predicted"):
        value = "value" if key == "measured" else "mean"
        found[key] = [found[key][0], {**found[key][0], "target": "tgt_2", value: pi}]
    return {**found, "target": owner, **more}


def fronted(server: FakeServer, points: list[dict[str, Any]], **more: Any) -> None:
    objectives = ["accuracy", "latency_ms"]
    body = {"search": "sea_1", "objectives": objectives, "pick": None, "total": len(points), "note": None}
    server.routes["GET", "/v1/searches/sea_1/front"] = {**body, "points": points, **more}


def test_a_front_for_each_target_shows_the_latency_on_that_target(two: FakeServer) -> None:
    reason = "on target tgt_2: the only point"
    points = [on_both("sub_a", "tgt_1", 0.25, 0.75), on_both("sub_a", "tgt_2", 0.25, 0.75, reason=reason)]
    fronted(two, points)
    out = run("front show sea_1").stdout
    cpu, pi = out[out.index("1 points on cpu") :].split("1 points on pi")
    assert "0.2500 ± 0.0010" in cpu and "0.7500" not in cpu
    assert "0.7500 ± 0.0010" in pi and "0.2500 ± " not in pi
    assert "sub_a: on target pi: the only point" in pi


def test_a_shared_front_shows_the_latency_on_every_target(two: FakeServer) -> None:
    fronted(two, [on_both("sub_slow", None, 0.25, 0.75), on_both("sub_fast", None, 0.5, 0.5)])
    out = run("front show sea_1").stdout
    for head in ("latency_ms on cpu", "latency_ms on pi", "verdict on pi", "predicted latency on pi"):
        assert head in out
    assert out.index("sub_fast") < out.index("sub_slow"), "the worst target orders them"
    assert "0.7500 ± 0.0010" in out and "0.2500 ± 0.0010" in out


@pytest.mark.usefixtures("client")
def test_other_objectives_have_a_column_each(server: FakeServer) -> None:
    first = point("sub_a", 0.25, 0.9)
    memory = {"metric": "peak_memory_mb", "target": "tgt_1", "value": 12.5, "spread": 0.5, "n": 3}
    first["measured"].append({**memory, "verdict": None, "raw": {}})
    fronted(server, [first], objectives=["accuracy", "size_mb", "peak_memory_mb"])
    out = run("front show sea_1").stdout
    assert "size_mb" in out and "peak_memory_mb" in out and "12.50 ± 0.50" in out


def test_what_a_search_of_several_targets_was_asked(two: FakeServer) -> None:
    line = "search run --supernet digits --target cpu --target pi --front per_target --no-wait -l macs<=5e6"
    more = "--stall-evaluations 16 --stall-gain 0.01 --label team=vision --label run=2 --predictor prd_1"
    assert run(f"{line} -l latency_ms@pi=20 {more}").exit_code == 0
    sent = two.sent("/v1/searches")
    assert sent["targets"] == ["tgt_1", "tgt_2"] and sent["front"] == "per_target"
    assert sent["constraints"] == [
        {"metric": "macs", "max": 5e6},
        {"metric": "latency_ms", "target": "tgt_2", "max": 20.0},
    ]
    assert sent["stall"] == {"evaluations": 16, "gain": 0.01} and sent["predictors"] == ["prd_1"]
    assert sent["labels"] == {"team": "vision", "run": "2"}
    assert run("search run --supernet digits --target cpu --label vision").exit_code == 2


def test_what_else_an_extension_was_asked(two: FakeServer) -> None:
    assert run("search extend sea_1 --algorithm nsga2 --stall-gain 0 --seed 7 --no-wait").exit_code == 0
    assert two.sent("/v1/searches/sea_1:extend") == {
        "evaluations": 0,
        "algorithm": "nsga2",
        "stall": {"gain": 0.0},
        "seed": 7,
    }


def test_a_limit_of_an_unknown_target_names_those_there_are(two: FakeServer) -> None:
    with Client("http://fake", transport=httpx.MockTransport(two)) as client:
        with pytest.raises(NetwrightError, match="no target is called 'phone'; there are: cpu, pi"):
            client.searches.create("digits", targets=["cpu"], constraints={"latency_ms@phone": 3})
        client.searches.create("digits", target="cpu", objectives=[])
    assert two.sent("/v1/searches")["objectives"] == [], "what was asked is for the server to refuse"


def test_searches_are_listed_by_state_and_label(two: FakeServer) -> None:
    result = run("search list --supernet digits --state succeeded --label team=vision --label run=2")
    assert result.exit_code == 0 and "sea_1" in result.stdout
    query = next(url for url in reversed(two.urls) if "/v1/searches" in url)
    for part in ("state=succeeded", "label=team%3Dvision", "label=run%3D2", "supernet=sup_1"):
        assert part in query


def test_an_infeasible_search_says_by_how_much_and_where(two: FakeServer) -> None:
    search = dict(two.routes["GET", "/v1/searches/sea_1"])
    limit = {"metric": "latency_ms", "target": "tgt_2", "max": 0.5, "min": None}
    nearest = {**point("sub_a", 0.75, 0.9, False), "violations": [{**limit, "value": 0.75, "excess": 0.5}]}
    two.routes["GET", "/v1/searches/sea_1"] = {
        **search,
        "feasible": False,
        "nearest": nearest,
        "constraints": [limit],
        "warnings": ["nothing met the limits on target tgt_2"],
    }
    fronted(two, [])
    result = run("search run --supernet digits --target pi -l latency_ms=0.5")
    assert result.exit_code == 3
    assert "sub_a: latency_ms on pi 0.75 where <= 0.5 was asked, 50 % over" in result.stdout
    shown = run("search show sea_1").stdout
    assert "latency_ms on pi <= 0.5" in shown and "warning: nothing met the limits on target pi" in shown


def test_the_best_of_everything_within_any_limit_picked_and_saved(two: FakeServer, tmp_path: Path) -> None:
    two.routes["GET", "/v1/fronts"] = {
        "search": None,
        "objectives": ["accuracy", "latency_ms"],
        "pick": "spread",
        "total": 1,
        "note": None,
        "points": [point("sub_a", 0.25, 0.9)],
    }
    result = run("front best --supernet digits -l macs<=5e6 -l accuracy>=0.5 --pick spread --k 2")
    assert result.exit_code == 0 and "sub_a" in result.stdout
    query = next(url for url in reversed(two.urls) if "/v1/fronts" in url)
    for part in ("max_macs=5000000", "min_accuracy=0.5", "pick=spread", "k=2"):
        assert part in query
    assert "target" not in query
    assert run(f"front best --supernet digits --parquet {tmp_path / 'all.parquet'}").exit_code == 0
    assert (tmp_path / "all.parquet").exists()
    assert run("front best --supernet digits -l latency_ms@pi=3").exit_code == 1


@pytest.mark.usefixtures("client")
def test_a_front_is_saved_by_its_ending(server: FakeServer, tmp_path: Path) -> None:
    with Client("http://fake", transport=httpx.MockTransport(server)) as client:
        front = client.fronts.of_search("sea_1")
        assert front.save(tmp_path / "front.csv").exists()
        with pytest.raises(NetwrightError, match=r"\.csv or \.parquet, got 'front.xlsx'"):
            front.save(tmp_path / "front.xlsx")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"satisfiable": True, "share": 0.31}, "yes, by 31 % of 5000 sampled subnets"),
        ({"satisfiable": True, "share": 0.0}, "yes, but by none of 5000 sampled subnets; a search found one"),
        ({"satisfiable": None, "share": None}, "not known, predictors are missing"),
        ({"satisfiable": False, "share": 0.0}, "no, by 0 % of 5000 sampled subnets"),
    ],
)
def test_a_profile_says_whether_limits_can_be_met(
    two: FakeServer, changes: dict[str, Any], words: str
) -> None:
    limit = {"metric": "latency_ms", "target": "tgt_2", "max": 0.5, "min": None, "best": 0.75}
    found = {**two.routes["POST", "/v1/searches:profile"], **changes, "unmet": [limit]}
    found["missing"] = [{"method": "POST", "path": "/v1/predictors", "body": {"metric": "accuracy"}}]
    two.routes["POST", "/v1/searches:profile"] = found
    out = run("search profile --supernet digits --target cpu --target pi -l latency_ms@pi=0.5").stdout
    assert f"satisfiable: {words}" in out
    assert "cannot be met: latency_ms on pi <= 0.5; the nearest subnet has 0.75" in out
    assert "missing: netwright predictors fit --metric accuracy" in out


@pytest.mark.usefixtures("client")
def test_a_supernet_is_a_card_for_people_and_whole_for_scripts(server: FakeServer) -> None:
    row = dict(server.routes["GET", "/v1/supernets/sup_1"])
    of = {"accuracy": 0.9611, "standard_error": 0.0082, "n": 360}
    panel = [
        {"macs": macs, "params": 2214.0, "arch": {"kernel": 3}, "validation": of, "test": of}
        for macs in (5e6, 2936.0)
    ]
    summary = {"test": {"smallest": of, "largest": of, "panel_mean": 0.97, "tercile_means": [0.9, 0.9, 0.9]}}
    row |= {
        "training": {"steps": 8000, "passes": 40000, "seconds": 658.9},
        "data": {"name": "digits", "splits": {"train": {"n": 1077, "sha256": "ab"}}},
        "recipe": {"name": "digits_sandwich"},
        "report": {"panel": panel, "summary": summary, "random": {"n": 60, "spearman_macs_accuracy": 0.699}},
    }
    server.routes["GET", "/v1/supernets/sup_1"] = row
    out = run("supernets show sup_1").stdout
    assert "8,000 steps, 40,000 subnet passes, 10 min 59 s" in out and "1,077 train" in out
    assert "0.9611 ± 0.0082" in out and out.index("2,936") < out.index("5,000,000")
    assert "{" not in out, "no JSON for people"
    assert '"kernel": 3' in run("supernets show sup_1 --json").stdout


@pytest.mark.usefixtures("client")
def test_a_target_is_a_card_for_people(server: FakeServer) -> None:
    device = {"cpu": "Cortex-A72", "cores": 4, "max_mhz": 1800, "memory_gb": 4, "architecture": "aarch64"}
    runtime = {"name": "onnxruntime", "version": "1.20.0", "providers": ["CPUExecutionProvider"]}
    seen = "2026-11-23T20:00:01Z"
    server.routes["GET", "/v1/targets/tgt_1"] = {
        **server.routes["GET", "/v1/targets/tgt_1"],
        "kind": "agent",
        "description": {"device": device, "runtime": runtime},
        "calibrations": {"small": {"latency_ms": 0.0267, "sha256": "ab", "rounds": 60}},
        "agents": [
            {"name": "a1", "connected": True, "seen_at": seen},
            {"name": "a2", "connected": False, "seen_at": seen},
        ],
        "unsupported": 2,
    }
    out = run("targets show tgt_1").stdout
    assert "Cortex-A72, 4 cores, at most 1800 MHz, 4 GB, aarch64" in out
    assert "onnxruntime 1.20.0 (CPUExecutionProvider)" in out and "small 0.0267 ms" in out
    assert "a1 connected, a2 last seen 2026-11-23 20:00:01" in out and "2 subnets" in out
    assert "{" not in out


@pytest.mark.parametrize(
    ("action", "command"),
    [
        (
            'POST /v1/predictors {"supernet": "s", "target": "t", "metric": "latency_ms"}',
            "netwright predictors fit --supernet s --metric latency_ms --target t",
        ),
        (
            'POST /v1/predictors {"supernet": "s", "target": null, "metric": "accuracy"}',
            "netwright predictors fit --supernet s --metric accuracy",
        ),
        ('POST /v1/supernets/s/evaluations {"count": 100}', "netwright supernets evaluate s --count 100"),
        (
            'POST /v1/targets/t/measurements {"supernet": "s", "count": 30}',
            "netwright targets measure t --supernet s --count 30",
        ),
        (
            'POST /v1/targets/t/measurements {"supernet": "s", "metrics": ["latency_ms", "peak_memory_mb"]}',
            "netwright targets measure t --supernet s --metric peak_memory_mb",
        ),
        (
            'POST /v1/targets/t/measurements {"supernet": "s", "table": {"latency": "latency_ms"}}',
            "netwright targets import --supernet s --name t --table FILE --latency COLUMN",
        ),
        ("POST /v1/jobs/j:resume", "netwright jobs resume j"),
        ('POST /v1/subnets/s/exports {"format": "onnx"}', "netwright export s"),
        ("POST /v1/else {}", "POST /v1/else {}"),
        ("GET /v1/jobs/j", "GET /v1/jobs/j"),
    ],
)
def test_a_request_that_would_help_is_a_command(action: str, command: str) -> None:
    assert as_command(action) == command
