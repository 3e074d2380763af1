"""What is shown of things that a fresh server does not have: sections made from the client's own types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from netwright import Client
from netwright.client.http.models import AgentView, ConstraintBody, ProfileView, Unmet
from netwright.client.supernets import Supernet
from netwright.client.targets import Target
from netwright.errors import Action
from netwright.output.cards import supernet_card, target_card
from netwright.output.hints import as_command
from netwright.output.printing import show
from netwright.output.search_cards import profile_card

NAMES = {"tgt_1": "cpu", "tgt_2": "pi"}


def printed(sections: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "240")
    show(None, sections, False)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"satisfiable": True, "share": 0.31}, "yes, by 31 % of 5000 sampled subnets"),
        ({"satisfiable": True, "share": 0.0}, "yes, but by none of 5000 sampled subnets; a search found one"),
        ({"satisfiable": None, "share": None}, "not known, predictors are missing"),
        ({"satisfiable": False, "share": 0.0}, "no, by 0 % of 5000 sampled subnets"),
    ],
)
def test_a_profile_tells_whether_limits_can_be_met(
    changes: dict[str, Any],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from netwright.client.http.models import Action as MissingAction

    unmet = Unmet(metric="latency_ms", target="tgt_2", max=0.5, min=None, best=0.75)
    missing = MissingAction(method="POST", path="/v1/predictors", body={"metric": "accuracy"})
    profile = ProfileView(**changes, metrics=[], unmet=[unmet], missing=[missing], sampled=5000)
    out = printed(profile_card(profile, NAMES), capsys, monkeypatch)
    assert f"satisfiable: {words}" in out
    assert "cannot be met: latency_ms on pi <= 0.5; the nearest subnet has 0.75" in out
    assert "missing: netwright predictors fit --metric accuracy" in out


def test_a_supernets_card(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    supernet: Supernet = client.supernets.get("digits")
    of = {"value": 0.9611, "standard_error": 0.0082, "n": 360}
    supernet.training = {"steps": 8000, "passes": 40000, "seconds": 658.9}
    supernet.report = {
        "panel": [{"macs": macs, "params": 2214.0, "validation": of, "test": of} for macs in (5e6, 2936.0)],
        "summary": {"test": {"smallest": of, "largest": of}},
    }
    out = printed(supernet_card(supernet), capsys, monkeypatch)
    assert "8,000 steps, 40,000 subnet passes, 10 min 59 s" in out and "1,077 train" in out
    assert "0.9611 ± 0.0082" in out and out.index("2,936") < out.index("5,000,000")
    assert "{" not in out, "no JSON for people"


def test_a_targets_card(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target: Target = client.targets.get("cpu")
    device = {"cpu": "Cortex-A72", "cores": 4, "max_mhz": 1800, "memory_gb": 4, "architecture": "aarch64"}
    runtime = {"name": "onnxruntime", "version": "1.20.0", "providers": ["CPUExecutionProvider"]}
    seen = datetime(2026, 11, 23, 20, 0, 1, tzinfo=UTC)
    target.measured_by, target.unsupported = "agent", 2
    target.description = {"device": device, "runtime": runtime}
    target.calibrations = {"small": {"latency_ms": 0.0267, "sha256": "ab", "rounds": 60}}
    target.agents = [
        AgentView(name="a1", connected=True, seen_at=seen),
        AgentView(name="a2", connected=False, seen_at=seen),
    ]
    out = printed(target_card(target), capsys, monkeypatch)
    assert "Cortex-A72, 4 cores, at most 1800 MHz, 4 GB, aarch64" in out
    assert "onnxruntime 1.20.0 (CPUExecutionProvider)" in out and "small 0.0267 ms" in out
    assert "a1 connected, a2 last seen 2026-11-23 20:00:01" in out and "2 subnets" in out
    assert "{" not in out


def test_limits_have_their_side_and_target() -> None:
    from netwright.output.search_cards import _on, _sides

    row = ConstraintBody(metric="latency_ms", target="tgt_2", max=20, min=2)
    assert (_on(row, NAMES), _sides(row)) == ("latency_ms on pi", [">= 2", "<= 20"])


@pytest.mark.parametrize(
    ("path", "body", "command"),
    [
        (
            "/v1/predictors",
            {"supernet": "s", "target": "t", "metric": "latency_ms"},
            "netwright predictors fit --supernet s --metric latency_ms --target t",
        ),
        (
            "/v1/predictors",
            {"supernet": "s", "target": None, "metric": "accuracy"},
            "netwright predictors fit --supernet s --metric accuracy",
        ),
        ("/v1/supernets/s/evaluations", {"count": 100}, "netwright supernets evaluate s --count 100"),
        (
            "/v1/targets/t/measurements",
            {"supernet": "my net", "count": 30},
            "netwright targets measure t --supernet 'my net' --count 30",
        ),
        (
            "/v1/targets/t/measurements",
            {"supernet": "s", "metrics": ["peak_memory_mb"]},
            "netwright targets measure t --supernet s --metric peak_memory_mb",
        ),
        (
            "/v1/targets/t/measurements",
            {"supernet": "s", "table": {"latency": "latency_ms"}},
            "netwright targets import --supernet s --name t --table FILE --latency COLUMN",
        ),
        ("/v1/jobs/j:resume", {}, "netwright jobs resume j"),
        ("/v1/subnets/s/exports", {"format": "onnx"}, "netwright export s"),
        ("/v1/else", {}, "POST /v1/else"),
    ],
)
def test_a_recommended_request_is_a_command(path: str, body: dict[str, Any], command: str) -> None:
    assert as_command(Action("POST", path, body)) == command
