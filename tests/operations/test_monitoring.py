"""What Prometheus reads: every metric of the dashboard exists, and its values are those of the rows."""

import json
import logging
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.db.tables import Job, JobStep, Project
from service.http.keys import make_key
from service.ids import DEFAULT_PROJECT, new_id
from service.logs import JsonFormatter, TextFormatter, job_id, request_id
from service.runtime import job_queries
from tests.service.conftest import ROOT

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "netwright.json").read_text())


def samples(client, **headers):
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def busy(database, measured):
    """Jobs that wait, ended and failed, one of them with a step that was executed twice."""
    with database.write() as session:
        for kind, state in (("search", "queued"), ("search", "running"), ("train", "succeeded")):
            job = job_queries.create_job(session, DEFAULT_PROJECT, kind, {})
            if state != "queued":
                job_queries.set_state(session, job, "running")
                job_queries.set_state(session, job, state)
        failed = job_queries.create_job(session, DEFAULT_PROJECT, "export", {})
        job_queries.set_state(session, failed, "running")
        job_queries.set_state(session, failed, "failed", error=("export_failed", "no"))
        for execution in (1, 2):
            step = JobStep(id=new_id("stp"), project_id=DEFAULT_PROJECT, job_id=failed.id, step="a")
            step.execution, step.worker_id = execution, "w"
            session.add(step)


def test_the_values_are_those_of_the_rows(client, busy, target):
    client.get("/v1/jobs")
    client.get("/v1/jobs/job_none")
    found = samples(client)
    assert found["netwright_jobs", ("kind", "search"), ("state", "queued")] == 1
    assert found["netwright_jobs", ("kind", "search"), ("state", "running")] == 1
    assert found["netwright_queue_age_seconds",] >= 0
    assert found["netwright_workers",] == 0
    failed = (("error_code", "export_failed"), ("kind", "export"), ("state", "failed"))
    assert found["netwright_jobs_finished_total", *failed] == 1
    assert found["netwright_job_seconds_total", ("kind", "train"), ("state", "succeeded")] >= 0
    assert found["netwright_step_failures_total", ("kind", "export")] == 1
    spread = ("netwright_measurement_spread_ratio", ("metric", "latency_ms"), ("target", target["name"]))
    assert found[spread] == pytest.approx(0.01)
    route = (("method", "GET"), ("route", "/v1/jobs/{id}"), ("status", "404"))
    assert found["netwright_http_request_seconds_count", *route] == 1


def test_every_metric_of_the_dashboard_exists(client, busy):
    client.get("/v1/jobs")
    there = {name for name, *_ in samples(client)}
    named = {
        name
        for panel in DASHBOARD["panels"]
        for query in panel["targets"]
        for name in re.findall(r"netwright_\w+", query["expr"])
    }
    assert named and named <= there
    assert {name.removesuffix("_created") for name in there if name.startswith("netwright_")} <= {
        f"{stem}{end}"
        for name in named
        for stem in [re.sub(r"_(count|sum|bucket)$", "", name)]
        for end in ("", "_count", "_sum", "_bucket")
    }, "a metric that the dashboard does not show"


def test_panels_of_the_dashboard_have_places_and_ids_of_their_own():
    places = [tuple(panel["gridPos"][name] for name in "xy") for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in DASHBOARD["panels"]})
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])


def test_a_service_with_keys_shows_metrics_to_a_key_that_may_read(client, database, target):
    with database.write() as session:
        read = make_key(session, DEFAULT_PROJECT, "prometheus", ["read"])[1]
        session.add(Project(id="prj_other", name="other"))
        session.flush()
        other = make_key(session, "prj_other", "x", ["admin"])[1]
        agent = make_key(session, DEFAULT_PROJECT, "agent", ["agent"], target=target["id"])[1]
    assert client.get("/metrics").status_code == 401
    for refused in (agent, other):
        assert client.get("/metrics", headers={"Authorization": f"Bearer {refused}"}).status_code == 403
    assert samples(client, Authorization=f"Bearer {read}")


def test_log_lines_have_the_ids_of_request_and_job():
    record = logging.LogRecord("netwright", logging.INFO, "x.py", 1, "fits %s", ("well",), None)
    request, job = request_id.set("req_1"), job_id.set("job_1")
    try:
        found = json.loads(JsonFormatter().format(record))
        text = TextFormatter().format(record)
    finally:
        request_id.reset(request)
        job_id.reset(job)
    assert found["message"] == "fits well" and found["level"] == "INFO"
    assert (found["request_id"], found["job_id"]) == ("req_1", "job_1")
    assert text.endswith("INFO netwright: fits well [req_1 job_1]")
    assert "request_id" not in json.loads(JsonFormatter().format(record))


def test_a_job_counts_once_it_ended(client, database):
    with database.write() as session:
        job = job_queries.create_job(session, DEFAULT_PROJECT, "measure", {})
    ended = ("netwright_jobs_finished_total", ("error_code", ""), ("kind", "measure"), ("state", "succeeded"))
    assert ended not in samples(client)
    with database.write() as session:
        job_queries.set_state(session, session.get_one(Job, job.id), "succeeded")
    assert samples(client)[ended] == 1
