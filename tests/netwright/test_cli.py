from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from netwright import Client
from netwright.cli import app
from tests.netwright.fake_server import ONNX, FakeServer, job, problem

READING = [
    "supernets list",
    "supernets show digits",
    "supernets space digits",
    "supernets add digits",
    "supernets evaluate digits --count 5",
    "supernets train mine --data digits --family digits --steps 40",
    "supernets train mine --from digits --teacher digits --recipe random --detach",
    "supernets train mine --from digits --dry-run",
    "targets list",
    "targets show cpu",
    "targets add cpu --set threads=2 --name mine",
    "targets measure cpu --supernet digits --count 5",
    "targets measure cpu --supernet digits --until mape<3%",
    "targets import --table mine.parquet --latency lat_ms --arch resolution,kernel --supernet digits --on-server",
    "targets import --table t.csv --latency ms --space cells --arch ops:digits --macs m:M --on-server",
    "targets import --operators note10.yaml --supernet digits --on-server",
    "predictors import --file note10.yaml --supernet digits --target cpu --on-server",
    "targets measurements cpu",
    "targets predictors cpu",
    "predictors list --supernet digits --target cpu --metric latency_ms",
    "predictors show prd_1",
    "predictors import --supernet digits --file acc.npz --metric accuracy --on-server",
    "predictors fit --supernet digits --metric latency_ms --target cpu",
    "search list",
    "search show sea_1",
    "search profile --supernet digits --target cpu -l latency_ms=20",
    "search run --supernet digits --target cpu -l latency_ms=20 -l accuracy>=0.9 --restrict resolution=24,32",
    "search run --supernet digits --target cpu --no-wait",
    "search extend sea_1 --evaluations 50 --latency-ms 18 --no-wait",
    "front show sea_1",
    "front show sea_1 --pick knee",
    "front pick sea_1 --how buckets --k 2 --by latency_ms -l accuracy>=0.9",
    "front best --supernet digits --target cpu --max-latency-ms 3",
    "jobs list",
    "jobs show job_1",
    "jobs watch job_1",
    "jobs cancel job_1",
    "jobs resume job_1",
]


def run(line: str) -> Result:
    return CliRunner().invoke(app, line.split(), env={"COLUMNS": "200"})


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("line", READING)
def test_json_output_is_one_json_document(line: str) -> None:
    result = run(f"{line} --json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("line", READING)
def test_output_for_people_is_no_json(line: str) -> None:
    result = run(line)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()
    with pytest.raises(ValueError, match=r".*"):
        json.loads(result.stdout)


@pytest.mark.usefixtures("client")
def test_a_front_as_a_table_has_a_line_a_point_fastest_first() -> None:
    lines = run("front show sea_1").stdout.splitlines()
    rows = [line for line in lines if "sub_" in line]
    assert [next(word for word in row.split() if word.startswith("sub_")) for row in rows] == [
        "sub_small",
        "sub_middle",
        "sub_large",
    ]
    assert "0.0600 ± 0.0010" in rows[1]
    assert "0.9600 ± 0.0090" in rows[1]
    assert "good" in rows[1]


@pytest.mark.usefixtures("client")
def test_a_pick_says_why() -> None:
    result = run("front pick sea_1 -l latency_ms=0.07 --target cpu")
    assert (
        "highest accuracy (0.96) of 2 points with latency_ms <= 0.07; the next better (0.98)" in result.stdout
    )
    assert run("front pick sea_1 -l latency_ms=1e-9").exit_code == 3


def test_what_a_search_was_asked(client: Client, server: FakeServer) -> None:
    line = "search run --supernet digits --target cpu -l latency_ms=20 --evaluations 9 --seconds 5"
    run(f"{line} --restrict resolution=24,32 --restrict kind=a")
    sent = server.sent("/v1/searches")
    assert sent["constraints"] == [{"metric": "latency_ms", "max": 20.0}]
    assert sent["restrict"] == {"resolution": [24, 32], "kind": ["a"]}
    assert sent["budget"] == {"evaluations": 9, "seconds": 5.0}


def test_what_an_extension_was_asked(client: Client, server: FakeServer) -> None:
    run("search extend sea_1 --evaluations 50 --latency-ms 18 -l accuracy>=0.9 --no-wait")
    assert server.sent("/v1/searches/sea_1:extend") == {
        "evaluations": 50,
        "constraints": [
            {"metric": "accuracy", "min": 0.9},
            {"metric": "latency_ms", "max": 18.0},
        ],
    }
    run("search extend sea_1 --no-limits --objective macs --seconds 9 --no-wait")
    sent = server.sent("/v1/searches/sea_1:extend")
    assert sent == {"evaluations": 0, "constraints": [], "objectives": ["macs"], "seconds": 9.0}


def test_a_search_shows_how_its_front_grew(client: Client, server: FakeServer, tmp_path: Path) -> None:
    shown = run(f"search show sea_1 --plot {tmp_path / 'history.png'}").stdout
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    early = {**server.routes["GET", "/v1/searches/sea_1"], "history": []}
    server.routes["GET", "/v1/searches/sea_2"] = early
    assert "no history yet" in run(f"search show sea_2 --plot {tmp_path / 'none.png'}").stderr
    assert "24/24 + 60 reused" in shown
    assert "hypervolume of the front, up to accuracy 0.8, latency_ms 0.1" in shown
    assert "0.0042" in shown


def test_settings_of_a_target_are_typed(client: Client, server: FakeServer) -> None:
    run("targets add cpu --set threads=2 --set precision=fp32")
    assert server.sent("/v1/targets")["settings"] == {"threads": 2, "precision": "fp32"}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("what", ["sub_middle", "sea_1 --max-latency-ms 0.07"])
def test_export_saves_the_file(what: str, tmp_path: Path) -> None:
    result = run(f"export {what} -o {tmp_path / 'm.onnx'}")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "m.onnx").read_bytes() == ONNX
    assert "64 real images" in result.stdout


@pytest.mark.usefixtures("client")
def test_front_saves_a_csv(tmp_path: Path) -> None:
    assert run(f"front show sea_1 --csv {tmp_path / 'front.csv'}").exit_code == 0
    assert (tmp_path / "front.csv").read_text().startswith("subnet,")


# --- what goes wrong -------------------------------------------------------------------------------


def test_a_refusal_is_readable_and_has_status_1(client: Client, server: FakeServer) -> None:
    errors = [{"field": "budget.evaluations", "got": 0, "allowed": ">= 1"}]
    actions = [{"method": "POST", "path": "/v1/predictors", "body": {"metric": "accuracy"}}]
    server.routes["POST", "/v1/searches"] = problem(
        422, "invalid_request", "not so", errors=errors, actions=actions
    )
    result = run("search run --supernet digits --target cpu --evaluations 0")
    assert result.exit_code == 1
    assert "error: not so [422 invalid_request]" in result.stderr
    assert "budget.evaluations; got 0; allowed: >= 1" in result.stderr
    assert "netwright predictors fit --metric accuracy" in result.stderr
    assert "Traceback" not in result.output


def test_a_search_without_an_answer_has_status_3(client: Client, server: FakeServer) -> None:
    miss = {"metric": "latency_ms", "target": "tgt_1", "max": 1e-9, "min": None, "value": 0.04, "excess": 4e7}
    found = {
        **server.routes["GET", "/v1/searches/sea_1"],
        "feasible": False,
        "nearest": {"subnet": "sub_small", "violations": [miss]},
    }
    server.routes["GET", "/v1/searches/sea_1"] = found
    empty = {"search": "sea_1", "objectives": [], "pick": None, "total": 0, "points": []}
    server.routes["GET", "/v1/searches/sea_1/front"] = empty
    result = run("search run --supernet digits --target cpu -l latency_ms=1e-9")
    assert result.exit_code == 3
    assert (
        "cannot be met. The nearest subnet is sub_small: latency_ms on cpu 0.04 where <= 1e-09 was asked, 4e+07 times"
        in result.stdout
    )
    assert run("search run --supernet digits --target cpu -l latency_ms=1e-9 --json").exit_code == 3
    assert run("export sea_1").exit_code == 3


def test_a_failed_job_has_status_4_and_shows_its_log(client: Client, server: FakeServer) -> None:
    server.routes["GET", "/v1/jobs/job_1"] = job(
        "failed", error={"code": "child_died", "message": "it broke"}, log=["the last line"]
    )
    result = run("jobs watch job_1")
    assert result.exit_code == 4
    assert "it broke" in result.stderr
    assert "the last line" in result.stderr


def test_a_wait_that_is_too_short_has_status_5(client: Client, server: FakeServer) -> None:
    server.routes["GET", "/v1/jobs/job_1"] = job("running", 1)
    result = run("jobs watch job_1 --timeout 1")
    assert result.exit_code == 5
    assert "is running after 1 s" in result.stderr


def test_no_server_has_status_5() -> None:
    result = run("--url http://127.0.0.1:9 targets list")
    assert result.exit_code == 5
    assert "netwright serve" in result.stderr


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "line",
    [
        "targets add --set threads",
        "search run --supernet digits --restrict resolution",
        "search run",
        "supernets evaluate digits --count 0",
        "no-such-command",
    ],
)
def test_wrong_usage_has_status_2(line: str) -> None:
    assert run(line).exit_code == 2


@pytest.mark.usefixtures("client")
def test_a_limit_that_cannot_be_read_is_explained() -> None:
    result = run("search run --supernet digits -l fast")
    assert result.exit_code == 1
    assert "must look like latency_ms=20" in result.stderr


def test_server_commands_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for line in (
        "serve",
        "worker",
        "migrate",
        "demo",
        "card out",
        "train sandwich --out out --family f.toml --data digits",
    ):
        result = run(line)
        assert result.exit_code == 1
        assert "pip install 'netwright[server]'" in result.stderr


def test_the_server_comes_from_options_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str | None]] = []

    class Recorded(Client):
        def __init__(self, url: str, key: str | None) -> None:
            seen.append((url, key))
            super().__init__(url, key, transport=httpx.MockTransport(FakeServer()))

    monkeypatch.setattr("netwright.commands.output.Client", Recorded)
    run("--url http://one --key k jobs list")
    CliRunner().invoke(app, ["jobs", "list"], env={"NETWRIGHT_URL": "http://two", "NETWRIGHT_KEY": "k2"})
    assert seen == [("http://one", "k"), ("http://two", "k2")]


def test_importing_a_table_sends_the_file_and_names_what_was_refused(
    client: Client, server: FakeServer, tmp_path: Path
) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("resolution,lat ms\n24,0.5\n")
    words = ["targets", "import", "--table", str(table), "--latency", "lat ms", "--unit", "us"]
    words += ["--arch", "resolution", "--supernet", "digits", "--device", "Pixel 3", "--strict"]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "unit jump" in result.output and "is the unit right?" in result.output
    assert server.sent("/v1/targets")["name"] == "lat ms"
    assert server.sent("/v1/targets")["settings"]["device"] == "Pixel 3"
    body = server.sent("/v1/targets/tgt_1/measurements")
    assert (
        body["supernet"] == "sup_1"
        and base64.b64decode(body["table"]["file"]["content"]) == table.read_bytes()
    )
    told = {name: body["table"][name] for name in ("latency", "unit", "archs", "strict", "accept_jumps")}
    assert told == {
        "latency": "lat ms", "unit": "us", "archs": ["resolution"], "strict": True, "accept_jumps": False
    }  # fmt: skip


@pytest.mark.usefixtures("client")
def test_a_file_that_is_absent_or_too_large_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"targets import --latency ms --supernet digits --table {tmp_path}/"
    assert "must be readable" in run(f"{line}absent.csv").output
    monkeypatch.setattr("netwright.resources.files.MOST_BYTES", 3)
    (tmp_path / "large.csv").write_text("a,ms\n")
    result = run(f"{line}large.csv")
    assert result.exit_code == 1 and "NETWRIGHT_IMPORT_DIR" in result.output


@pytest.mark.usefixtures("client")
def test_a_report_card_says_why_where_and_how_many(tmp_path: Path) -> None:
    plot = tmp_path / "card.png"
    result = run(f"predictors show prd_1 --plot {plot}")
    assert result.exit_code == 0, result.output
    for words in (
        "2.1 %",
        "bayesian_linear: mean CV interval score 0.041 beside 0.052 of trees",
        "needs 40 rows, there are 30",
        "furthest off",
        "10.0 %",
        "the error still falls: more rows would help",
    ):
        assert words in result.stdout, words
    assert plot.read_bytes() == ONNX  # what the server keeps under that hash here


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "options",
    [
        "--supernet digits",
        "--table t.csv --supernet digits",
        "--table t.csv --latency ms",
        "--table t.csv --latency ms --supernet digits --space mine",
        "--table t.csv --operators o.yaml --latency ms --supernet digits",
        "--operators o.yaml --space mine",
    ],
)
def test_an_import_says_which_options_belong_together(options: str) -> None:
    result = run(f"targets import {options}")
    assert result.exit_code == 2
    assert (
        "exactly one of" in result.stderr
        or "--latency" in result.stderr
        or "of a --supernet" in result.stderr
    )


@pytest.mark.usefixtures("client")
def test_measuring_until_a_predictor_is_good_enough(server: FakeServer) -> None:
    assert run("targets measure cpu --supernet digits --until mape<2.5%").exit_code == 0
    body = server.sent("/v1/targets/tgt_1/measurements")
    assert (body["until"], body["count"]) == ({"metric": "mape", "below": 0.025}, 200)
    for text in ("mape<0", "mape<300%", "rmse<3%", "mape<1.2.3"):
        result = run(f"targets measure cpu --supernet digits --until {text}")
        assert result.exit_code == 2 and "mape<3%" in result.output


@pytest.mark.usefixtures("client")
def test_predictors_stand_one_below_the_other_on_a_narrow_terminal() -> None:
    lines = CliRunner().invoke(app, ["predictors", "list"], env={"COLUMNS": "80"}).stdout.splitlines()
    assert len(lines) == 2 and lines[0] == "prd_1  latency_ms: bayesian_linear, 30 rows"
    assert lines[1].startswith("  Spearman 0.99, mean error 2.1 %, median 2.0 %")
