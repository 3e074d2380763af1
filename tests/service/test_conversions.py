"""A network of one's own over HTTP: what is found, the job that trains or slices it, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from service.conversions import job as conversion_job
from service.db.session import Database
from service.db.tables import Job, Supernet
from service.runtime import job_queries
from service.settings import Settings
from service.subnets import export_job
from service.training import job as training_job
from supernets.export.metadata import read_metadata
from supernets.export.runtime import session
from tests.convert.networks import Flat, unit
from tests.service.inline_job import InlineContext, run_inline
from tests.service.rows import insert_fitted, insert_measured

MEAN, STD = [0.5], [0.25]


def exported(path: Path, net: torch.nn.Module, shape: tuple[int, ...] = (1, 32, 32)) -> Path:
    batch = torch.export.Dim("batch")
    program = torch.export.export(net.eval(), (torch.zeros(2, *shape),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    return path


def network(classes: int = 10) -> torch.nn.Module:
    torch.manual_seed(0)
    return Flat(torch.nn.Sequential(unit(1, 16), unit(16, 16, 3, 2), unit(16, 32, 3, 2)), 32, classes)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("pt2") / "mine.pt2", network())


def sent(file: Path, **more: Any) -> dict[str, Any]:
    return {"file": {"content": base64.b64encode(file.read_bytes()).decode()}, "data": "digits", **more}


def run(database: Database, settings: Settings, id: str, work: Any) -> InlineContext:
    """Do a queued job here, by its real code and tasks."""
    with database.read() as found:
        params = found.get_one(Job, id).params
    context = InlineContext(database, settings, id, params)
    asyncio.run(work(context))
    with database.write() as found:
        job_queries.set_state(found, found.get_one(Job, id), "succeeded")
    return context


def test_what_is_found_is_shown_before_anything_is_made(client: TestClient, file: Path) -> None:
    answer = client.post("/v1/conversions:examine", json=sent(file, quality="accuracy"))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert {axis["name"] for axis in found["axes"]} == {f"body.{k}.0.width" for k in range(3)}
    assert [each["kept"] for each in found["axes"][0]["choices"]] == [4, 8, 12, 16]
    assert {axis["removing"] for axis in found["axes"]} == {"exact"}
    assert [each["module"] for each in found["frozen"]] == ["head"]
    assert "output" in found["frozen"][0]["reason"]
    assert found["costs"]["smallest"]["macs"] < found["costs"]["largest"]["macs"]
    assert found["output"]["shape"] == ["batch", 10] and found["latency"] == []
    assert found["importance"] == "magnitude"
    again = client.post("/v1/conversions:examine", json=sent(file, importance="fisher")).json()
    assert again == {**found, "importance": "fisher"}
    wrong = client.post("/v1/conversions:examine", json=sent(file, importance="fischer"))
    assert wrong.status_code == 422 and "norm_scale" in wrong.text and "fischer" in wrong.text
    assert client.get("/v1/supernets").json()["items"] == [] == client.get("/v1/jobs").json()["items"]


def test_about_how_long_it_takes_is_estimated_from_measured_networks_of_others(
    client: TestClient, file: Path, measured: object, target: dict[str, Any]
) -> None:
    (rough,) = client.post("/v1/conversions:examine", json=sent(file)).json()["latency"]
    assert rough["target"] == target["id"] and rough["rows"] >= 8 and rough["error"] is None
    assert 0 < rough["smallest"] <= rough["largest"]


def test_slices_of_the_original_are_searched_exported_and_run(
    client: TestClient, database: Database, settings: Settings, file: Path, tmp_path: Path
) -> None:
    assert settings.import_dir is not None
    (settings.import_dir / "mine.pt2").write_bytes(file.read_bytes())
    expects = {"mean": MEAN, "std": STD}
    body = {"name": "mine", "file": {"path": "mine.pt2"}, "data": "digits", "training": False}
    body["importance"] = "taylor"
    answer = client.post("/v1/conversions", json=body | {"expects": expects})
    assert answer.status_code == 202, answer.text
    assert client.post("/v1/conversions", json=body).status_code == 409  # the name is taken from now on
    job = answer.json()["job"]["id"]
    run(database, settings, job, conversion_job.run)
    resource = client.get(f"/v1/jobs/{job}").json()["resource"]
    supernet = client.get(resource["href"]).json()
    assert (supernet["name"], supernet["source"], supernet["family"]) == ("mine", "conversion", "traced")
    assert supernet["preprocessing"]["mean"] == MEAN and supernet["training"]["steps"] == 0
    report = supernet["report"]
    assert len(report["panel"]) > 2 and report["converted"]["axes"]
    assert report["converted"]["importance"] == "taylor"
    for split in ("validation", "test"):  # its own statistics, not recalibrated ones
        assert report["original"][split]["n"] == report["summary"][split]["largest"]["n"]

    target = client.post("/v1/targets", json={}).json()
    insert_measured(database, supernet["id"], target["id"])
    insert_fitted(database, client.app.state.services.store, supernet["id"], target["id"])  # type: ignore[attr-defined]
    search = client.post(
        "/v1/searches",
        json={
            "supernet": supernet["id"],
            "targets": [target["id"]],
            "constraints": [{"metric": "latency_ms", "max": 1000}],
            "budget": {"evaluations": 6},
        },
    )
    assert search.status_code == 202, search.text
    run_inline(database, settings, search.json()["job"]["id"])
    front = client.get(f"/v1/searches/{search.json()['id']}/front").json()
    assert front["points"]
    check_original(client, search.json()["id"], supernet, target["id"])
    export = client.post(f"/v1/subnets/{front['points'][0]['subnet']}/exports", json={})
    assert export.status_code == 202, export.text
    run(database, settings, export.json()["job"]["id"], export_job.run)
    made = client.get(f"/v1/subnets/{front['points'][0]['subnet']}").json()["exports"][0]
    path = tmp_path / "mine.onnx"
    path.write_bytes(client.get(f"/v1/artifacts/{made['sha256']}").content)
    run_file = session(path)
    image = np.zeros((3, 1, 32, 32), dtype=np.float32)
    assert run_file.run(None, {run_file.get_inputs()[0].name: image})[0].shape == (3, 10)
    assert read_metadata(path)["preprocessing"]["mean"] == MEAN


def check_original(client: TestClient, search: str, supernet: dict[str, Any], target: str) -> None:
    """Beside both fronts: quality as the report has it, and latency once the largest subnet was measured."""
    whole = client.get("/v1/fronts", params={"supernet": supernet["id"]}).json()["original"]
    own = client.get(f"/v1/searches/{search}/front").json()["original"]
    report = supernet["report"]["original"]
    for view in (whole, own):
        assert view["arch"] == report["arch"] and view["costs"] == report["costs"]
        assert view["quality"]["value"] == report["test"]["value"] and view["quality"]["split"] == "test"
        assert view["validation"]["n"] == report["validation"]["n"]
    (latency,) = [row for row in own["measured"] if row["metric"] == "latency_ms"]
    assert own["subnet"] == whole["subnet"] and latency["target"] == target and latency["value"] > 0
    stored = client.get(f"/v1/subnets/{own['subnet']}").json()
    assert stored["arch"] == own["arch"]
    elsewhere = client.post("/v1/targets", json={"name": "elsewhere", "kind": "cpu_parallel"})
    if elsewhere.status_code == 201:  # nothing was measured there
        other = {"supernet": supernet["id"], "target": elsewhere.json()["id"]}
        assert client.get("/v1/fronts", params=other).json()["original"]["measured"] == []


def test_a_share_of_the_latency_is_kept_by_the_newest_predictor_of_the_source(
    client: TestClient, database: Database, settings: Settings, file: Path
) -> None:
    made = client.post("/v1/conversions", json=sent(file, name="mine", training=False))
    run(database, settings, made.json()["job"]["id"], conversion_job.run)
    supernet = client.get("/v1/supernets/mine").json()["id"]
    target = client.post("/v1/targets", json={}).json()
    insert_measured(database, supernet, target["id"])
    insert_fitted(database, client.app.state.services.store, supernet, target["id"])  # type: ignore[attr-defined]
    body = {"name": "pruned", "source": "mine", "recipe": "hesso", "steps": 8, "target": target["name"]}
    answer = client.post("/v1/trainings", json=body | {"keep": {"latency_ms": 0.7}})
    assert answer.status_code == 202, answer.text
    run(database, settings, answer.json()["job"]["id"], training_job.run)
    pruned, whole = (client.get(f"/v1/supernets/{name}").json() for name in ("pruned", "mine"))
    (predictor,) = client.get("/v1/predictors", params={"metric": "latency_ms"}).json()["items"]
    stage = pruned["training"]["stages"][-1]
    assert stage["predictor"]["name"] == predictor["id"]
    assert stage["predictor"]["sha256"] == predictor["version"]
    costs = [each["report"]["original"]["costs"]["macs"] for each in (pruned, whole)]
    assert costs[0] == costs[1]  # of the network as it came
    with database.read() as session_:
        graphs = [
            session_.get_one(Supernet, each["id"]).manifest["config"]["graph"] for each in (pruned, whole)
        ]
    assert graphs[0] != graphs[1]

    def refused(**changes: Any) -> dict[str, Any]:
        asked = body | {"name": "another", "keep": {"latency_ms": 0.7}} | changes
        refusal = client.post("/v1/trainings:estimate", json=asked)
        assert refusal.status_code == 422, refusal.text
        (fault,) = refusal.json()["errors"]
        return fault | {"detail": refusal.json()["detail"]}

    other = client.post("/v1/targets", json={"name": "phone", "kind": "agent"})
    assert other.status_code == 201, other.text
    fault = refused(target="phone")
    assert fault["field"] == "target" and fault["allowed"] == [target["name"]]
    unknown = refused(keep={"latenzy_ms": 0.7})
    assert unknown["field"] == "keep" and unknown["allowed"] == ["latency_ms"]
    assert refused(target="nowhere")["field"] == "target"
    assert "absent, or with a source" in str(refused(source=None, data="digits", family="digits")["allowed"])
    assert "such as latency_ms" in refused(keep={"macs": 0.5})["detail"]
    assert refused(target=None)["field"] == "recipe"
    assert "smallest width" in refused(keep={"latency_ms": 0.001})["detail"]
    assert refused(recipe="sandwich")["field"] == "keep"


def test_the_original_teaches_its_subnets(
    client: TestClient, database: Database, settings: Settings, file: Path
) -> None:
    answer = client.post("/v1/conversions", json=sent(file, name="taught", steps=3, seed=5))
    job = answer.json()["job"]["id"]
    run(database, settings, job, conversion_job.run)
    supernet = client.get("/v1/supernets/taught").json()
    (stage,) = supernet["training"]["stages"]
    assert stage["recipe"]["name"] == "conversion" and stage["steps"] == 3 and stage["seed"] == 5
    assert stage["teacher"]["name"] == "taught" and stage["teacher"]["sha256"] == stage["source"]["sha256"]
    assert stage["teacher"]["sha256"] != supernet["weights_sha256"]
    assert supernet["report"]["original"]["arch"] and supernet["report"]["converted"]["axes"]
    again = client.post(
        "/v1/trainings", json={"name": "further", "source": "taught", "recipe": "random", "steps": 2}
    )
    assert again.status_code == 202, again.text


def hostile(tmp_path: Path, file: Path) -> Path:
    """The file with pickled weights that would run code."""
    target = tmp_path / "hostile.pt2"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("weights_config.json"):
                config = json.loads(content)
                for each in config["config"].values():
                    each["use_pickle"] = True
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return target


@pytest.mark.parametrize("route", ["/v1/conversions:examine", "/v1/conversions"])
def test_a_file_that_could_run_anything_is_refused_before_it_is_loaded(
    client: TestClient, file: Path, tmp_path: Path, route: str
) -> None:
    more = {"name": "evil"} if route == "/v1/conversions" else {}
    (tmp_path / "junk.pt2").write_bytes(pickle.dumps({"a": 1}))
    for bad, words in (
        (hostile(tmp_path, file), "is pickled"),
        (tmp_path / "junk.pt2", "must be a file of torch.export.save"),
    ):
        answer = client.post(route, json=sent(bad, **more))
        assert answer.status_code == 422, answer.text
        problem = answer.json()
        assert problem["errors"][0]["field"] == "file" and words in problem["detail"]
    assert client.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"data": "nowhere"}, "data"),
        ({"quality": "speed"}, "quality"),
        ({"task": "image_regression", "quality": "accuracy"}, "quality"),
        ({"widths": [1.0, 0.5]}, "widths"),
        ({"output": "logits"}, "file"),
        ({"file": {"path": "absent.pt2"}}, "file.path"),
        ({"file": {"content": "?"}}, "file.content"),
        ({"file": {"sha256": "0" * 64}}, "artifact"),
    ],
)
def test_a_fault_names_its_field(client: TestClient, file: Path, change: dict[str, Any], field: str) -> None:
    answer = client.post("/v1/conversions:examine", json=sent(file) | change)
    assert answer.status_code in (404, 422), answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]


def test_a_network_that_does_not_fit_the_data_is_refused(client: TestClient, tmp_path: Path) -> None:
    path = exported(tmp_path / "seven.pt2", network(7))
    answer = client.post("/v1/conversions:examine", json=sent(path))
    assert answer.status_code == 422 and "10 outputs" in answer.json()["detail"]
