"""Examples of answers: composed from values of fields, which are written once for all models that have the field.

An example of a model is what its schema and these values give. The contract test validates each with the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.openapi.models import Operation, Parameter, ParameterInType, Schema

from service.errors import DatabaseUnavailableError, InvalidError, NotFoundError, problem, problem_of
from service.http.openapi.descriptions import PATH_EXAMPLES
from service.problems import FieldProblem, Problem

Json = dict[str, Any]
Schemas = Mapping[str, Schema]
NOW, LATER = "2026-11-03T09:14:27Z", "2026-11-03T09:21:05Z"
SHA = PATH_EXAMPLES["artifacts"]
SUPERNET, TARGET, OTHER = "sup_4c2k9x7m1q8t5v3w", "tgt_4c2k9x7m1q8t5v3w", "sub_8f5wt91sbj41rx2c"
ARCH = {"depth": 2, "width": 16, "kernel": 3}
COSTS = {"params": 9094, "macs": 32288, "activation_mb": 0.011, "size_mb": 0.036}

VALUES: dict[str, object] = {
    "active_when": [],
    "algorithm": "surrogate",
    "approximate": False,
    "arch": ARCH,
    "arch_id": "5f2d9c0a71be4438",
    "archived_at": None,
    "attempts": 1,
    "batch": "dynamic",
    "bytes": 32692,
    "calibrations": None,
    "centroid": 0.031,
    "change": None,
    "classes": ["cat", "dog"],
    "classifier": "kept",
    "confidence": 0.95,
    "costs": COSTS,
    "created_at": NOW,
    "data": "folder:photos",
    "description": {"device": {"cpu": "Cortex-A72"}, "runtime": {"name": "onnxruntime"}},
    "details": {"raw": {"p50": 0.0223, "p90": 0.0231, "n": 20}},
    "direction": "min",
    "done": 30,
    "drifts": [0.004],
    "evaluations": 30,
    "expires_at": LATER,
    "expires_in_s": 60.0,
    "exporter": "onnx",
    "exporter_version": "1",
    "extends": None,
    "family": "digits",
    "feasible": True,
    "field": "item",
    "finetune": None,
    "finished_at": LATER,
    "first_images": None,
    "format": "onnx",
    "front": "shared",
    "gain": 0.001,
    "hypervolume": 0.71,
    "id": "sub_4c2k9x7m1q8t5v3w",
    "images": None,
    "importance": "magnitude",
    "in_channels": 16,
    "in_positions": 64,
    "ir_version": 10,
    "job": "job_4c2k9x7m1q8t5v3w",
    "kernel": 3,
    "kind": "depth",
    "labels": {"team": "vision"},
    "largest": 0.054,
    "latency_ms": 0.008,
    "level": "warning",
    "licence": "Apache-2.0",
    "log": ["30 of 30 networks measured"],
    "max": 0.5,
    "measurable": True,
    "measured_by": "worker",
    "message": "class 'cat' has 12 images, the others have 400 or more",
    "metadata": {"netwright.subnet": "sub_4c2k9x7m1q8t5v3w"},
    "method": "POST",
    "metric": "latency_ms",
    "metrics": ["latency_ms"],
    "min": None,
    "n": 20,
    "name": "laptop",
    "next_page_token": None,
    "note": None,
    "objectives": ["accuracy", "latency_ms"],
    "opset": 17,
    "original": None,
    "out_channels": 24,
    "out_positions": 64,
    "parent": None,
    "parity": {"max_abs_error": 2e-06, "inputs": 8},
    "pick": None,
    "points": [],
    "precision": "fp32",
    "predictor": "prd_4c2k9x7m1q8t5v3w",
    "preprocessing": {"channels": 3, "resolution": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    "priority": 0,
    "protocol": {"version": "2", "rounds": 20},
    "protocol_version": "2",
    "provenance": {"version": "0.1.0", "seed": 0, "stopped": "budget"},
    "quality": "accuracy",
    "raw": {"p50": 0.0223, "p90": 0.0231},
    "reason": None,
    "recipe": {"name": "random", "steps": 2000},
    "referred_by": {"searches": 2},
    "report": {"n": 30, "spearman": 0.995, "median_error": 0.014},
    "resolution": 32,
    "restrict": {},
    "result": None,
    "reused": 0,
    "rows": 30,
    "search": "sea_4c2k9x7m1q8t5v3w",
    "seconds": 412.5,
    "seed": 0,
    "seen_at": NOW,
    "settings": {"threads": 1, "batch": 1},
    "sha256": SHA,
    "share": 0.42,
    "smallest": 0.016,
    "source": "measured",
    "space_sha256": SHA,
    "split": "validation",
    "spread": 0.00005,
    "stage": None,
    "stale": None,
    "standard_error": 0.0058,
    "started_at": NOW,
    "state": "succeeded",
    "statistic": "reference_corrected_median",
    "stride": 1,
    "subnet": "sub_4c2k9x7m1q8t5v3w",
    "supernet": SUPERNET,
    "target": TARGET,
    "targets": [TARGET],
    "total": 1,
    "training": {"steps": 2000, "passes": 8000},
    "unit": "ms",
    "unsupported": 0,
    "valid_from": NOW,
    "value": 0.0223,
    "verdict": "good",
    "version": "0.1.0",
    "waiting_for": None,
    "warnings": [],
    "weights_sha256": SHA,
    "within_noise": [OTHER],
    "Accepted.id": "sea_4c2k9x7m1q8t5v3w",
    "Action.body": {"supernet": "digits", "target": "laptop", "metric": "latency_ms"},
    "Action.path": "/v1/predictors",
    "AgentView.connected": True,
    "AgentView.name": "pi-1",
    "AxisRecord.modules": ["features.3", "features.4"],
    "AxisRecord.name": "width",
    "AxisRecord.kind": "width",
    "AxisRecord.removing": "exact",
    "AxisRecord.unit": "4 channels, one of each part",
    "AxisView.choices": [1, 2, 3],
    "AxisView.name": "depth",
    "ChangeRecord.difference": 0.012,
    "ChangeRecord.metric": "accuracy",
    "ComparedFront.best": 1,
    "ComparedFront.common": 3,
    "ComparedFront.new": 1,
    "ComparedPoint.best": True,
    "ComparedPoint.new": True,
    "ComparedPoint.values": {"accuracy": 0.98, "latency_ms": 0.0223},
    "CompareView.reference_point": {"accuracy": 0.5, "latency_ms": 0.06},
    "ConversionView.costs": {"smallest": {"params": 2214, "macs": 2936}, "largest": COSTS},
    "ConversionView.subnets": 6.87e7,
    "Details.cropped": 0.0,
    "Details.examined": 400,
    "Details.fit": "crop",
    "Details.made": {},
    "Details.modes": {"RGB": 400},
    "Details.range": [0, 255],
    "Details.reads": "images",
    "Details.sizes": {"640x480": 400},
    "Details.skipped": {},
    "Details.spec": "folder:photos",
    "Details.tokens": {},
    "DataReport.channels": 3,
    "ElsewhereUse.weight": 0.4,
    "EstimateView.batch_size": 128,
    "EstimateView.billed": 8000.0,
    "EstimateView.classes": 2,
    "EstimateView.macs": [2936.0, 131456.0],
    "EstimateView.macs_per_step": 1.9e8,
    "EstimateView.memory_mb": 210.0,
    "EstimateView.networks": 4,
    "EstimateView.params": [2214.0, 31642.0],
    "EstimateView.passes": 8000,
    "EstimateView.recipe": "random",
    "EstimateView.steps": 2000,
    "EstimateView.subnets": 6.87e7,
    "EstimateView.task": "image_classification",
    "EstimateView.train_images": 320,
    "EvaluatedSubnet.front": True,
    "EvaluatedSubnet.own": True,
    "ExportView.id": "exp_4c2k9x7m1q8t5v3w",
    "FineTuneView.id": "fin_4c2k9x7m1q8t5v3w",
    "FrontPoint.violations": [],
    "FrontView.noise": None,
    "Health.status": "ok",
    "HistoryPoint.images": 10800,
    "JobBrief.id": "job_4c2k9x7m1q8t5v3w",
    "JobBrief.kind": "search",
    "JobBrief.state": "queued",
    "JobTime.active_s": 398.0,
    "JobTime.waited_for_devices_s": 14.5,
    "JobTime.waited_for_machine_s": 0.0,
    "JobView.error": None,
    "JobView.id": "job_4c2k9x7m1q8t5v3w",
    "JobView.kind": "search",
    "JobView.message": None,
    "KeptRecord.choice": 16,
    "KeptRecord.kept": 16,
    "LatencyParts.fixed_ms": 0.004,
    "LatencyParts.layers_ms": 0.018,
    "LayerView.activation_mb": 0.004,
    "LayerView.kind": "conv",
    "LayerView.macs": 9216,
    "LayerView.name": "features.3",
    "LayerView.params": 144,
    "LeaseView.id": "lea_4c2k9x7m1q8t5v3w",
    "LeasedItem.id": "itm_4c2k9x7m1q8t5v3w",
    "MeasurementView.id": "mea_4c2k9x7m1q8t5v3w",
    "MeasurementView.split": None,
    "MetricRange.best": 0.016,
    "MetricRange.source": "predicted",
    "MetricRange.worst": 0.054,
    "MetricView.description": "Latency of one inference",
    "MetricView.maximum": None,
    "MetricView.minimum": 0.0,
    "MetricView.name": "latency_ms",
    "Pixels.distinct_values": 256,
    "Pixels.mean": 0.47,
    "Pixels.std": 0.24,
    "PredictedValue.high": 0.0224,
    "PredictedValue.low": 0.0214,
    "PredictedValue.mean": 0.0219,
    "PredictedValue.version": SHA,
    "PredictorView.id": "prd_4c2k9x7m1q8t5v3w",
    "PredictorView.kind": "bayesian_linear",
    "PredictorView.version": SHA,
    "Problem.code": "few_images",
    "ProfileView.sampled": 1000,
    "ProfileView.satisfiable": True,
    "ProfileView.unmet": [],
    "Progress.eta_s": 0.0,
    "Progress.total": 30,
    "QualityRecord.value": 0.97,
    "QualityValue.metric": "accuracy",
    "QualityValue.n": 360,
    "QualityValue.value": 0.9778,
    "Readiness.database": "ok",
    "Readiness.disk": "ok",
    "Readiness.disk_free_mb": 51200.0,
    "Readiness.queued_for_s": 0.0,
    "Readiness.schema_version": "0001",
    "Readiness.status": "ok",
    "Readiness.workers": 2,
    "Reference.name": "reference_small",
    "RefusedRow.allowed": "a positive number",
    "RefusedRow.got": -1.0,
    "RefusedRow.field": "rows.0.value",
    "RefusedRow.item": "itm_4c2k9x7m1q8t5v3w",
    "Removed.state": "archived",
    "RenewView.items": ["itm_4c2k9x7m1q8t5v3w"],
    "ResourceRef.href": "/v1/searches/sea_4c2k9x7m1q8t5v3w",
    "ResourceRef.id": "sea_4c2k9x7m1q8t5v3w",
    "ResourceRef.type": "search",
    "ResultsView.known": 0,
    "ResultsView.recorded": 30,
    "RoughLatency.error": 0.2,
    "SearchView.budget": {"evaluations": 30, "images": None, "seconds": None},
    "SearchView.id": "sea_4c2k9x7m1q8t5v3w",
    "SearchView.nearest": None,
    "SearchView.points": 6,
    "SpaceView.largest": {"depth": 3, "width": 32, "kernel": 5},
    "SpaceView.size": 6.87e7,
    "SpaceView.smallest": {"depth": 1, "width": 8, "kernel": 3},
    "Spent.budget": 30,
    "SplitReport.classes": {"cat": 12, "dog": 400},
    "SplitReport.images": 412,
    "StaysRecord.count": 1,
    "StaysRecord.line": "",
    "StaysRecord.module": "head",
    "StaysRecord.of": 1,
    "StaysRecord.reason": "its outputs are the classes",
    "SupernetView.data": {"name": "folder:photos", "classes": 2},
    "SupernetView.id": SUPERNET,
    "SupernetView.name": "mine",
    "SupernetView.report": {},
    "SupernetView.source": "training",
    "SupernetView.space_size": 6.87e7,
    "TargetView.id": TARGET,
    "TargetView.kind": "cpu",
    "TensorRecord.dtype": "float32",
    "TensorRecord.name": "images",
    "TensorRecord.shape": ["batch", 3, 32, 32],
}
"""``field`` or ``Model.field`` to a value; fields that are models themselves are composed."""

TEXTS = {
    "text/csv": "subnet,search,feasible,latency_ms\nsub_4c2k9x7m1q8t5v3w,sea_4c2k9x7m1q8t5v3w,True,0.0223\n",
    "text/event-stream": 'id: 7\nevent: progress\ndata: {"done": 30, "total": 30}\n\n',
}
"""Answers that are text, by media type."""


def example_of(reference: str, schemas: Schemas) -> Json:
    """An example of the model that a schema's ``$ref`` names; a required field without a value is left out."""
    name = reference.rpartition("/")[2]
    found = {}
    for field, schema in (schemas[name].properties or {}).items():
        if f"{name}.{field}" in VALUES:
            found[field] = VALUES[f"{name}.{field}"]
            continue
        composed = _composed(schema, schemas) if isinstance(schema, Schema) else None
        if composed is not None:
            found[field] = composed
        elif field in VALUES:
            found[field] = VALUES[field]
    return found


def _composed(schema: Schema, schemas: Schemas) -> object:
    """The example of a field that holds a model, several of it in a list, or one for each split; None of any other."""
    for each in (schema, *(schema.anyOf or ())):
        if not isinstance(each, Schema):
            continue
        if each.ref:
            return example_of(each.ref, schemas)
        if isinstance(each.items, Schema) and each.items.ref:
            return [example_of(each.items.ref, schemas)]
        if isinstance(each.additionalProperties, Schema) and each.additionalProperties.ref:
            return {"train": example_of(each.additionalProperties.ref, schemas)}
    return None


def refusal_of(path: str, operation: Operation) -> Problem:
    """What an operation answers to what most often is wrong: an unknown id, an unknown field or parameter."""
    if "{" in path:
        collection = path.split("/")[2]
        kind = {"searches": "search"}.get(collection, collection.rpartition("-")[2].removesuffix("s"))
        return problem_of(NotFoundError(kind, PATH_EXAMPLES[collection]))
    if operation.requestBody is not None:
        rule = "Extra inputs are not permitted"
        errors = [FieldProblem(field="colour", got="red", allowed=rule)]
        return problem(422, "invalid_request", f"colour: {rule}", errors)
    parameters = [each for each in operation.parameters or () if isinstance(each, Parameter)]
    taken = sorted(each.name for each in parameters if each.in_ is ParameterInType.query)
    known = taken or "absent: this route takes no query parameters"
    return problem_of(InvalidError("colour", "red", known, "there is no query parameter 'colour' here"))


def failure_of() -> Problem:
    """What every operation answers while the database does not."""
    found = problem_of(DatabaseUnavailableError("the database does not answer; try again in some seconds"))
    found.request_id = "req_4c2k9x7m1q8t5v3w"
    return found
