from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import httpx
import pytest

from netwright import Client
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
)
from tests.netwright.fake_server import ONNX, SHA256, FakeServer, job, problem


def test_the_one_line_of_the_readme(client: Client, server: FakeServer, tmp_path: Path) -> None:
    record = (
        client.searches.create(supernet="digits", target="cpu", constraints={"latency_ms": 20})
        .wait()
        .front()
        .pick(max_latency_ms=0.07)
        .download_onnx(tmp_path / "m.onnx")
    )
    assert (tmp_path / "m.onnx").read_bytes() == ONNX
    assert record["sha256"] == SHA256
    assert server.sent("/v1/searches") == {
        "supernet": "sup_1",
        "targets": ["tgt_1"],
        "constraints": [{"metric": "latency_ms", "max": 20}],
        "budget": {"evaluations": 24},
    }


def test_everything_that_is_given_to_a_search_is_sent(client: Client, server: FakeServer) -> None:
    client.searches.create(
        "sup_1",
        targets=["tgt_1"],
        constraints=[{"metric": "latency_ms", "target": "tgt_1", "max": 1}],
        objectives=["accuracy"],
        budget={"evaluations": 8, "seconds": 60},
        restrict={"resolution": [24]},
        confidence=0.9,
        labels={"team": "a"},
    )
    sent = server.sent("/v1/searches")
    assert sent["constraints"] == [{"metric": "latency_ms", "target": "tgt_1", "max": 1}]
    assert sent["budget"] == {"evaluations": 8, "seconds": 60}
    assert (sent["objectives"], sent["restrict"], sent["confidence"]) == (
        ["accuracy"],
        {"resolution": [24]},
        0.9,
    )


@pytest.mark.parametrize(
    ("limits", "subnet"),
    [
        ({"max_latency_ms": 0.07}, "sub_middle"),
        ({}, "sub_large"),
        ({"min_accuracy": 0.95, "max_latency_ms": 0.06}, "sub_middle"),
        ({"max_macs": 1e5}, "sub_large"),
        ({"how": "knee"}, "sub_middle"),
    ],
)
def test_pick_takes_the_best_within_the_limits(client: Client, limits: dict[str, Any], subnet: str) -> None:
    picked = client.fronts.of_search("sea_1").pick(**limits)
    assert picked.id == subnet and picked.reason


def test_several_picks_are_a_front_with_reasons(client: Client) -> None:
    front = client.fronts.of_search("sea_1", max_points=1)
    assert [point.reason for point in front] == [None, None, None]
    some = front.picks("buckets", 2, by="latency_ms", min_accuracy=0.94)
    assert [point.id for point in some] == ["sub_middle", "sub_large"]
    assert some[0].reason == "the only point with latency_ms from 0.06 to 0.075 (bucket 1 of 2)"
    assert [point.id for point in some.picks("best", 9)] == ["sub_large", "sub_middle", "sub_small"]


def test_pick_says_what_comes_nearest(client: Client) -> None:
    with pytest.raises(NoSuchPointError, match=r"latency_ms <= 0.01 \(best of 3: 0.04\)"):
        client.fronts.of_search("sea_1").pick(max_latency_ms=0.01)
    with pytest.raises(NoSuchPointError, match="energy_mj <= 1 .*not known"):
        client.fronts.of_search("sea_1").pick(max_energy_mj=1)
    with pytest.raises(TypeError, match="max_<metric> or min_<metric>, got 'latency_ms'"):
        client.fronts.of_search("sea_1").pick(latency_ms=1)


def test_a_search_is_extended(client: Client, server: FakeServer) -> None:
    search = client.searches.get("sea_1")
    search.extend(evaluations=10, constraints={"latency_ms": 18}, seed=3)
    assert server.sent("/v1/searches/sea_1:extend") == {
        "evaluations": 10,
        "constraints": [{"metric": "latency_ms", "max": 18}],
        "seed": 3,
    }


def test_pages_are_followed(client: Client, server: FakeServer) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        token = int(request.url.params.get("page_token", 0))
        following = str(token + 1) if token < 2 else None
        return httpx.Response(200, json={"items": [{"id": f"job_{token}"}], "next_page_token": following})

    server.routes["GET", "/v1/jobs"] = answer
    assert [found.id for found in client.jobs.list()] == ["job_0", "job_1", "job_2"]


def test_a_list_that_never_ends_is_left_after_a_bound(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.connection.MAX_PAGES", 5)
    server.routes["GET", "/v1/jobs"] = {"items": [{"id": "job_x"}], "next_page_token": "again"}
    assert len(list(client.jobs.list())) == 5


# --- waiting ---------------------------------------------------------------------------------------


def running(server: FakeServer, answers: list[Any]) -> None:
    left = iter([*answers, *itertools.repeat(answers[-1], 10_000)])

    def answer(_: httpx.Request) -> httpx.Response:
        now = next(left)
        if isinstance(now, Exception):
            raise now
        return now if isinstance(now, httpx.Response) else httpx.Response(200, json=now)

    server.routes["GET", "/v1/jobs/job_1"] = answer


def test_waiting_tells_the_progress(client: Client, server: FakeServer) -> None:
    running(server, [job("queued", 0), job("running", 1), job("running", 2), job()])
    seen: list[tuple[str, int]] = []
    client.jobs.get("job_1").wait(progress=lambda now: seen.append((now.state, now["progress"]["done"])))
    assert seen == [("running", 1), ("running", 2), ("succeeded", 3)]


def test_waiting_ends_at_the_timeout(client: Client, server: FakeServer) -> None:
    running(server, [job("running", 1)])
    with pytest.raises(WaitTimeoutError, match="job_1 is running after 0.05 s"):
        client.jobs.get("job_1").wait(timeout=0.05)


def test_waiting_survives_a_restart_of_the_server(client: Client, server: FakeServer) -> None:
    running(
        server,
        [job("running", 1), httpx.ConnectError("refused"), problem(503, "unavailable", "starting"), job()],
    )
    assert client.jobs.get("job_1").wait().state == "succeeded"


def test_waiting_gives_up_on_a_server_that_stays_away(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.resources.jobs.PATIENCE_S", 0.02)
    running(server, [job("running", 1), httpx.ConnectError("refused")])
    with pytest.raises(UnreachableError):
        client.jobs.get("job_1").wait()


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_job_that_does_not_succeed_raises_its_own_error(
    client: Client, server: FakeServer, state: str
) -> None:
    error = {"code": "data_missing", "message": "cifar10 is not there; set NETWRIGHT_DATA"}
    running(server, [job("running", 1), job(state, 1, error=error, log=["one", "two"])])
    with pytest.raises(JobFailedError, match="set NETWRIGHT_DATA") as caught:
        client.searches.get("sea_1").wait()
    assert (caught.value.code, caught.value.state, caught.value.log) == (
        "data_missing",
        state,
        ("one", "two"),
    )


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
def test_a_problem_becomes_its_exception(client: Client, server: FakeServer, status: int, kind: type) -> None:
    server.routes["POST", "/v1/searches"] = problem(status, "some_code", "a sentence")
    with pytest.raises(kind) as caught:
        client.searches.create("sup_1", constraints={"latency_ms": 1})
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code, caught.value.detail) == (
        status,
        "some_code",
        "a sentence",
    )


def test_an_error_shows_field_got_and_allowed(client: Client, server: FakeServer) -> None:
    errors = [
        {"field": "budget.evaluations", "got": 0, "allowed": ">= 1"},
        {"field": "algorithm", "got": "x", "allowed": ["a", "b"]},
    ]
    actions = [{"method": "POST", "path": "/v1/predictors", "body": {"metric": "latency_ms"}}]
    server.routes["POST", "/v1/searches"] = problem(
        422, "invalid_request", "no", errors=errors, actions=actions
    )
    with pytest.raises(InvalidRequestError) as caught:
        client.searches.create("sup_1", budget=0)
    assert "budget.evaluations; got 0; allowed: >= 1" in str(caught.value)
    assert "algorithm; got 'x'; allowed: a, b" in str(caught.value)
    assert caught.value.actions == ('POST /v1/predictors {"metric": "latency_ms"}',)


def test_what_is_no_netwright_server_is_named_as_such() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>hello"))
    with (
        Client("http://elsewhere", transport=transport) as client,
        pytest.raises(ServerError, match="must answer in JSON.*hello"),
    ):
        client.ready()


def test_nobody_there() -> None:
    with (
        Client("http://127.0.0.1:9", timeout=2) as client,
        pytest.raises(UnreachableError, match="netwright serve"),
    ):
        client.ready()


@pytest.mark.parametrize("limit", [float("nan"), float("inf")])
def test_numbers_that_json_cannot_hold_are_refused_here(
    client: Client, server: FakeServer, limit: float
) -> None:
    with pytest.raises(NetwrightError, match="finite numbers"):
        client.searches.create("sup_1", constraints={"latency_ms": limit})
    assert ("POST", "/v1/searches") not in [asked[:2] for asked in server.asked]


@pytest.mark.parametrize("resource", ["supernets", "targets"])
def test_an_unknown_name_lists_the_names(client: Client, resource: str) -> None:
    known = {"supernets": "digits", "targets": "cpu"}[resource]
    with pytest.raises(NetwrightError, match=f"'nope'; there are: {known}"):
        getattr(client, resource).get("nope")


# --- files -----------------------------------------------------------------------------------------


def test_a_file_with_another_hash_is_not_kept(client: Client, server: FakeServer, tmp_path: Path) -> None:
    server.routes["GET", f"/v1/artifacts/{SHA256}"] = lambda _: httpx.Response(200, content=ONNX[:-1])
    (tmp_path / "m.onnx").write_bytes(b"an older file")
    with pytest.raises(IntegrityError, match=f"must have SHA-256 {SHA256}"):
        client.subnets.download_onnx("sub_middle", tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == b"an older file"
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_a_refused_download_leaves_nothing(client: Client, server: FakeServer, tmp_path: Path) -> None:
    server.routes["GET", f"/v1/artifacts/{SHA256}"] = problem(404, "not_found", "gone")
    with pytest.raises(NotFoundError, match="gone"):
        client.subnets.download_onnx("sub_middle", tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_exists_is_not_waited_for(client: Client, server: FakeServer, tmp_path: Path) -> None:
    server.routes["POST", "/v1/subnets/sub_middle/exports"] = server.routes["GET", "/v1/exports/exp_1"]
    client.subnets.download_onnx("sub_middle", tmp_path / "deep" / "er" / "m.onnx")
    assert ("GET", "/v1/jobs/job_1", None) not in server.asked
    assert (tmp_path / "deep" / "er" / "m.onnx").read_bytes() == ONNX


def test_an_unfinished_export_cannot_be_downloaded(
    client: Client, server: FakeServer, tmp_path: Path
) -> None:
    server.routes["GET", "/v1/exports/exp_1"] = {
        "id": "exp_1",
        "state": "running",
        "sha256": None,
        "job": "job_1",
    }
    with pytest.raises(NetwrightError, match="exp_1 is running"):
        client.exports.get("exp_1").download(tmp_path / "m.onnx")


# --- the rest --------------------------------------------------------------------------------------


def test_the_key_is_sent_as_a_bearer_token_and_never_shown() -> None:
    headers: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers["authorization"])
        return httpx.Response(200, json={})

    with Client("http://fake", "secret", transport=httpx.MockTransport(answer)) as client:
        client.ready()
        assert "secret" not in repr(client) + repr(client.connection)
    assert headers == ["Bearer secret"]


def test_measuring_evaluating_training_and_fitting_start_jobs(client: Client, server: FakeServer) -> None:
    arch = {"resolution": 24}
    client.targets.get("cpu").measure("digits", archs=[arch])
    client.supernets.get("digits").evaluate(count=7, seed=3)
    client.trainings.create("mine", data="digits", family="digits", steps=500)
    client.predictors.fit("digits", metric="latency_ms", target="cpu").wait()
    assert server.sent("/v1/targets/tgt_1/measurements") == {
        "supernet": "sup_1",
        "archs": [arch],
        "seed": 0,
        "metrics": ["latency_ms"],
    }
    assert server.sent("/v1/supernets/sup_1/evaluations") == {"count": 7, "seed": 3}
    assert server.sent("/v1/trainings") == {
        "name": "mine",
        "data": "digits",
        "family": "digits",
        "steps": 500,
    }
    assert server.sent("/v1/predictors") == {"supernet": "sup_1", "target": "tgt_1", "metric": "latency_ms"}


def test_a_front_can_be_saved_as_csv(client: Client, tmp_path: Path) -> None:
    client.fronts.save("sea_1", tmp_path / "front.csv")
    assert (tmp_path / "front.csv").read_text().startswith("subnet,latency_ms")


def test_all_public_names_are_exported() -> None:
    import netwright.errors

    tree = [
        name
        for name, value in vars(netwright.errors).items()
        if isinstance(value, type) and value.__module__ == "netwright.errors"
    ]
    assert set(tree) - {"FieldError"} | {"Client"} == set(netwright.__all__)
    assert all(name in (netwright.errors.__doc__ or "") for name in tree if name != "FieldError")


def test_an_address_without_a_scheme_is_refused_at_once() -> None:
    with pytest.raises(NetwrightError, match="http://"):
        Client("127.0.0.1:8000")
