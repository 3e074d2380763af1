"""A subnet is fine-tuned by real processes, exported with its own weights, and run; and what is refused at once."""

import hashlib

import numpy as np
import pytest

from service.db import queries
from service.db.tables import Export, FineTune, Job, Subnet
from service.ids import DEFAULT_PROJECT, new_id
from supernets.checkpoints import pack, save_supernet
from supernets.data import load_data
from supernets.export.metadata import read_metadata
from supernets.export.runtime import session as runtime
from supernets.tasks.image_classification import ImageClassification
from tests.pretrained.test_pretrained import write_tokenizer
from tests.service.test_errors import assert_problem
from tests.service.test_search_job import follow, http, job_of, processes  # noqa: F401
from tests.service.test_training_job import wait_for
from tests.small import small_corpus, small_vit
from tests.supernets.test_data import write_folder
from tests.supernets.test_finetune_families import supernet_of

P = DEFAULT_PROJECT
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def subnet(database, supernet):
    """A row for the smallest subnet of the digits supernet."""
    return smallest(database, supernet["id"])


def smallest(database, supernet):
    """A row for the smallest subnet of a supernet with this id."""
    from service.db.tables import Supernet
    from service.supernets.checkpoints import family_of

    with database.write() as session:
        arch = family_of(queries.get(session, P, Supernet, supernet)).space().min()
        row = Subnet(
            id=new_id("sub"),
            project_id=P,
            supernet_id=supernet,
            arch_id=arch.id,
            arch=arch.as_dict(),
            costs={},
        )
        session.add(row)
        return row.id


def test_a_subnet_is_fine_tuned_resumed_exported_and_runs_with_its_new_weights(
    http,  # noqa: F811
    processes,  # noqa: F811
    settings,
    subnet,
    tmp_path,
):
    processes("worker")
    answer = http.post(f"/v1/subnets/{subnet}/finetunes", json={"steps": 1200, "seed": 3})
    job, made = job_of(http, answer), answer.json()["id"]
    assert http.get(f"/v1/finetunes/{made}").json()["change"] is None
    wait_for((settings.home / "trainings" / job / "training.json").is_file, "checkpoint")
    assert http.post(f"/v1/jobs/{job}:cancel").status_code == 202
    wait_for(lambda: http.get(f"/v1/jobs/{job}").json()["state"] == "cancelled", "end of the job", 60)
    early = {"format": "onnx", "finetune": made}
    problem = assert_problem(http.post(f"/v1/subnets/{subnet}/exports", json=early), 422)
    assert problem.errors[0].field == "finetune" and "not finished" in problem.detail
    assert http.post(f"/v1/jobs/{job}:resume").status_code == 202
    follow(http, job)
    shown = http.get(f"/v1/jobs/{job}").json()
    assert shown["state"] == "succeeded", (shown["error"], shown["log"])
    assert shown["resource"]["href"] == f"/v1/finetunes/{made}"

    found = http.get(f"/v1/finetunes/{made}").json()
    change, stage = found["change"], found["stage"]
    assert (found["classifier"], found["state"], change["n"], change["split"]) == (
        "kept",
        "succeeded",
        360,
        "test",
    )
    assert (stage["steps"], stage["passes"], stage["seed"]) == (1200, 1200, 3)
    assert stage["sittings"][-1]["first_step"] > 0  # it went on from the checkpoint
    assert shown["message"].startswith(f"fine-tuned {subnet}: accuracy {change['before']['value']:.4f} -> ")
    assert http.get(f"/v1/finetunes?subnet={subnet}").json()["items"] == [found]

    own = exported(http, subnet, {"format": "onnx"})
    tuned = exported(http, subnet, early | {"ir_version": 10, "opset": 17})
    assert (own["finetune"], tuned["finetune"], tuned["ir_version"]) == (None, made, 10)
    again = http.post(f"/v1/subnets/{subnet}/exports", json={"format": "onnx"})
    assert (again.status_code, again.json()["id"]) == (200, own["id"])
    assert accuracy(http, own, tmp_path) == pytest.approx(change["before"]["value"])
    assert accuracy(http, tuned, tmp_path) == pytest.approx(change["after"]["value"])
    told = read_metadata(tmp_path / "subnet.onnx")
    assert told["weights_sha256"] == found["sha256"]
    assert told["quality"]["value"] == change["after"]["value"]
    newest = http.get(f"/v1/subnets/{subnet}/onnx").content
    assert newest == http.get(f"/v1/artifacts/{own['sha256']}").content


def exported(http, subnet, body):  # noqa: F811
    answer = http.post(f"/v1/subnets/{subnet}/exports", json=body)
    events = follow(http, job_of(http, answer))
    assert events[-1][1]["state"] == "succeeded", http.get(f"/v1/jobs/{job_of(http, answer)}").json()
    return http.get(f"/v1/exports/{answer.json()['id']}").json()


def accuracy(http, export, folder):  # noqa: F811
    """Of an export's file in ONNX Runtime, on the test images."""
    path = folder / "subnet.onnx"
    path.write_bytes(http.get(f"/v1/artifacts/{export['sha256']}").content)
    told = read_metadata(path)["preprocessing"]
    data = load_data("digits")
    (images,) = ImageClassification().prepare(data.test.images, told, told)
    logits = runtime(path).run(None, {"image": np.ascontiguousarray(images.numpy())})[0]
    return float((logits.argmax(1) == data.test.labels.numpy()).mean())


def test_what_does_not_fit_is_refused_before_a_job_is_queued(client, database, settings, subnet):
    write_folder(settings.import_dir / "photos", {"a": 60, "b": 60})
    cases = (
        ({"data": "folder:absent"}, "data"),
        ({"data": "folder:photos,channels=3"}, "data"),
        ({"data": "folder:photos", "recipe": "nope"}, "recipe"),
        ({"data": "folder:photos", "recipe": {"name": "x"}}, "recipe"),
        ({"data": "folder:photos", "steps": 0}, "steps"),
        ({"data": "folder:../photos"}, "data"),
        ({"seed": -1}, "seed"),
        ({"recipe": {**recipe(), "batch_size": 5000}}, "recipe.batch_size"),
    )
    for body, field in cases:
        problem = assert_problem(client.post(f"/v1/subnets/{subnet}/finetunes", json=body), 422)
        assert problem.errors[0].field == field, (body, problem)
    assert_problem(client.post("/v1/subnets/sub_absent/finetunes", json={}), 404)
    with database.read() as session:
        assert session.query(FineTune).count() == session.query(Job).count() == 0
    assert client.get("/v1/finetunes").json()["items"] == []


def recipe():
    from supernets.recipes.recipe import Recipe

    return Recipe.read("finetune").as_json()


def test_images_take_the_channels_and_resolution_of_the_supernet(client, settings, subnet):
    write_folder(settings.import_dir / "photos", {"a": 60, "b": 60}, size=48)
    answer = client.post(f"/v1/subnets/{subnet}/finetunes", json={"data": "folder:photos", "steps": 2})
    assert answer.status_code == 202, answer.text
    row = client.get(f"/v1/finetunes/{answer.json()['id']}").json()
    assert row["data"].endswith("photos,channels=1,resolution=32")
    assert row["recipe"]["steps"] == 2 and row["recipe"]["space"]["restrict"]["stage1.depth"] == [1]


def test_texts_take_the_tokenizer_of_the_supernet(client, database, settings):
    answer = client.post("/v1/supernets", json={"zoo": "gpt_bytes"})
    assert answer.status_code == 201, answer.text
    subnet = smallest(database, answer.json()["id"])
    small_corpus(settings.import_dir)
    write_folder(settings.import_dir / "photos", {"a": 60, "b": 60})
    url = f"/v1/subnets/{subnet}/finetunes"
    answer = client.post(url, json={"data": "corpus:text.py,window=64", "steps": 2})
    assert answer.status_code == 202, answer.text
    write_tokenizer(settings.import_dir)
    for data in ("folder:photos", "digits", "corpus:text.py,tokenizer=tokenizer.json,window=8"):
        problem = assert_problem(client.post(url, json={"data": data}), 422)
        assert problem.errors[0].field == "data", (data, problem)
    assert "tokenizer of 'gpt_bytes', which has 256 tokens" in problem.detail


def test_without_a_recipe_the_task_names_it(client, database, settings):
    images = load_data("digits")
    supernet = supernet_of(small_vit(), "self_supervised_images", images)
    digest = hashlib.sha256(pack(supernet.net)).hexdigest()
    named = supernet.manifest.model_copy(update={"name": "features", "weights_sha256": digest})
    save_supernet(settings.import_dir / "features", supernet.net, named)
    answer = client.post("/v1/supernets", json={"path": "features"})
    assert answer.status_code == 201, answer.text
    url = f"/v1/subnets/{smallest(database, answer.json()['id'])}/finetunes"
    problem = assert_problem(client.post(url, json={"recipe": "finetune"}), 422)
    assert (
        problem.errors[0].field == "recipe" and "choose a loss that compares views: 'poa'" in problem.detail
    )
    answer = client.post(url, json={"steps": 2})
    assert answer.status_code == 202, answer.text
    row = client.get(f"/v1/finetunes/{answer.json()['id']}").json()
    assert (row["recipe"]["name"], row["recipe"]["steps"]) == ("poa", 2)


def test_an_export_names_a_fine_tune_of_its_own_subnet(client, database, subnet):
    with database.write() as session:
        mine = session.get_one(Subnet, subnet)
        other = Subnet(
            id="sub_other", project_id=P, supernet_id=mine.supernet_id, arch_id="0" * 16, arch={}, costs={}
        )
        session.add(other)
        session.flush()
        session.add(
            FineTune(
                id="fin_other",
                project_id=P,
                subnet_id=other.id,
                data="digits",
                recipe={},
                seed=0,
                sha256="0" * 64,
            )
        )
    url = f"/v1/subnets/{subnet}/exports"
    for body, field in (
        ({"finetune": "fin_other"}, "finetune"),
        ({"finetune": "fin_absent"}, "finetune"),
        ({"ir_version": 3}, "ir_version"),
        ({"ir_version": 9, "opset": 21}, "ir_version"),
        ({"format": "pt2", "ir_version": 9}, "ir_version"),
        ({"format": "pt2", "precision": "int8"}, "precision"),
        ({"opset": 16}, "opset"),
        ({"opset": 22}, "opset"),
        ({"opset": "latest"}, "opset"),
        ({"precision": "int4"}, "precision"),
        ({"format": "tflite"}, "format"),
        *(({"batch": batch}, "batch") for batch in (0, -1, 1025, "x", True, 1.5)),
    ):
        problem = assert_problem(client.post(url, json=body), 422)
        assert problem.errors[0].field == field, (body, problem)
    with database.read() as session:
        assert session.query(Export).count() == 0
