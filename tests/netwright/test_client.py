"""The Python client against the real application."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from netwright import Client
from netwright.client.http.models import PredictorView
from netwright.errors import (
    ConflictError,
    IntegrityError,
    InvalidRequestError,
    JobFailedError,
    NetwrightError,
    NoSuchPointError,
    NotAllowedError,
    NotFoundError,
    ServerError,
    UnreachableError,
    WaitTimeoutError,
    from_problem,
)
from netwright.processes import free_port
from service.db.tables import Export, Job
from tests.netwright.house import LIMIT_MS, ONNX, House

Ids = dict[str, str]


def test_the_one_line_of_the_readme(client: Client, house: House, ids: Ids, tmp_path: Path) -> None:
    record = (
        client.searches.create(
            supernet="digits", target="cpu", constraints={"latency_ms": LIMIT_MS}, budget=4
        )
        .wait()
        .front()
        .pick(max_latency_ms=0.025)
        .download_onnx(tmp_path / "m.onnx")
    )
    assert (tmp_path / "m.onnx").read_bytes() == ONNX and record.sha256 == house.put(ONNX)
    assert house.sent("/v1/searches") == {
        "supernet": ids["supernet"],
        "targets": [ids["target"]],
        "constraints": [{"metric": "latency_ms", "max": LIMIT_MS}],
        "budget": {"evaluations": 4},
    }


def test_every_option_of_a_search_is_sent(client: Client, house: House, ids: Ids) -> None:
    house.worker = False
    made = client.searches.create(
        "digits",
        targets=["cpu"],
        constraints=[{"metric": "latency_ms", "target": "cpu", "max": 1}],
        objectives=["accuracy", "macs"],
        budget={"evaluations": 8, "seconds": 60},
        restrict={"resolution": [24]},
        confidence=0.9,
        labels={"team": "a"},
    )
    assert made.state == "queued" and made.labels == {"team": "a"} and made.confidence == 0.9
    assert made.objectives == ["accuracy", "macs"] and made.restrict == {"resolution": [24]}
    assert made.constraints[0].target == ids["target"] and made.budget.seconds == 60


def test_an_unknown_option_names_the_nearest(client: Client) -> None:
    with pytest.raises(TypeError, match=r"no option 'sede' \(did you mean 'seed'\?\)"):
        client.searches.create("digits", sede=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"no option 'recip' \(did you mean 'recipe'\?\)"):
        client.trainings.estimate("x", recip="random")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"no option 'knd' \(did you mean 'kind'\?\)"):
        client.jobs.list(knd="fit")  # type: ignore[call-arg]


# --- fronts ----------------------------------------------------------------------------------------


def test_pick_takes_the_best_within_the_limits(client: Client, ids: Ids) -> None:
    front = client.searches.get(ids["search"]).front()
    assert front.pick().id == front[0].id, "the first is the most accurate"
    within = front.pick(max_latency_ms=0.02)
    assert within.reason and (within.value("latency_ms") or 1) <= 0.02
    assert front.pick(max_latency_ms=0.02, target="cpu").id == within.id
    assert front.pick("knee").reason
    assert [point.reason for point in front] == [None] * len(front)


def test_several_picks_are_a_front_with_reasons(client: Client, ids: Ids) -> None:
    some = client.fronts.of_search(ids["search"]).picks("buckets", 2, by="latency_ms")
    assert len(some) == 2 and "bucket 1 of 2" in (some[0].reason or "")
    assert client.fronts.of_search(ids["search"], max_points=2).picks("best", 3)[2].reason


def test_pick_names_the_nearest_value(client: Client, ids: Ids) -> None:
    front = client.fronts.of_search(ids["search"])
    with pytest.raises(NoSuchPointError, match=r"latency_ms <= 0.001 \(best of \d+: 0\.01"):
        front.pick(max_latency_ms=0.001)
    with pytest.raises(TypeError, match="max_<metric> or min_<metric>, got 'latency_ms'"):
        front.pick(latency_ms=1)
    with pytest.raises(NetwrightError, match=r"no metric 'latncy_ms' \(did you mean 'latency_ms'\?\)"):
        front.pick(max_latncy_ms=1)


def test_the_best_of_everything_stored(client: Client, ids: Ids) -> None:
    front = client.fronts.best("digits", "cpu", max_latency_ms=0.02)
    assert front and all((point.value("latency_ms") or 1) <= 0.02 for point in front)
    assert client.fronts.best("digits").total >= len(front)


def test_a_front_is_saved_as_a_table(client: Client, ids: Ids, tmp_path: Path) -> None:
    front = client.fronts.of_search(ids["search"])
    assert front.save(tmp_path / "front.csv").read_text().startswith("subnet,")
    assert front.save(tmp_path / "front.parquet").read_bytes().startswith(b"PAR1")
    with pytest.raises(NetwrightError, match=r"\.csv or \.parquet, got 'front\.xlsx'"):
        front.save(tmp_path / "front.xlsx")


def test_a_search_is_extended(client: Client, house: House, ids: Ids) -> None:
    search = client.searches.get(ids["search"])
    other = search.extend(constraints={"latency_ms": 0.02}).wait()
    assert house.sent(f"/v1/searches/{search.id}:extend") == {
        "evaluations": 0,
        "constraints": [{"metric": "latency_ms", "max": 0.02}],
    }
    assert other.extends == search.id and other.evaluations.done == 0 and other.feasible


# --- objects ---------------------------------------------------------------------------------------


def test_objects_show_what_they_are(client: Client, ids: Ids) -> None:
    search = client.searches.get(ids["search"])
    assert f"id='{ids['search']}', state='succeeded', feasible=True" in repr(search)
    assert "name='digits'" in repr(client.supernets.get("digits"))
    assert repr(search.front()[0]).startswith("Point(id='sub_") and "latency_ms=0.0" in repr(
        search.front()[0]
    )
    assert repr(search.front()) == f"<Front of {search.id}: {search.points} points>"
    assert repr(client.targets.list()).startswith("<1 target: Target(name='cpu'")


def test_objects_are_tables_in_a_notebook(client: Client, ids: Ids) -> None:
    search = client.searches.get(ids["search"])
    for shown in (search, search.front(), client.searches.list(), client.targets.list()):
        page = shown._repr_html_()
        assert page.startswith("<table>") and page.endswith("</table>")
    named = client.supernets.add("digits", name="a-second")
    vars(named)["name"] = "<script>"
    assert "<script>" not in named._repr_html_()


def test_lists_and_fronts_are_data_frames(client: Client, ids: Ids, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = client.searches.list().to_dataframe()
    assert list(frame["id"]) == [ids["search"]] and frame["evaluations.done"][0] == 8
    front = client.fronts.of_search(ids["search"])
    table = front.to_dataframe()
    assert len(table) == len(front) and table["latency_ms@cpu"].max() <= LIMIT_MS
    assert {"accuracy on validation", "accuracy on test", "macs", "arch"} <= set(table.columns)
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(NetwrightError, match="pip install pandas"):
        front.to_dataframe()


def test_metrics_are_those_of_the_server(client: Client, house: House) -> None:
    metrics = {metric.name: metric for metric in client.metrics.list()}
    assert metrics["latency_ms"].direction == "min" and metrics["accuracy"].direction == "max"
    assert client.metrics.directions["latency_ms"] == "max" and client.metrics.directions["accuracy"] == "min"
    house.asked.clear()
    assert client.metrics.directions and not house.asked, "requested once"


def test_a_list_is_a_sequence_that_reads_pages_as_needed(client: Client, house: House, ids: Ids) -> None:
    for _ in range(70):
        house.job("succeeded")
    house.asked.clear()
    jobs = client.jobs.list()
    assert jobs[0].state == "succeeded" and len(house.asked) == 1
    assert len(jobs) == 72 and jobs[-1].id and [job.id for job in jobs[:2]] == [jobs[0].id, jobs[1].id]
    assert len({job.id for job in jobs}) == 72
    pages = len(house.asked)
    assert pages >= 2 and list(jobs) and len(house.asked) == pages
    with pytest.raises(IndexError):
        jobs[72]


def test_a_list_that_never_ends_is_left_after_a_bound(
    client: Client, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.client.http.connection.MAX_PAGES", 1)
    for _ in range(70):
        house.job("succeeded")
    assert len(client.jobs.list()) < 70


def test_names_stand_for_ids(client: Client, ids: Ids) -> None:
    assert client.supernets.get("digits").id == client.supernets.id_of("digits") == ids["supernet"]
    assert client.targets.get(ids["target"]).name == "cpu"
    assert [p.id for p in client.predictors.list(supernet="digits", target="cpu")] == [ids["predictor"]]


@pytest.mark.parametrize(("resource", "near"), [("supernets", "digit"), ("targets", "cpus")])
def test_an_unknown_name_suggests_the_nearest_and_lists_all(client: Client, resource: str, near: str) -> None:
    known = {"supernets": "digits", "targets": "cpu"}[resource]
    with pytest.raises(NotFoundError, match=rf"'{near}' \(did you mean '{known}'\?\); existing: {known};"):
        getattr(client, resource).get(near)
    with pytest.raises(NotFoundError, match=rf"'zzz'; existing: {known};"):
        getattr(client, resource).get("zzz")


def test_an_answer_of_another_version_is_explained() -> None:
    from netwright.client.http.decode import read

    with pytest.raises(NetwrightError, match="no 'id', which this client needs.*different versions"):
        read(PredictorView, {"metric": "latency_ms"})
    with pytest.raises(NetwrightError, match="JSON object, got list"):
        read(PredictorView, [])


# --- waiting ---------------------------------------------------------------------------------------


def test_a_wait_reports_progress(client: Client, house: House) -> None:
    job = client.jobs.get(house.job("running", total=3))
    seen: list[tuple[str, int]] = []

    def on_progress(now: Any) -> None:
        seen.append((now.state, now.progress.done))
        done = now.progress.done + 1
        house.change(Job, job.id, done=done, state="succeeded" if done == 3 else "running")

    job.wait(progress=on_progress)
    assert seen == [("running", 0), ("running", 1), ("running", 2), ("succeeded", 3)]


def test_a_wait_ends_at_the_timeout(client: Client, house: House) -> None:
    job = client.jobs.get(house.job("running"))
    with pytest.raises(WaitTimeoutError, match=rf"{job.id} is running after 0\.05 s"):
        job.wait(timeout=0.05)


def test_a_wait_survives_a_restart_of_the_server(client: Client, house: House) -> None:
    job = client.jobs.get(house.job("running"))
    left = [httpx.ConnectError("refused"), httpx.ReadError("gone")]

    def away(_: httpx.Request) -> None:
        if left:
            raise left.pop()
        house.change(Job, job.id, state="succeeded")

    house.before.append(away)
    assert job.wait().state == "succeeded" and not left


def test_a_wait_ends_where_the_server_stays_away(
    client: Client, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.client.jobs.PATIENCE_S", 0.02)
    job = client.jobs.get(house.job("running"))

    def away(_: httpx.Request) -> None:
        raise httpx.ConnectError("refused")

    house.before.append(away)
    with pytest.raises(UnreachableError):
        job.wait()


def test_a_queued_job_without_a_worker_is_explained(
    client: Client, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.client.jobs.NO_WORKER_AFTER_S", 0.0)
    job = client.jobs.get(house.job("queued"))
    messages: list[str | None] = []

    def on_progress(now: Any) -> None:
        messages.append(now.message)
        if len(messages) > 1:
            house.change(Job, job.id, state="succeeded")

    job.wait(progress=on_progress)
    assert "no worker is running; start one on the server with `netwright worker`" in (messages[1] or "")


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_job_that_does_not_succeed_raises_its_own_error(client: Client, house: House, state: str) -> None:
    error = {"error_code": "data_missing", "error_message": "cifar10 is absent; set NETWRIGHT_DATA"}
    job = client.jobs.get(house.job(state, **error))
    with pytest.raises(JobFailedError, match="set NETWRIGHT_DATA") as caught:
        job.wait()
    assert (caught.value.code, caught.value.state) == ("data_missing", state)


# --- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (422, InvalidRequestError),
        (415, InvalidRequestError),
        (401, NotAllowedError),
        (403, NotAllowedError),
        (404, NotFoundError),
        (409, ConflictError),
        (500, ServerError),
        (503, ServerError),
    ],
)
def test_a_problem_becomes_its_exception(status: int, kind: type) -> None:
    error = from_problem(status, {"code": "some_code", "detail": "a sentence"})
    assert type(error) is kind
    assert (error.status, error.code) == (status, "some_code") and "a sentence" in error.detail


def test_a_refusal_states_each_rule_once(client: Client) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.searches.create("digits", target="cpu", budget=0)
    text = str(caught.value)
    assert text.count("budget.evaluations") == 1 and "got 0" in text and text.count("greater than") == 1
    with pytest.raises(InvalidRequestError) as caught:
        client.searches.create("digits", target="cpu", algorithm="nsga")
    text = str(caught.value)
    assert text.count("algorithm") <= 2 and text.count("surrogate") == 1 and "nsga" in text


def test_what_would_help_is_a_request(client: Client, house: House) -> None:
    supernet = client.supernets.add("digits", name="another")
    with pytest.raises(InvalidRequestError) as caught:
        client.searches.create(supernet.id, target=client.targets.add("cpu", name="second").id)
    assert any("/v1/predictors" in action.path for action in caught.value.actions)


def test_a_missing_key_is_explained() -> None:
    error = from_problem(401, {"code": "unauthorized", "detail": "a key is needed"})
    assert "--key" in str(error) and "NETWRIGHT_KEY" in str(error)


def test_another_server_is_named_as_such() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>hello"))
    with (
        Client("http://elsewhere", transport=transport) as client,
        pytest.raises(ServerError, match="must answer in JSON.*hello"),
    ):
        client.ready()


def test_no_server_there() -> None:
    with (
        Client("http://127.0.0.1:9", timeout=2) as client,
        pytest.raises(UnreachableError, match="netwright serve"),
    ):
        client.ready()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://[bad", "http://a:port"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(NetwrightError, match="address must"):
        Client(url)


@pytest.mark.parametrize("limit", [float("nan"), float("inf")])
def test_numbers_that_json_cannot_hold_are_refused_here(client: Client, house: House, limit: float) -> None:
    with pytest.raises(NetwrightError, match="finite numbers"):
        client.searches.create("digits", constraints={"latency_ms": limit})
    assert ("POST", "/v1/searches") not in [asked[:2] for asked in house.asked]


# --- files -----------------------------------------------------------------------------------------


def test_a_file_with_another_hash_is_not_kept(client: Client, house: House, ids: Ids, tmp_path: Path) -> None:
    export = client.exports.create(ids["subnet"]).wait()
    house.change(Export, export.id, sha256=house.put(ONNX), bytes=3)
    vars(export.refresh())["sha256"] = "0" * 64
    (tmp_path / "m.onnx").write_bytes(b"an older file")
    with pytest.raises(NotFoundError):
        export.download(tmp_path / "m.onnx")
    with pytest.raises(IntegrityError, match="must have SHA-256 0000"):
        client.connection.download(f"/v1/artifacts/{house.put(ONNX)}", tmp_path / "m.onnx", "0000")
    assert (tmp_path / "m.onnx").read_bytes() == b"an older file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "m.onnx"]


def test_an_export_that_exists_is_not_made_again(
    client: Client, house: House, ids: Ids, tmp_path: Path
) -> None:
    subnet = client.subnets.get(ids["subnet"])
    first = subnet.download_onnx(tmp_path / "deep" / "er" / "m.onnx")
    house.asked.clear()
    assert subnet.download_onnx(tmp_path / "m.onnx").id == first.id
    assert not [path for _, path, _ in house.asked if path.startswith("/v1/jobs")]
    assert (tmp_path / "deep" / "er" / "m.onnx").read_bytes() == ONNX


def test_an_unfinished_export_cannot_be_downloaded(
    client: Client, house: House, ids: Ids, tmp_path: Path
) -> None:
    house.worker = False
    export = client.exports.create(ids["subnet"])
    with pytest.raises(NetwrightError, match="is queued; wait for it"):
        export.download(tmp_path / "m.onnx")


# --- the rest --------------------------------------------------------------------------------------


def test_the_key_is_sent_as_a_bearer_token_and_never_shown() -> None:
    headers: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers["authorization"])
        ready = {"status": "ok", "database": "sqlite", "schema_version": "1", "workers": 0}
        ready |= {"queued_for_s": 0.0, "disk_free_mb": 1000.0, "disk": "ok"}
        return httpx.Response(200, json=ready)

    with Client("http://fake", "secret", transport=httpx.MockTransport(answer)) as client:
        client.ready()
        assert "secret" not in repr(client) + repr(client.connection)
    assert headers == ["Bearer secret"]
    with pytest.raises(NetwrightError, match="printable ASCII") as caught:
        Client("http://fake", "sécret\n")
    assert "cret" not in str(caught.value)


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETWRIGHT_URL", "http://there:1")
    monkeypatch.setenv("NETWRIGHT_KEY", "from-the-environment")
    with Client() as client:
        assert client.connection.url == "http://there:1"
        assert client.connection._http.headers["authorization"] == "Bearer from-the-environment"
    monkeypatch.delenv("NETWRIGHT_URL")
    assert Client().connection.url == "http://127.0.0.1:8000"


def test_measuring_evaluating_and_fitting_start_jobs(client: Client, house: House, ids: Ids) -> None:
    arch = client.supernets.get("digits").space().smallest
    target = client.targets.get("cpu")
    assert target.measure("digits", archs=[arch]).kind == "measure"
    path = f"/v1/targets/{target.id}/measurements"
    assert house.sent(path) == {"supernet": ids["supernet"], "archs": [arch]}
    target.measure("digits", count=40, until=0.03)
    assert house.sent(path)["until"] == {"metric": "mape", "below": 0.03}
    assert client.supernets.get("digits").evaluate(count=7, seed=3).kind == "evaluate"
    assert house.sent(f"/v1/supernets/{ids['supernet']}/evaluations") == {"count": 7, "seed": 3}
    fitted = client.predictors.fit("digits", metric="latency_ms", target="cpu").wait()
    assert fitted.state == "succeeded" and (fitted.report or {})["spearman"] == 0.99


def test_the_plot_of_a_card_is_saved(client: Client, house: House, ids: Ids, tmp_path: Path) -> None:
    client.predictors.get(ids["predictor"]).save_plot(tmp_path / "card.png")
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")
    fitted = client.predictors.fit("digits", metric="latency_ms", target="cpu").wait()
    with pytest.raises(NetwrightError, match="too few rows to hold any out"):
        fitted.save_plot(tmp_path / "none.png")


def test_all_public_names_are_exported() -> None:
    import netwright.errors

    tree = [
        name
        for name, value in vars(netwright.errors).items()
        if isinstance(value, type)
        and value.__module__ == "netwright.errors"
        and issubclass(value, NetwrightError)
    ]
    assert set(tree) | {"Client"} == set(netwright.__all__)
    assert all(name in (netwright.errors.__doc__ or "") for name in tree)


def test_the_package_has_types() -> None:
    import netwright

    assert (Path(netwright.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("may_start", [True, False])
def test_a_service_on_this_machine_has_time_to_start(may_start: bool) -> None:
    port = free_port()

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"items": []}')

        def log_message(self, *_: object) -> None: ...

    with Client(f"http://127.0.0.1:{port}", may_start=may_start) as client:
        if not may_start:
            with pytest.raises(UnreachableError, match="netwright serve"):
                client.metrics.list()
            return
        started: list[HTTPServer] = []
        late = threading.Timer(0.3, lambda: started.append(HTTPServer(("127.0.0.1", port), Metrics)))
        late.start()
        answered = threading.Thread(target=lambda: (late.join(), started[0].handle_request()))
        answered.start()
        assert list(client.metrics.list()) == []
        answered.join()
        started[0].server_close()
