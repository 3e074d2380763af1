"""A whole search by real processes: service, worker, child; and a worker that is killed in the middle of it."""

import os
import socket
import subprocess
import sys
import time

import httpx
import pytest

from service.db.tables import Measurement
from service.runtime import job_queries
from tests.service.conftest import ROOT
from tests.service.test_resources import fitted  # noqa: F401

# A machine that does other things at the same time may need minutes for what takes half of one.
pytestmark = pytest.mark.timeout(1200)
CODE = "from service.settings import Settings; from service.run import {0}; {0}(Settings())"


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def processes(settings):
    """Starts ``serve`` and ``worker`` as the command line does; all are gone at the end."""
    port, started = free_port(), []
    environment = {
        **os.environ,
        "NETWRIGHT_HOME": str(settings.home),
        "NETWRIGHT_DATABASE_URL": settings.database_url,
        "NETWRIGHT_PORT": str(port),
        "NETWRIGHT_HEARTBEAT_S": "0.5",
        "NETWRIGHT_POLL_S": "0.1",
        "NETWRIGHT_MEASURE_ROUNDS": "20",
        "NETWRIGHT_MEASURE_BLOCK_MS": "5",
    }

    def start(what):
        log = (settings.home / f"{what}.log").open("a")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-c", CODE.format(what)], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        started.append(process)
        return process

    start.port = port
    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(20)


@pytest.fixture
def http(processes):
    processes("serve")
    with httpx.Client(base_url=f"http://127.0.0.1:{processes.port}", timeout=600) as http:
        deadline = time.monotonic() + 240
        while True:
            try:
                http.get("/readyz")
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield http


def job_of(http, answer):
    assert answer.status_code == 202, answer.text
    return answer.json()["job"]["id"]


def follow(http, job, until=lambda kind, data: False):
    """Events of a job up to one that is waited for, or its end."""
    events = []
    with http.stream("GET", f"/v1/jobs/{job}/events", timeout=600) as stream:
        kind = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data = httpx.Response(200, content=line.removeprefix("data: ")).json()
                events.append((kind, data))
                if until(kind, data):
                    break
    return events


def test_a_search_survives_its_worker_and_repeats_no_finished_step(
    http,
    processes,
    database,
    supernet,
    target,
    measured,
    fitted,  # noqa: F811
):
    limit = 0.03
    body = {
        "supernet": supernet["id"],
        "targets": [target["id"]],
        "constraints": [{"metric": "latency_ms", "max": limit}],
        "budget": {"evaluations": 4},
    }
    answer = http.post("/v1/searches", json=body)
    job, search_id = job_of(http, answer), answer.json()["id"]
    first = processes("worker")
    follow(
        http,
        job,
        until=lambda _kind, data: data.get("step", "").startswith("measure 0") and data["state"] == "started",
    )
    first.kill()
    first.wait(10)
    with database.read() as session:
        before = {
            s.step: s.execution for s in job_queries.steps_of(session, job) if s.finished_at is not None
        }
    looked = f"known 0 {target['id']}"
    assert set(before) == {"prepare", "reference", "begin", "behind", "propose 0", "evaluate 0", looked}
    processes("worker")
    events = follow(http, job)
    assert events[-1][1]["state"] == "succeeded", http.get(f"/v1/jobs/{job}").json()

    with database.read() as session:
        steps = job_queries.steps_of(session, job)
        rows = session.query(Measurement).filter_by(job_id=job).all()
    for step in {each.step for each in steps}:
        runs = [each for each in steps if each.step == step]
        assert [each.finished_at is not None for each in runs].count(True) == 1, step
        assert runs[-1].finished_at is not None, f"{step} ran again after it had finished"
        if step in before:
            assert len(runs) == before[step], f"{step} was repeated"
    assert len(rows) == len({(row.step, row.subnet_id, row.metric, row.scope) for row in rows})

    search = http.get(f"/v1/searches/{search_id}").json()
    assert search["state"] == "succeeded" and search["evaluations"] == {"done": 4, "budget": 4, "reused": 60}
    assert http.get(f"/v1/jobs/{job}").json()["attempts"] == 2
    front = http.get(f"/v1/searches/{search_id}/front").json()
    if search["feasible"]:
        assert search["nearest"] is None and front["points"]
    else:  # the made-up rows need not fit this machine, and a busy one may refuse every confirmation
        assert front["points"] == []
        refused = any("confirmations on" in text and "refused" in text for text in search["warnings"])
        assert search["nearest"]["violations"] if search["nearest"] else refused
    returned = front["points"] or [each for each in [search["nearest"]] if each]
    for point in returned:
        [latency] = point["measured"]
        assert (latency["value"] <= limit) == point["feasible"] == search["feasible"]
        assert point["quality"]["split"] == "test" and point["quality"]["n"] == 360
        assert point["quality"]["standard_error"] > 0
        # Of what was known before, nothing was predicted before it was seen.
        assert {each["metric"] for each in point["predicted"]} in ({"accuracy", "latency_ms"}, set())
        assert all(
            each["low"] <= each["mean"] <= each["high"] and each["version"] for each in point["predicted"]
        )
        confirmed = [
            row for row in rows if row.subnet_id == point["subnet"] and row.step.startswith("confirm")
        ]
        assert [row.value for row in confirmed] == [latency["value"]]
    tested = {row.subnet_id for row in rows if row.scope == "split:test"}
    assert tested == {point["subnet"] for point in returned}  # for what is returned, and nothing else

    wider = {"constraints": [{"metric": "latency_ms", "max": 2 * limit}]}
    again = done(http, http.post(f"/v1/searches/{search_id}:extend", json=wider))
    # On a busy machine a latency may be refused as too noisy: then there is no row of it to reuse.
    with_latency = {row.subnet_id for row in rows if row.metric == "latency_ms"}
    evaluated = {row.subnet_id for row in rows if row.scope == "split:validation"}
    reused = 60 + len(evaluated & with_latency)
    assert again["extends"] == search_id
    assert again["evaluations"] == {"done": 0, "budget": 0, "reused": reused}
    with database.read() as session:
        fresh = session.query(Measurement).filter_by(job_id=again["job"]).all()
    assert {row.step.split()[0] for row in fresh} <= {"confirm", "test"}
    for row in (row for row in fresh if row.scope == "split:test"):
        assert row.subnet_id not in tested


def done(http, answer):
    """What a job made, once it has succeeded."""
    job = job_of(http, answer)
    follow(http, job)
    shown = http.get(f"/v1/jobs/{job}").json()
    assert shown["state"] == "succeeded", (shown["error"], shown["log"][-15:])
    assert shown["progress"]["done"] == shown["progress"]["total"] > 0
    return http.get(shown["resource"]["href"]).json() if shown["resource"] else shown


def test_every_other_kind_of_job_and_an_impossible_limit(http, processes, supernet):
    processes("worker")
    training = {"name": "tiny", "data": "digits", "family": "digits", "recipe": "digits", "steps": 3}
    trained = done(http, http.post("/v1/trainings", json=training))
    assert trained["source"] == "training" and trained["training"]["steps"] == 3
    assert http.post("/v1/trainings", json=training).status_code == 409

    path = f"/v1/supernets/{supernet['id']}/evaluations"
    job = done(http, http.post(path, json={"count": 24}))
    rows = http.get("/v1/measurements", params={"job": job["id"]}).json()["items"]
    assert len(rows) == 24 and {(row["split"], row["n"]) for row in rows} == {("validation", 360)}
    smallest = min(rows, key=lambda row: len(row["arch"]))
    assert 0.1 < smallest["value"] < 1 and smallest["spread"] > 0

    body = {"supernet": supernet["id"], "metric": "accuracy"}
    predictor = done(http, http.post("/v1/predictors", json=body))
    assert predictor["rows"] == predictor["report"]["n"] == 24 and predictor["version"]
    assert http.get(f"/v1/artifacts/{predictor['version']}").status_code == 200

    body = {
        "supernet": supernet["id"],
        "objectives": ["accuracy", "macs"],
        "constraints": [{"metric": "macs", "max": 10}],
        "budget": {"evaluations": 200},
    }
    search = done(http, http.post("/v1/searches", json=body))
    assert (search["state"], search["feasible"]) == ("succeeded", False)
    assert 1 <= search["evaluations"]["done"] <= 3
    [violation] = search["nearest"]["violations"]
    assert violation["max"] == 10 and violation["excess"] > 1
    assert any("ended early" in warning for warning in search["warnings"])

    subnet = search["nearest"]["subnet"]
    export = done(http, http.post(f"/v1/subnets/{subnet}/exports", json={}))
    assert export["parity"]["max_error"] <= export["parity"]["tolerance"]
    file = http.get(f"/v1/subnets/{subnet}/onnx")
    assert file.status_code == 200 and len(file.content) == export["bytes"]
    assert file.headers["etag"] == f'"{export["sha256"]}"'
    for form in ({"precision": "int8", "batch": 1}, {"format": "pt2"}):
        other = done(http, http.post(f"/v1/subnets/{subnet}/exports", json=form))
        assert other["sha256"] != export["sha256"]
        assert ("change" in other["parity"]) == ("precision" in form)
    assert http.get(f"/v1/subnets/{subnet}/onnx").headers["etag"] == file.headers["etag"]
