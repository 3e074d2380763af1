"""A server of a few dozen lines at the edge: it answers as ``service`` does, and remembers what it was asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np

from search.constraints import Constraint
from search.pick import pick

ONNX = b"an onnx file" * 1000
SHA256 = hashlib.sha256(ONNX).hexdigest()
ARCH = {"resolution": 24, "stage1.depth": 1, "stage1.block1.kernel": 3}


def point(subnet: str, latency: float, accuracy: float, feasible: bool = True) -> dict[str, Any]:
    measured = {"metric": "latency_ms", "target": "tgt_1", "value": latency, "spread": 0.001, "n": 25}
    predicted = {"metric": "latency_ms", "target": "tgt_1", "mean": latency, "low": latency, "high": latency}
    quality = {"metric": "accuracy", "value": accuracy, "standard_error": 0.009, "n": 360, "split": "test"}
    return {
        "subnet": subnet,
        "search": "sea_1",
        "target": None,
        "arch": ARCH,
        "feasible": feasible,
        "violations": [],
        "predicted": [predicted],
        "measured": [{**measured, "verdict": "good", "raw": {"p50": latency * 1.5, "p90": latency * 2}}],
        "quality": quality,
        "validation": {**quality, "split": "validation"},
        "costs": {"params": 5000.0, "macs": 1e5, "activation_mb": 0.1, "size_mb": 0.02},
    }


POINTS = [point("sub_small", 0.04, 0.93), point("sub_middle", 0.06, 0.96), point("sub_large", 0.09, 0.98)]


def job(state: str = "succeeded", done: int = 3, **more: Any) -> dict[str, Any]:
    values = {
        "id": "job_1",
        "created_at": "2026-11-23T20:00:00Z",
        "kind": "search",
        "state": state,
        "progress": {"done": done, "total": 3, "eta_s": 3.0 - done},
        "message": "measuring",
        "error": None,
        "resource": None,
        "attempts": 1,
        "started_at": None,
        "finished_at": None,
        "log": [],
    }
    return {**values, **more}


TRAINED = [
    ("state", {"state": "running"}),
    ("progress", {"done": 0, "total": 40, "eta_s": None, "message": "training mine for 40 steps"}),
    (
        "progress",
        {
            "done": 20,
            "total": 40,
            "eta_s": 9.0,
            "message": "loss max 2.1 | lr 0.05 | 12.0 passes/s",
            "metrics": {
                "epoch": 0.15,
                "losses": {"max": 2.1, "min": 2.25},
                "metric": "accuracy",
                "quality": {"smallest": 0.25, "largest": 0.5},
                "passes_per_second": 12.0,
                "eta_s": 7.0,
            },
        },
    ),
    (
        "progress",
        {
            "done": 30,
            "total": 40,
            "eta_s": 4.0,
            "message": "loss max 1.9 | lr 0.05 | 12.5 passes/s",
            "metrics": {
                "epoch": 0.22,
                "losses": {"max": 1.9, "min": 2.0},
                "metric": "accuracy",
                "quality": {},
                "eta_s": 3.0,
            },
        },
    ),
    ("log", {"line": "a line"}),
    ("progress", {"done": 40, "total": 40, "eta_s": 0.0, "message": "report card 3 of 9"}),
    ("state", {"state": "succeeded"}),
]
"""What a training tells."""

ESTIMATE = {
    "data": "digits",
    "classes": 10,
    "train_images": 1077,
    "family": "mobilenet_v3",
    "recipe": "sandwich",
    "steps": 100,
    "batch_size": 64,
    "seed": 0,
    "subnets": 799_000.0,
    "params": [1000.0, 9000.0],
    "macs": [1e5, 2e6],
    "passes": 500,
    "billed": 500.0,
    "macs_per_step": 3e8,
    "memory_mb": 41.2,
    "networks": 1,
    "seconds": None,
}


def events(told: list[tuple[str, dict[str, Any]]]) -> Callable[[httpx.Request], httpx.Response]:
    """A stream of server-sent events, from the one after ``after`` on."""

    def answer(request: httpx.Request) -> httpx.Response:
        after = int(request.url.params["after"])
        lines = [
            f"id: {id}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
            for id, (kind, data) in enumerate(told, start=1)
            if id > after
        ]
        return httpx.Response(200, text=": keep-alive\n\n" + "".join(lines))

    return answer


BROUGHT = {
    "rows": 5,
    "accepted": 4,
    "archs": 4,
    "known": 0,
    "refused_count": 1,
    "refused_by_rule": {"unit jump": 1},
    "refused": [{"row": 3, "rule": "unit jump", "got": 12.5, "reason": "about 1000x above the rest"}],
    "warnings": ["is the unit right?"],
}


def problem(status: int, code: str, detail: str, **more: Any) -> httpx.Response:
    body = {
        "type": f"urn:{code}",
        "title": "Bad",
        "status": status,
        "code": code,
        "detail": detail,
        "errors": [],
        "actions": [],
    }
    return httpx.Response(status, json={**body, **more}, headers={"content-type": "application/problem+json"})


class FakeServer:
    """Answers from ``routes`` (method and path to a body, a response, or a function of the request)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.urls: list[str] = []
        supernet = {
            "id": "sup_1",
            "name": "digits",
            "family": "mobilenet_v3",
            "quality": "accuracy",
            "source": "zoo",
            "space_size": 799_000.0,
            "data": {"name": "digits"},
        }
        target = {
            "id": "tgt_1",
            "name": "cpu",
            "kind": "cpu",
            "settings": {"threads": 1},
            "metrics": ["latency_ms"],
            "stale": None,
            "agents": [],
        }
        search = {
            "id": "sea_1",
            "state": "succeeded",
            "feasible": True,
            "nearest": None,
            "warnings": [],
            "points": 3,
            "supernet": "sup_1",
            "evaluations": {"done": 24, "budget": 24, "reused": 60},
            "reference_point": [
                {"target": None, "metric": "accuracy", "value": 0.8},
                {"target": None, "metric": "latency_ms", "value": 0.1},
            ],
            "history": [
                {"target": None, "evaluations": 0, "seconds": 0.0, "hypervolume": 0.001},
                {"target": None, "evaluations": 24, "seconds": 61.5, "hypervolume": 0.0042},
            ],
            "constraints": [],
            "created_at": "2026-11-23T20:00:00Z",
            "job": "job_1",
        }
        predictor = {
            "id": "prd_1",
            "metric": "latency_ms",
            "kind": "bayesian_linear",
            "state": "succeeded",
            "rows": 30,
            "report": {
                "spearman": 0.99,
                "median_ape": 0.02,
                "bias": 0.001,
                "coverage90": 0.9,
                "noise_ceiling": None,
                "n": 30,
                "mape": 0.0213,
                "choice": {
                    "kind": "bayesian_linear",
                    "reason": "bayesian_linear: mean CV interval score 0.041 beside 0.052 of trees",
                    "candidates": [
                        {
                            "kind": "bayesian_linear",
                            "interval_score": 0.041,
                            "standard_error": 0.002,
                            "spearman": 0.99,
                            "mape": 0.02,
                            "coverage90": 0.9,
                            "note": None,
                        },
                        {
                            "kind": "latency_surface",
                            "interval_score": None,
                            "standard_error": None,
                            "spearman": None,
                            "mape": None,
                            "coverage90": None,
                            "note": "needs 40 rows, there are 30",
                        },
                    ],
                },
                "worst": [{"arch": ARCH, "measured": 0.06, "predicted": 0.066, "error": 0.1}],
                "learning_curve": [
                    {"rows": 12, "mape": 0.04, "mape_error": 0.01, "spearman": 0.9},
                    {"rows": 24, "mape": 0.02, "mape_error": 0.001, "spearman": 0.99},
                ],
                "enough_rows": None,
                "plot": {"sha256": SHA256, "bytes": len(ONNX)},
            },
            "job": "job_1",
        }
        export = {
            "id": "exp_1",
            "subnet": "sub_middle",
            "state": "succeeded",
            "sha256": SHA256,
            "bytes": len(ONNX),
            "parity": {"max_error": 3e-7, "n": 64, "tolerance": 1e-4},
            "job": "job_1",
        }
        measurement = {
            "id": "mea_1",
            "subnet": "sub_small",
            "arch": ARCH,
            "metric": "latency_ms",
            "unit": "ms",
            "value": 0.064,
            "spread": 0.001,
            "n": 22,
            "verdict": "good",
            "details": {"raw": {"p50": 0.1, "p90": 0.2}},
        }
        accepted = {"job": {"id": "job_1", "kind": "any", "state": "queued"}}
        self.routes: dict[tuple[str, str], Any] = {
            ("GET", "/readyz"): {
                "status": "ok",
                "database": "sqlite",
                "schema_version": "0001",
                "workers": 1,
            },
            ("GET", "/v1/supernets"): self.named([supernet]),
            ("POST", "/v1/supernets"): supernet,
            ("GET", "/v1/supernets/sup_1"): supernet,
            ("GET", "/v1/supernets/sup_1/space"): {
                "axes": [{"name": "resolution", "kind": "resolution", "choices": [24, 32], "parent": None}],
                "size": 799_000.0,
            },
            ("POST", "/v1/supernets/sup_1/evaluations"): {"id": "job_1", **accepted},
            ("GET", "/v1/targets"): self.named([target]),
            ("POST", "/v1/targets"): target,
            ("GET", "/v1/targets/tgt_1"): target,
            ("POST", "/v1/targets/tgt_1/measurements"): {"id": "job_1", **accepted},
            ("GET", "/v1/measurements"): {"items": [measurement], "next_page_token": None},
            ("GET", "/v1/predictors"): {"items": [predictor], "next_page_token": None},
            ("POST", "/v1/predictors"): {"id": "prd_1", **accepted},
            ("GET", "/v1/predictors/prd_1"): predictor,
            ("POST", "/v1/searches"): {"id": "sea_1", **accepted},
            ("POST", "/v1/searches/sea_1:extend"): {"id": "sea_1", **accepted},
            ("POST", "/v1/searches:profile"): {
                "metrics": [
                    {
                        "metric": "macs",
                        "target": None,
                        "unit": "count",
                        "smallest": 1e3,
                        "centroid": 1e4,
                        "largest": 1e5,
                        "best": 1e3,
                        "worst": 1e5,
                        "source": "closed_form",
                    }
                ],
                "satisfiable": True,
                "share": 0.31,
                "unmet": [],
                "missing": [],
                "sampled": 5000,
            },
            ("GET", "/v1/searches"): {"items": [search], "next_page_token": None},
            ("GET", "/v1/searches/sea_1"): search,
            ("GET", "/v1/searches/sea_1/front"): self.front,
            ("GET", "/v1/fronts"): {
                "search": None,
                "objectives": [],
                "pick": None,
                "total": 3,
                "points": POINTS,
            },
            ("GET", "/v1/subnets/sub_middle"): {"id": "sub_middle", "arch": ARCH},
            ("POST", "/v1/subnets/sub_middle/exports"): {"id": "exp_1", **accepted},
            ("GET", "/v1/exports/exp_1"): export,
            ("GET", f"/v1/artifacts/{SHA256}"): lambda _: httpx.Response(200, content=ONNX),
            ("GET", "/v1/jobs"): {"items": [job()], "next_page_token": None},
            ("GET", "/v1/jobs/job_1"): job(result=BROUGHT),
            ("POST", "/v1/jobs/job_1:cancel"): job("cancelled"),
            ("POST", "/v1/jobs/job_1:resume"): job("queued"),
            ("POST", "/v1/trainings"): {
                "id": "job_train",
                "job": {"id": "job_train", "kind": "train", "state": "queued"},
            },
            ("POST", "/v1/trainings:estimate"): ESTIMATE,
            ("GET", "/v1/jobs/job_train"): job(
                id="job_train", kind="train", resource={"type": "supernet", "id": "sup_1"}
            ),
            ("GET", "/v1/jobs/job_train/events"): events(TRAINED),
        }

    @staticmethod
    def named(rows: list[dict[str, Any]]) -> Callable[[httpx.Request], httpx.Response]:
        def answer(request: httpx.Request) -> httpx.Response:
            name = request.url.params.get("name")
            items = [row for row in rows if name in (None, row["name"])]
            return httpx.Response(200, json={"items": items, "next_page_token": None})

        return answer

    @staticmethod
    def front(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("format") == "csv":
            return httpx.Response(200, text="subnet,latency_ms\nsub_small,0.04\n")
        asked = request.url.params
        body = {"search": "sea_1", "objectives": [], "pick": None, "total": 3, "points": POINTS}
        if "pick" in asked:  # as the service picks
            values = {
                "accuracy": np.array([each["validation"]["value"] for each in POINTS]),
                "latency_ms": np.array([each["measured"][0]["value"] for each in POINTS]),
                "macs": np.array([each["costs"]["macs"] for each in POINTS]),
            }
            limits = [
                Constraint(name[4:], **{name[:3]: float(limit)})
                for name, limit in asked.items()
                if name.startswith(("max_", "min_"))
            ]
            k = int(asked["k"]) if "k" in asked else None
            found = pick(values, ["accuracy", "latency_ms"], asked["pick"], k, limits, asked.get("by"))
            points = [{**POINTS[each.row], "reason": each.reason} for each in found.points]
            body |= {"pick": asked["pick"], "points": points, "note": found.note}
        return httpx.Response(200, json=body)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.path, body))
        self.urls.append(str(request.url))
        answer = self.routes.get((request.method, request.url.path))
        if answer is None:
            return problem(404, "not_found", f"there is no {request.url.path}")
        if callable(answer):
            result: httpx.Response = answer(request)
            return result
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def sent(self, path: str) -> Any:
        """Body of the last POST to ``path``."""
        return [body for method, at, body in self.asked if (method, at) == ("POST", path)][-1]
