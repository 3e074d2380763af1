"""What is shown of things that a fresh server does not have: sections made from the client's own types."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netwright import Client
from netwright.client.http.models import AgentView, ConstraintBody, ProfileView, Unmet
from netwright.client.searches import Comparison
from netwright.client.supernets import Supernet
from netwright.client.targets import Target
from netwright.errors import Action
from netwright.output.cards import supernet_card, target_card
from netwright.output.hints import ROUTE, as_command, in_commands
from netwright.output.printing import show
from netwright.output.search_cards import comparison_card, profile_card, result_card
from netwright.plot import Bound, comparison_figure, fronts_figure

ROOT = Path(__file__).parents[2]
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


def compared(client: Client, *fronts: dict[str, float]) -> Comparison:
    """Fronts of (subnet: latency), the first one the base."""
    rows = [
        {
            "search": f"sea_{number}",
            "hypervolume": 1.0,
            "share": 1.0,
            "new": len(front.keys() - fronts[0].keys()),
            "common": len(front.keys() & fronts[0].keys()),
            "best": 0,
            "points": [
                {
                    "subnet": subnet,
                    "values": {"accuracy": 0.5, "latency_ms": latency},
                    "new": subnet not in fronts[0],
                    "best": False,
                }
                for subnet, latency in front.items()
            ],
        }
        for number, front in enumerate(fronts, 1)
    ]
    body = {"objectives": ["accuracy", "latency_ms"], "target": None, "reference_point": {}, "fronts": rows}
    return Comparison.of(client.searches._connection, body)


def test_subnets_on_both_fronts_are_named_as_such(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    again = compared(client, {"a": 1.0, "b": 2.0}, {"a": 1.01, "b": 2.04, "c": 3.0}, {"b": 2.0})
    out = printed(comparison_card(again), capsys, monkeypatch)
    assert (
        "2 of the 3 subnets of sea_2 are on the front of sea_1 too; their values differ by up to 2.0 %, "
        "the noise of measuring the same subnets again\n"
    ) in out
    assert "1 of the 1 subnet of sea_3 is on the front of sea_1 too\n" in out


def test_new_points_of_a_picture_are_stars_and_all_fronts_have_one_size(client: Client) -> None:
    figure = comparison_figure(
        compared(client, {"a": 1.0, "b": 2.0}, {"a": 1.0, "c": 3.0}, {"b": 2.0, "d": 4.0})
    )
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata()) and line.get_marker() != "None"]  # type: ignore[arg-type]
    new = [line for line in drawn if line.get_marker() == "*"]
    assert [list(line.get_xdata()) for line in new] == [[3.0], [4.0]]  # type: ignore[arg-type]
    assert len({line.get_markersize() for line in drawn if line not in new}) == 1
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text.split(",")[0] for text in texts[:3]] == ["sea_1", "sea_2", "sea_3"]
    assert texts[3:] == ["new: not on the first front"]
    same = comparison_figure(compared(client, {"a": 1.0}, {"a": 1.0}))
    assert len(same.legends[0].get_texts()) == 2, "nothing is new"


@pytest.mark.parametrize("kind", ["shared", "per_target"])
def test_the_noise_of_a_front_is_stated_once(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    search = client.searches.list()[0]
    front, noise = search.front(), "2 of 3 points have another point"
    front.noise, front.original = noise, None
    monkeypatch.setattr(search, "front", lambda: front)
    search.warnings, search.front_kind = ["another", noise], "shared"
    if kind == "per_target":
        search.targets, search.front_kind = ["tgt_1", "tgt_2"], kind
        search.warnings = ["another", f"target tgt_2: {noise}"]
    monkeypatch.setenv("COLUMNS", "240")
    show(None, result_card(search, NAMES), False)
    written = capsys.readouterr()
    assert (written.out + written.err).count(noise) == 1
    assert "warning: another" in written.err
    assert (f"note: {noise}" in written.out) == (kind == "shared")


def test_a_search_without_a_usable_value_does_not_state_that_limits_cannot_be_met(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = client.searches.list()[0]
    search.feasible, search.nearest = False, None
    search.warnings = ["2 of 2 confirmations on tgt_1 are refused"]
    monkeypatch.setenv("COLUMNS", "240")
    show(None, result_card(search, NAMES), False)
    written = capsys.readouterr()
    assert "warning: 2 of 2 confirmations on cpu are refused" in written.err
    assert "No subnet could be judged" in written.out and f"search extend {search.id}" in written.out
    assert "cannot be met" not in written.out


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


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        (
            "there is no job 'x'; GET /v1/jobs lists them",
            "there is no job 'x'; `netwright jobs list` lists them",
        ),
        ("GET /v1/searches lists them", "`netwright search list` lists them"),
        ("no subnet 'x'; GET /v1/fronts lists them", "no subnet 'x'; `netwright front best` lists them"),
        ("none yet: POST /v1/supernets first", "none yet: `netwright supernets add` first"),
        ("none yet: POST /v1/targets first", "none yet: `netwright targets add` first"),
        (
            "a search needs them: POST /v1/predictors first",
            "a search needs them: `netwright predictors fit` first",
        ),
        (
            "it died; POST /v1/jobs/job_1:resume tries again",
            "it died; `netwright jobs resume job_1` tries again",
        ),
        ("GET /v1/nothing", "GET /v1/nothing"),
    ],
)
def test_routes_in_a_sentence_of_the_server_are_shown_as_commands(sentence: str, shown: str) -> None:
    assert in_commands(sentence) == shown


def test_no_sentence_of_the_server_has_a_route_without_a_command() -> None:
    """Of the strings that are no docstrings or descriptions: those that an error may show."""
    files = [path for path in (ROOT / "service").rglob("*.py") if "openapi" not in path.parts]
    found = [route for path in files for route in sentences(path.read_text()) if in_commands(route) == route]
    assert found == []


def sentences(source: str) -> list[str]:
    """The routes in the sentences of f-strings and strings, an id in the place of a value."""
    tree = ast.parse(source)
    plain = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    plain |= {id(word.value) for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords
              if word.arg == "description"}  # fmt: skip
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            plain |= {id(part) for part in node.values}
            texts.append(
                "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "targets" for part in node.values
                )
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in plain:
            texts.append(node.value)
    return [found[0] for text in texts for found in ROUTE.finditer(text)]


def test_a_picture_of_a_front_has_the_limits_on_its_axes() -> None:
    point = SimpleNamespace(target=None, value=lambda name, _: {"accuracy": 0.9, "latency_ms": 0.3}[name])

    class Points(list[Any]):
        objectives = ("accuracy", "latency_ms")

        def target_names(self) -> dict[str, str]:
            return NAMES

    front: Any = Points([point])
    bounds = [Bound("latency_ms", "<=", 0.5, "pi"), Bound("accuracy", ">=", 0.8), Bound("macs", "<=", 1e6)]
    figure = fronts_figure({"sea_1": front}, bounds)
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts() if "limit" in text.get_text()]
    assert named == ["limit: latency_ms on pi <= 0.5", "limit: accuracy >= 0.8"]
