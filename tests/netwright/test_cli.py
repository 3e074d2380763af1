"""Every command against the real application: JSON for scripts, tables for people, exit statuses."""

from __future__ import annotations

import base64
import csv
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from netwright import Client
from netwright.cli import app
from netwright.errors import ApiError, FieldError
from service.db.tables import Job, Search
from tests.netwright.house import ONNX, House
from tests.service.rows import insert_measured

Ids = dict[str, str]
COMMANDS = [
    "supernets list",
    "supernets show digits",
    "supernets space digits",
    "supernets add digits",
    "supernets evaluate digits --count 5",
    "supernets train mine --data digits --family digits --steps 40",
    "supernets train mine --from digits --recipe random --detach",
    "supernets train mine --from digits --dry-run",
    "targets list",
    "targets show cpu",
    "targets add cpu --set threads=2 --name mine",
    "targets refresh cpu",
    "targets measure cpu --supernet digits --count 5",
    "targets measure cpu --supernet digits --until mape<3%",
    "targets import --table {table} --latency ms --arch arch --supernet digits",
    "targets measurements cpu",
    "targets predictors cpu",
    "predictors list --supernet digits --target cpu --metric latency_ms",
    "predictors show {predictor}",
    "predictors fit --supernet digits --metric latency_ms --target cpu",
    "search list",
    "search show {search}",
    "search profile --supernet digits --target cpu -l latency_ms=20",
    "search run --supernet digits --target cpu -l latency_ms=0.03 -l accuracy>=0.8 --evaluations 4",
    "search run --supernet digits --target cpu --no-wait",
    "search extend {search} --evaluations 4 -l latency_ms=0.02",
    "search compare {search} {search}",
    "front show {search}",
    "front show {search} --pick knee",
    "front pick {search} --how buckets --k 2 --by latency_ms -l accuracy>=0.8",
    "front best --supernet digits --target cpu -l latency_ms=3",
    "export {subnet} -o {out}",
    "jobs list",
    "jobs show {job}",
    "jobs watch {job}",
]


def write_table(path: Path, arch: str, latency: str) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("arch", latency), (arch, 0.5)])


def run(line: str, **names: object) -> Result:
    words = [word.format(**names) for word in line.split()]
    return CliRunner().invoke(app, words, env={"COLUMNS": "240"})


@pytest.fixture
def names(ids: Ids, tmp_path: Path) -> dict[str, object]:
    write_table(tmp_path / "mine.csv", ids["smallest"], "ms")
    return {**ids, "table": tmp_path / "mine.csv", "out": tmp_path / "m.onnx"}


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("line", COMMANDS)
def test_output_is_tables_for_people_and_one_json_document_for_scripts(
    line: str, names: dict[str, object]
) -> None:
    result = run(line, **names)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() and not result.stdout.lstrip().startswith(("{", "["))
    line = line.replace("mine", "other")
    result = run(f"{line} --json" if "import" not in line else f"{line} --name b --json", **names)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)


def test_every_command_that_answers_has_json() -> None:
    """Commands that run until they are stopped, or that print a page of progress, have no JSON."""
    from typer.main import get_command

    without = {"serve", "worker", "agent", "train", "card", "demo"}

    def leaves(command: Any, path: str) -> list[str]:
        if hasattr(command, "commands"):
            return [leaf for name, sub in command.commands.items() for leaf in leaves(sub, f"{path} {name}")]
        options = {option for parameter in command.params for option in parameter.opts}
        return [] if "--json" in options else [path.strip()]

    assert set(leaves(get_command(app), "")) <= without | {"migrate"}


def test_no_command_has_an_option_for_one_metric() -> None:
    from typer.main import get_command

    def options(command: Any) -> set[str]:
        if hasattr(command, "commands"):
            return set().union(*(options(sub) for sub in command.commands.values()))
        return {option for parameter in command.params for option in parameter.opts}

    assert not {o for o in options(get_command(app)) if o.startswith(("--max-", "--min-")) or "-ms" in o}


@pytest.mark.usefixtures("house")
def test_a_front_is_a_line_a_point_fastest_first(client: Client, ids: Ids) -> None:
    points = sorted(client.searches.get(ids["search"]).front(), key=lambda p: p.value("latency_ms") or 0)
    lines = run("front show {search}", **ids).stdout.splitlines()
    rows = [line for line in lines if "sub_" in line]
    assert [next(word for word in row.split() if word.startswith("sub_")) for row in rows] == [
        point.id for point in points
    ]
    assert "±" in rows[0] and any(verdict in rows[0] for verdict in ("good", "noisy", "contended"))
    assert f"{len(points)} points" in lines[0]


def test_a_pick_gives_its_reason(house: House, ids: Ids) -> None:
    result = run("front pick {search} -l latency_ms=0.02 --target cpu", **ids)
    assert "highest accuracy" in result.stdout and "latency_ms <= 0.02" in result.stdout
    assert result.stdout.startswith("1 of ") or "1 point" in result.stdout
    assert run("front pick {search} -l latency_ms=1e-9", **ids).exit_code == 3
    assert run("front best --supernet digits -l latency_ms@cpu=3").exit_code == 1
    whole, picked = (
        run(f"front best --supernet digits -l latency_ms=1e-9 {of}") for of in ("", "--pick best")
    )
    assert whole.exit_code == picked.exit_code == 3 and whole.stderr == picked.stderr and not whole.stdout
    assert "no point of the front meets latency_ms <= 1e-09 (best of" in whole.stderr


def test_a_search_prints_its_id_before_it_waits(house: House) -> None:
    result = run("search run --supernet digits --target cpu -l latency_ms=0.03 --evaluations 4")
    assert result.exit_code == 0, result.output
    id = result.stderr.splitlines()[0].removeprefix("search ")
    assert id.startswith("sea_") and f"search {id}" in result.stdout
    listed = run("search list").stdout
    assert id in listed and "digits" in listed and "latency_ms <= 0.03" in listed
    assert id in run("jobs list").stdout, "a job names what it makes"
    assert "digits" in run(f"search show {id}").stdout


def test_options_of_a_search_are_sent(house: House) -> None:
    house.worker = False
    line = "search run --supernet digits --target cpu -l latency_ms=20 --evaluations 9 --seconds 5 --no-wait"
    more = (
        "--restrict resolution=24,32 --stall-evaluations 4 --stall-gain 0.01 --label team=vision --label n=2"
    )
    assert run(f"{line} {more} --front shared -l macs<=5e6").exit_code == 0
    sent = house.sent("/v1/searches")
    assert sent["constraints"] == [{"metric": "latency_ms", "max": 20.0}, {"metric": "macs", "max": 5e6}]
    assert sent["restrict"] == {"resolution": [24, 32]} and sent["front"] == "shared"
    assert sent["budget"] == {"evaluations": 9, "seconds": 5.0}
    assert sent["stall"] == {"evaluations": 4, "gain": 0.01}
    assert sent["labels"] == {"team": "vision", "n": "2"}
    listed = run("search list --supernet digits --state queued --label team=vision --label n=2").stdout
    assert "sea_" in listed
    assert "sea_" not in run("search list --label team=other").stdout


def test_a_budget_is_given_in_evaluations_images_or_seconds(house: House) -> None:
    house.worker = False
    for options, budget in (
        ("", {"evaluations": 24}),
        ("--images 5000 --first-images 100", {"images": 5000}),
        ("--seconds 60", {"seconds": 60.0}),
    ):
        assert run(f"search run --supernet digits --target cpu {options} --no-wait").exit_code == 0
        assert house.sent("/v1/searches")["budget"] == budget


def test_options_of_an_extension_are_sent(house: House, ids: Ids) -> None:
    house.worker = False
    run("search extend {search} --evaluations 50 -l latency_ms=18 -l accuracy>=0.9 --no-wait", **ids)
    assert house.sent(f"/v1/searches/{ids['search']}:extend") == {
        "evaluations": 50,
        "constraints": [{"metric": "latency_ms", "max": 18.0}, {"metric": "accuracy", "min": 0.9}],
    }
    run("search extend {search} --no-limits --objective macs --objective accuracy --no-wait", **ids)
    sent = house.sent(f"/v1/searches/{ids['search']}:extend")
    assert sent == {"evaluations": 0, "constraints": [], "objectives": ["macs", "accuracy"]}


def test_a_search_shows_how_its_front_grew(house: House, ids: Ids, tmp_path: Path) -> None:
    result = run("search show {search} --plot {plot}", **ids, plot=tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    assert "8/8 + 60 reused" in result.stdout
    assert "hypervolume of the front, up to accuracy" in result.stdout
    house.worker = False
    run("search run --supernet digits --target cpu --no-wait")
    with house.client() as client:
        early = client.searches.list()[0].id
    assert "no history yet" in run(f"search show {early} --plot {tmp_path / 'none.png'}").stderr


def test_settings_of_a_target_are_typed(house: House) -> None:
    run("targets add cpu --set threads=2 --set precision=fp32 --name two")
    assert house.sent("/v1/targets")["settings"] == {"threads": 2, "precision": "fp32"}


@pytest.mark.parametrize("what", ["{subnet}", "{search} -l latency_ms=0.02"])
def test_export_saves_the_file(house: House, ids: Ids, what: str, tmp_path: Path) -> None:
    result = run(f"export {what} -o {tmp_path / 'm.onnx'}", **ids)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "m.onnx").read_bytes() == ONNX
    assert "64 real examples" in result.stdout


def test_a_front_is_saved(house: House, ids: Ids, tmp_path: Path) -> None:
    line = "front show {search} --csv {folder}/front.csv --parquet {folder}/front.parquet"
    assert run(line, **ids, folder=tmp_path).exit_code == 0
    assert (tmp_path / "front.csv").read_text().startswith("subnet,")
    assert (tmp_path / "front.parquet").exists()


def test_searches_are_compared(house: House, ids: Ids, tmp_path: Path) -> None:
    other = run("search extend {search} --evaluations 4 --json", **ids)
    second = json.loads(other.stdout)["search"]["id"]
    result = run(
        "search compare {search} {second} --plot {plot}", **ids, second=second, plot=tmp_path / "c.png"
    )
    assert result.exit_code == 0, result.output
    assert "hypervolume up to accuracy" in result.stdout and "new point" in result.stdout
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    with house.client() as client:
        found = client.searches.compare(client.searches.get(ids["search"]), second)
    assert found.fronts[0].new == 0 and found.fronts[1].hypervolume >= found.fronts[0].hypervolume
    assert run("search compare {search}", **ids).exit_code == 1


def test_a_front_is_plotted_and_a_bad_path_explained(house: House, ids: Ids, tmp_path: Path) -> None:
    assert run("front show {search} --plot {plot}", **ids, plot=tmp_path / "f.png").exit_code == 0
    assert run("front best --supernet digits --plot {plot}", plot=tmp_path / "b.png").exit_code == 0
    assert (tmp_path / "f.png").exists() and (tmp_path / "b.png").exists()
    result = run("front show {search} --plot {plot}", **ids, plot=tmp_path / "f.xyz")
    assert result.exit_code == 1 and "f.xyz" in result.stderr


def test_a_plot_without_matplotlib_names_the_extra(
    house: House, ids: Ids, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    result = run("front show {search} --plot {plot}", **ids, plot=tmp_path / "f.png")
    assert result.exit_code == 1 and "pip install 'netwright[plot]'" in result.stderr


def test_deleting_tells_what_became_of_it(house: House, ids: Ids) -> None:
    run("targets add cpu --name spare --set threads=2")
    assert "is deleted" in run("targets delete spare").stdout
    assert "archived, not deleted" in run("targets delete cpu").stdout
    for line in ("search list", "predictors list", "front show {search}", "search show {search}"):
        shown = run(line, **ids).stdout
        assert ids["target"] not in shown, line
        assert "cpu (archived)" in shown or line.startswith("front"), line
    assert json.loads(run("search delete {search} --json", **ids).stdout)["id"] == ids["search"]
    assert run("targets delete spare").exit_code == 1


# --- what goes wrong -------------------------------------------------------------------------------


def test_a_refusal_is_printed_once_and_has_status_1(house: House) -> None:
    result = run("search run --supernet digits --target cpu --evaluations 0")
    assert result.exit_code == 1
    assert result.stderr.count("budget.evaluations") == 1 and "got 0" in result.stderr
    assert "Traceback" not in result.output


def test_what_would_help_is_a_command(house: House) -> None:
    run("targets add cpu --name second")
    result = run("search run --supernet digits --target second -l latency_ms=3")
    assert result.exit_code == 1 and "this would help:" in result.stderr
    assert "netwright predictors fit --supernet" in result.stderr or "netwright targets" in result.stderr


def test_a_search_measures_and_fits_what_it_lacks_first(house: House) -> None:
    with house.client() as client:
        second = client.targets.add("cpu", name="second")
        insert_measured(house.database, client.supernets.get("digits").id, second.id)
    line = "search run --supernet digits --target second -l latency_ms=3 --evaluations 2 --no-wait"
    asked = len(house.asked)
    run(f"{line} --first 12")  # the made-up predictor is of the other target: what follows does not matter
    posted = [path for method, path, _ in house.asked[asked:] if method == "POST"]
    target = f"/v1/targets/{second.id}/measurements"
    assert posted == ["/v1/searches", target, "/v1/predictors", "/v1/searches"]
    assert house.sent(target)["count"] == 12 and house.sent("/v1/predictors")["metric"] == "latency_ms"
    asked = len(house.asked)
    run("search run --supernet digits --target cpu --evaluations 2 --no-wait --first 12")
    posted = [path for method, path, _ in house.asked[asked:] if method == "POST"]
    assert posted == ["/v1/searches"], "nothing is measured where predictors are there"


def test_a_search_without_an_answer_has_status_3(house: House) -> None:
    line = "search run --supernet digits --target cpu -l latency_ms=1e-9 --evaluations 4"
    result = run(line)
    assert result.exit_code == 3
    assert "cannot be met. The nearest subnet is sub_" in result.stdout
    assert "latency_ms on cpu" in result.stdout and "times as much" in result.stdout
    assert run(f"{line} --json").exit_code == 3
    with house.client() as client:
        assert run(f"export {client.searches.list()[0].id}").exit_code == 3


def test_a_failed_job_has_status_4_and_shows_its_log_where_it_was_unforeseen(house: House) -> None:
    from service.runtime import job_queries

    job = house.job("running")
    with house.database.write() as session:
        job_queries.add_log(session, job, ["the last line"])
    house.change(Job, job, state="failed", error_code="child_died", error_message="it broke")
    result = run(f"jobs watch {job}")
    assert result.exit_code == 4
    assert "it broke" in result.stderr and "the last line" in result.stderr
    house.change(Job, job, error_code="data_missing")
    assert "the last line" not in run(f"jobs watch {job}").stderr


def test_a_wait_that_is_too_short_has_status_5(house: House) -> None:
    result = run(f"jobs watch {house.job('running')} --timeout 1")
    assert result.exit_code == 5
    assert "is running after 1 s" in result.stderr and "netwright jobs watch" in result.stderr


def test_no_server_has_status_5() -> None:
    result = run("--url http://127.0.0.1:9 targets list")
    assert result.exit_code == 5
    assert "netwright serve" in result.stderr


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    "line",
    [
        "targets add --set threads",
        "search run --supernet digits --restrict resolution",
        "search run --supernet digits --label vision",
        "search run",
        "supernets evaluate digits --count 0",
        "no-such-command",
        "targets import --supernet digits",
        "targets import --table t.csv --supernet digits",
        "targets import --table t.csv --latency ms",
        "targets import --table t.csv --latency ms --supernet digits --space mine",
        "targets import --table t.csv --operators o.yaml --latency ms --supernet digits",
        "targets import --operators o.yaml --space mine",
        "targets measure cpu --supernet digits --until mape<0",
        "targets measure cpu --supernet digits --until mape<300%",
        "targets measure cpu --supernet digits --until rmse<3%",
        "targets measure cpu --supernet digits --until mape<1.2.3",
    ],
)
def test_wrong_usage_has_status_2(line: str) -> None:
    assert run(line).exit_code == 2


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("search run --supernet digits -l fast", "must look like latency_ms=20"),
        ("search run --supernet digits -l latncy_ms=3", "did you mean 'latency_ms'"),
        ("front best --supernet digits -l latncy_ms=3", "did you mean 'latency_ms'"),
        ("supernets show digit", "did you mean 'digits'"),
        ("targets show cpi", "did you mean 'cpu'"),
        ("search run --supernet digits -l latency_ms@cpi=3", "did you mean 'cpu'"),
        ("jobs show job_none", "there is no job 'job_none'"),
        ("front show sea_none", "there is no search 'sea_none'"),
    ],
)
def test_a_name_that_does_not_exist_is_explained(line: str, words: str) -> None:
    result = run(line)
    assert result.exit_code == 1
    assert words in result.stderr and result.stderr.count(words) == 1


def test_server_commands_name_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
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
    seen: list[tuple[str | None, str | None]] = []

    class Recorded(Client):
        def __init__(self, url: str | None, key: str | None, **_: object) -> None:
            seen.append((url, key))
            answer = httpx.Response(200, json={"items": [], "next_page_token": None})
            super().__init__(url, key, transport=httpx.MockTransport(lambda _: answer))

    monkeypatch.setattr("netwright.output.printing.Client", Recorded)
    run("--url http://one --key k jobs list")
    CliRunner().invoke(app, ["jobs", "list"], env={"NETWRIGHT_URL": "http://two", "NETWRIGHT_KEY": "k2"})
    assert seen == [("http://one", "k"), ("http://two", "k2")]


def test_importing_a_table_sends_the_file_and_lists_what_was_refused(
    house: House, ids: Ids, tmp_path: Path
) -> None:
    table = tmp_path / "mine.csv"
    write_table(table, ids["smallest"], "lat ms")
    words = ["targets", "import", "--table", str(table), "--latency", "lat ms", "--unit", "us"]
    words += ["--arch", "arch", "--supernet", "digits", "--device", "Pixel 3", "--strict"]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "unit jump" in result.output and "is the unit right?" in result.output
    sent = house.sent("/v1/measurements:import")
    assert sent["target"]["name"] == "lat ms" and sent["target"]["settings"]["device"] == "Pixel 3"
    body = sent["table"]
    assert base64.b64decode(body.pop("file")["content"]) == table.read_bytes()
    assert body == {
        "latency": "lat ms", "unit": "us", "archs": ["arch"], "strict": True, "accept_jumps": False
    }  # fmt: skip


@pytest.mark.usefixtures("house")
def test_a_file_that_is_absent_or_too_large_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"targets import --latency ms --supernet digits --table {tmp_path}/"
    assert "must be readable" in run(f"{line}absent.csv").output
    monkeypatch.setattr("netwright.client.http.files.MAX_BYTES", 3)
    (tmp_path / "large.csv").write_text("a,ms\n")
    result = run(f"{line}large.csv --name other")
    assert result.exit_code == 1 and "NETWRIGHT_IMPORT_DIR" in result.output


def test_a_report_card_has_reason_errors_and_rows(house: House, ids: Ids, tmp_path: Path) -> None:
    result = run("predictors show {predictor} --plot {plot}", **ids, plot=tmp_path / "card.png")
    assert result.exit_code == 0, result.output
    for words in (
        "2.1 %",
        "bayesian_linear: mean CV interval score 0.041, trees 0.052",
        "needs 40 rows, there are 30",
        "largest errors",
        "10.0 %",
        "the error still falls: more rows would help",
    ):
        assert words in result.stdout, words
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")


def test_predictors_are_listed_in_lines_on_a_narrow_terminal(house: House, ids: Ids) -> None:
    lines = CliRunner().invoke(app, ["predictors", "list"], env={"COLUMNS": "80"}).stdout.splitlines()
    assert f"{ids['predictor']}  latency_ms on cpu: bayesian_linear, 60 rows" in lines
    assert "  Spearman 0.99, mean error 2.1 %, median 2.0 %, bias 0.10 %, covers 90.0 %" in lines


@pytest.mark.parametrize(
    ("line", "kind"), [("supernets train mine --from digits", "train"), ("jobs watch {job}", "measure")]
)
def test_ctrl_c_says_how_to_continue(
    house: House, ids: Ids, line: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    house.worker = False
    job = house.job("running")
    monkeypatch.setattr("netwright.client.jobs.Job.events", stop)
    monkeypatch.setattr("netwright.client.jobs.time.sleep", stop)
    result = run(line, job=job)
    assert result.exit_code == 130
    assert "netwright jobs watch job_" in result.stderr and "netwright jobs cancel job_" in result.stderr


def test_several_targets_are_told_apart(house: House, ids: Ids) -> None:
    """A front for each target, and a shared one, from stored points."""
    from service.db.tables import Point, Target

    with house.database.write() as session:
        first = session.get_one(Target, ids["target"])
        copied = {c.name: getattr(first, c.name) for c in Target.__table__.columns if c.name != "name_key"}
        session.add(
            Target(**{**copied, "id": "tgt_second", "name": "pi", "settings": {**first.settings, "batch": 8}})
        )
        rows = session.query(Point).filter_by(search_id=ids["search"]).all()
        for row in rows:
            slow = [
                {**each, "target": "tgt_second", "value": 3 * each["value"]} for each in row.body["measured"]
            ]
            row.body = {**row.body, "measured": [*row.body["measured"], *slow]}
        search = session.get_one(Search, ids["search"])
        search.spec = {**search.spec, "targets": [ids["target"], "tgt_second"]}
    shared = run("front show {search}", **ids).stdout
    for head in ("latency_ms on cpu", "latency_ms on pi", "verdict on pi"):
        assert head in shared
    assert "cpu, pi" in run("search list").stdout


# --- sentences ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detail", "field"),
    [
        ("settings: threads must be from 1 to 1024, got 0", FieldError("settings", {"threads": 0}, "fewer")),
        ("kind must be one of cpu, agent, got 'CPU'", FieldError("kind", "CPU", ["cpu", "agent"])),
        ("a predictor of accuracy needs 8 subnets", FieldError("metric", "accuracy", "measured first")),
    ],
)
def test_what_was_got_is_said_once(detail: str, field: FieldError) -> None:
    assert str(ApiError(422, "invalid_request", detail, [field])) == f"{detail} [422 invalid_request]"


def test_a_field_that_a_sentence_does_not_name_is_added() -> None:
    error = ApiError(
        422, "invalid_request", "the request breaks a rule", [FieldError("count", 0, "1 or more")]
    )
    assert str(error) == "the request breaks a rule; count: 1 or more, got 0 [422 invalid_request]"


def test_a_rule_that_states_the_refused_value_is_not_followed_by_the_whole_input() -> None:
    rule = "a limit must be 0 or from 1e-09 to 1e+15, got -1"
    assert str(FieldError("constraints.0", {"metric": "macs", "max": -1.0}, rule)) == f"constraints.0: {rule}"
    assert str(FieldError("budget", -1, "at least 1")) == "budget: at least 1, got -1"


def test_a_priority_is_sent_and_changed(house: House) -> None:
    house.worker = False
    result = run("search run --supernet digits --target cpu --priority 5 --no-wait --json")
    job = json.loads(result.stdout)["job"]
    assert house.sent("/v1/searches")["priority"] == 5
    assert json.loads(run(f"jobs update {job} --priority -3 --json").stdout)["priority"] == -3
    assert run(f"jobs update {job} --priority 101").exit_code == 2
