"""The whole journey by a generated client, in an environment without Netwright: ``URL FILE`` as arguments."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from netwright_client import AuthenticatedClient
from netwright_client.api.artifacts import get_artifact
from netwright_client.api.fronts import get_front
from netwright_client.api.jobs import get_job
from netwright_client.api.measurements import create_measurements, list_measurements
from netwright_client.api.metrics import list_metrics
from netwright_client.api.predictors import create_predictor
from netwright_client.api.searches import create_search, extend_search, get_search
from netwright_client.api.subnets import create_evaluations, create_export, get_export, get_onnx
from netwright_client.api.supernets import create_supernet
from netwright_client.api.targets import create_target
from netwright_client.models import (
    Budget,
    ConstraintBody,
    EvaluationCreate,
    ExportCreate,
    GetFrontPickType0,
    MeasurementCreate,
    PredictorCreate,
    ProblemDetails,
    SearchCreate,
    SearchExtend,
    SupernetCreate,
    TargetCreate,
)

ENDED = ("succeeded", "failed", "cancelled")
LIMIT_MS = 1000.0
# A busy machine refuses latencies that are too uncertain; a client measures again then, or extends its search.
TRIES, ENOUGH_ROWS = 5, 4


def main(url: str, out: Path) -> None:
    client = AuthenticatedClient(base_url=url, token="none", raise_on_unexpected_status=True, timeout=600)

    def ask(operation: Any, *parts: Any, **body: Any) -> Any:
        answer = operation.sync(*parts, client=client, **body)
        assert not isinstance(answer, ProblemDetails | None), answer
        return answer

    def ended(accepted: Any) -> Any:
        while (job := ask(get_job, accepted.job.id)).state not in ENDED:
            time.sleep(0.1)
        return job

    def wait(accepted: Any) -> None:
        job = ended(accepted)
        assert job.state == "succeeded", job

    def measure() -> int:
        job = ended(ask(create_measurements, "here", body=MeasurementCreate(supernet="digits", count=8)))
        assert job.state == "succeeded" or job.error.code == "measuring_failed", job
        return len({row.subnet for row in ask(list_measurements, target="here").items})

    assert any(metric.name == "latency_ms" for metric in ask(list_metrics).items)
    ask(create_supernet, body=SupernetCreate(zoo="digits"))
    ask(create_target, body=TargetCreate(kind="cpu", name="here"))
    assert any(measure() >= ENOUGH_ROWS for _ in range(TRIES))
    wait(ask(create_evaluations, "digits", body=EvaluationCreate(count=12)))
    for metric, target in (("latency_ms", {"target": "here"}), ("accuracy", {})):
        wait(ask(create_predictor, body=PredictorCreate(supernet="digits", metric=metric, **target)))
    limit = ConstraintBody(metric="latency_ms", max_=LIMIT_MS)
    asked = SearchCreate("digits", Budget(evaluations=4), targets=["here"], constraints=[limit])
    accepted = ask(create_search, body=asked)
    for _ in range(TRIES):
        wait(accepted)
        search = ask(get_search, accepted.id)
        if search.feasible:
            break
        accepted = ask(extend_search, search.id, body=SearchExtend(evaluations=4))
    assert search.feasible
    best = ask(get_front, search.id, pick=GetFrontPickType0.BEST).points[0]
    export = ask(create_export, best.subnet, body=ExportCreate())
    wait(export)
    record = ask(get_export, export.id)
    content = ask(get_onnx, best.subnet).payload.read()
    assert content == ask(get_artifact, record.sha256).payload.read()
    out.write_bytes(content)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
