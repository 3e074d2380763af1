"""What a training may be asked for, what is refused at once, and what it would take."""

import shutil
import subprocess
import sys

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.db import queries
from service.db.tables import Job, Supernet
from service.ids import DEFAULT_PROJECT
from service.settings import ZOO_DIR
from service.training.tasks import TrainIn, TrainParams, train
from supernets.errors import CheckpointError, DataError
from supernets.recipes.recipe import Recipe
from tests.service.test_errors import assert_problem
from tests.small import SMALL, small_family
from tests.supernets.test_data import write_folder, write_parquet
from tests.supernets.test_stream import write as write_shards

P = DEFAULT_PROJECT
UNSIZED = {key: value for key, value in SMALL.items() if key not in ("num_classes", "image_channels")}
FAMILY = {"family": "mobilenet_v3", **UNSIZED}
SHORT = {**Recipe.read("random").as_json(), "steps": 20, "batch_size": 8, "schedule": {}}
TAUGHT = {**SHORT, "sampler": {"kind": "uniform", "teacher": True}, "teacher": "external"}


def asked(**changes):
    body = {"name": "mine", "data": "digits", "family": FAMILY, "recipe": SHORT} | changes
    return {key: value for key, value in body.items() if value is not None}


def params(client, database, body):
    answer = client.post("/v1/trainings", json=body)
    assert answer.status_code == 202, answer.text
    with database.read() as session:
        found = session.get_one(Job, answer.json()["id"]).params
        return {**found, **found["training"]}


def refused(client, body, field):
    """The problem, which both routes answer alike."""
    problems = [
        assert_problem(client.post(path, json=body), 422)
        for path in ("/v1/trainings", "/v1/trainings:estimate")
    ]
    assert problems[0] == problems[1]
    assert problems[0].errors[0].field == field, problems[0]
    return problems[0]


@pytest.fixture
def sharded(database, supernet):
    """The same supernet, as if it had been split."""
    with database.write() as session:
        row = queries.get(session, P, Supernet, supernet["id"])
        manifest = {**row.manifest, "shards": [{"resolution": [8, 16]}, {"resolution": [24, 32]}]}
        values = {
            "project_id": P,
            "name": "split",
            "source": "training",
            "weights_sha256": row.weights_sha256,
        }
        session.add(Supernet(id="sup_split", manifest=manifest, files=row.files, **values))


# --- further, and with a teacher -------------------------------------------------------------------


def test_without_a_recipe_convolutional_networks_are_trained_at_random(client, database, supernet):
    for name, body in (
        ("first", asked(recipe=None)),
        ("further", asked(recipe=None, source="digits", family=None)),
    ):
        assert params(client, database, body | {"name": name, "steps": 20})["recipe"]["name"] == "random"


def test_without_a_recipe_a_task_without_labels_is_trained_by_poa(client, database):
    body = asked(recipe=None, task="self_supervised_images") | {"steps": 20}
    assert params(client, database, body)["recipe"]["name"] == "poa"


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_source_gives_family_data_and_seed(client, database, supernet, by):
    found = params(client, database, asked(source=supernet[by], data=None, family=None))
    manifest = supernet["training"]["stages"][-1]
    assert found["source"] == supernet["id"] and found["data"] == "digits"
    assert found["seed"] == manifest["seed"] + 1
    assert found["config"]["stem_width"] == 2 and found["fit"] == []
    own = params(client, database, asked(name="other", source="digits", family="digits", seed=7))
    assert own["config"] == found["config"] and (own["seed"], own["source"]) == (7, supernet["id"])


def test_a_teacher_is_a_supernet_of_the_project(client, database, supernet):
    found = params(client, database, asked(recipe=TAUGHT, teacher="digits"))
    assert (found["teacher"], found["source"], found["seed"]) == (supernet["id"], None, 0)


def test_a_supernet_that_is_not_there_lists_those_that_are(client, supernet):
    assert refused(client, asked(source="nope"), "source").errors[0].allowed == ["digits"]
    problem = refused(client, asked(recipe=TAUGHT, teacher="sup_nope"), "teacher")
    assert (problem.errors[0].got, problem.errors[0].allowed) == ("sup_nope", ["digits"])
    problem = refused(client, asked(recipe=TAUGHT), "teacher")
    assert problem.errors[0].allowed == ["digits"] and "needs an external teacher" in problem.detail


def test_without_any_supernet_the_request_that_makes_one_is_named(client):
    problem = refused(client, asked(source="nope"), "source")
    assert problem.errors[0].allowed == "none yet: POST /v1/supernets first"


def test_the_space_of_a_table_is_no_source(client, database, supernet):
    with database.write() as session:
        row = queries.get(session, P, Supernet, supernet["id"])
        files = {"manifest.json": row.files["manifest.json"]}
        values = {"project_id": P, "name": "cells", "source": "table", "weights_sha256": row.weights_sha256}
        session.add(Supernet(id="sup_cells", manifest=row.manifest, files=files, **values))
    assert "space of a table" in refused(client, asked(source="cells"), "source").detail
    assert "space of a table" in refused(client, asked(recipe=TAUGHT, teacher="sup_cells"), "teacher").detail


@pytest.mark.usefixtures("sharded")
def test_a_supernet_that_was_split_is_no_source_but_may_teach(client, database):
    problem = refused(client, asked(source="split", family=None), "source")
    assert "'split' has 2 networks" in problem.detail
    assert params(client, database, asked(recipe=TAUGHT, teacher="split"))["teacher"] == "sup_split"


def test_another_family_than_the_sources_is_refused_with_the_difference(client, supernet):
    problem = refused(client, asked(source="digits", family=FAMILY), "family")
    assert "stem_width is 2 there, 4 here" in problem.detail
    assert "fashion_mnist" in str(refused(client, asked(source="digits", family="fashion_mnist"), "family"))


def test_a_teacher_that_nobody_listens_to_is_refused(client, supernet):
    problem = refused(client, asked(teacher="digits"), "teacher")
    assert "no subnet of recipe 'random' uses a teacher" in problem.detail
    assert problem.errors[0].got == "digits"


@pytest.mark.parametrize(("missing", "field"), [("family", "family"), ("data", "data")])
def test_neither_a_source_nor_what_it_would_give_is_refused(client, missing, field):
    problem = refused(client, asked(**{missing: None}), field)
    assert "a source whose" in problem.detail
    if missing == "family":
        assert {"digits", "fashion_mnist"} <= set(problem.errors[0].allowed)


# --- data ------------------------------------------------------------------------------------------


def test_classes_and_channels_are_those_of_the_data(client, database, settings, supernet):
    write_folder(settings.import_dir / "pets", {"cat": 70, "dog": 70, "emu": 70})
    found = params(client, database, asked(data="folder:pets", name="a"))
    config = found["config"]
    assert (config["num_classes"], config["image_channels"], found["fit"]) == (3, 3, [])
    assert found["data"] == f"folder:{settings.import_dir.resolve() / 'pets'}"
    zoo = params(client, database, asked(data="folder:pets", family="digits", name="b"))
    assert zoo["config"]["num_classes"] == 3

    fixed = {**FAMILY, "num_classes": 10}
    problem = refused(client, asked(data="folder:pets", family=fixed, name="c"), "family.num_classes")
    assert (problem.errors[0].got, problem.errors[0].allowed) == (10, 3)
    problem = refused(client, asked(data="folder:pets", source="digits", family=None, name="c"), "data")
    assert "source 'digits' has 10 outputs" in problem.detail
    problem = refused(client, asked(data="folder:pets", recipe=TAUGHT, teacher="digits", name="c"), "teacher")
    assert "'digits' has 10" in problem.detail


def test_streams_and_the_hub_are_data(client, database, settings):
    write_shards(settings.import_dir / "shards")
    found = params(client, database, asked(data="stream:shards"))
    assert found["data"] == f"stream:{settings.import_dir.resolve() / 'shards'}"
    assert found["config"]["image_channels"] == 1
    hub = params(client, database, asked(data="hub:imagenet", name="b"))
    assert (hub["data"], hub["fit"]) == ("hub:imagenet", ["outputs", "channels"])


@pytest.mark.parametrize(
    "data",
    [
        "hub:mine",
        "hub:../x",
        "stream:nope",
        "stream:../..",
        "stream:/etc",
        "parquet:link",
        "stream:link",
        "folder:empty",
        "folder:file",
        "folder:",
        "digits:x",
        "nope",
    ],
)
def test_data_that_cannot_be_had_are_refused(client, settings, tmp_path, data):
    outside = tmp_path / "outside"
    outside.mkdir()
    write_parquet(outside / "train.parquet", 120)
    for name in ("empty", "link"):
        (settings.import_dir / name).mkdir()
    (settings.import_dir / "link" / "train.parquet").symlink_to(outside / "train.parquet")
    (settings.import_dir / "file").touch()
    problem = refused(client, asked(data=data), "data")
    assert problem.errors[0].got is not None and problem.errors[0].allowed


def test_the_sources_data_must_be_where_the_service_may_read(client, database, settings, supernet):
    write_folder(settings.import_dir / "ten", {str(digit): 20 for digit in range(10)}, mode="L")
    inside = f"folder:{settings.import_dir.resolve() / 'ten'}"

    def trained_on(name):
        with database.write() as session:
            row = queries.get(session, P, Supernet, supernet["id"])
            row.manifest = {**row.manifest, "data": {**row.manifest["data"], "name": name}}

    body = asked(source="digits", data=None, family=None)
    trained_on(inside)
    assert params(client, database, body)["data"] == inside
    trained_on("folder:/etc")
    assert "NETWRIGHT_IMPORT_DIR" in refused(client, body | {"name": "other"}, "data").detail


# --- recipes ---------------------------------------------------------------------------------------


def test_a_recipe_that_does_not_fit_is_refused(client):
    narrow = {**SHORT, "space": {"restrict": {"nope": [1]}}}
    assert "nope" in refused(client, asked(recipe=narrow), "recipe").detail
    opening = {"kind": "stages", "stages": [{"start": 0, "open": {"colour": 1}}, {"start": 0.5}]}
    problem = refused(client, asked(recipe={**SHORT, "controllers": [opening]}), "recipe")
    assert "no axis kind 'colour'" in problem.detail
    problem = refused(client, asked(recipe={**SHORT, "batch_size": 2000}), "recipe.batch_size")
    assert "at most the 1077 training examples" in problem.detail
    refused(client, asked(recipe={**SHORT, "schedule": "x"}, steps=3), "recipe")


# --- estimates -------------------------------------------------------------------------------------


def test_an_estimate_makes_no_job_and_says_what_can_be_told(client, supernet):
    body = asked(family=None, source="digits", recipe="sandwich", steps=10)
    answer = client.post("/v1/trainings:estimate", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert client.get("/v1/jobs").json()["items"] == []
    assert told["subnets"] == supernet["space_size"]
    assert (told["steps"], told["passes"], told["billed"], told["seconds"]) == (10, 40, 40.0, None)
    assert told["macs_per_step"] > told["macs"][1] > told["macs"][0] and told["memory_mb"] > 0
    assert (told["classes"], told["train_images"], told["networks"]) == (10, 1077, 1)
    body.pop("name")
    assert client.post("/v1/trainings:estimate", json=body).json() == told


def test_an_estimate_of_data_that_only_loading_knows_leaves_gaps(client):
    told = client.post("/v1/trainings:estimate", json=asked(data="hub:imagenet")).json()
    assert told["memory_mb"] is told["classes"] is told["train_images"] is None and told["billed"] == 20.0


def test_a_name_that_is_taken_is_refused_by_both(client, supernet):
    for path in ("/v1/trainings", "/v1/trainings:estimate"):
        assert "give another name" in assert_problem(client.post(path, json=asked(name="digits")), 409).detail


def test_a_long_training_is_estimated_at_once(client):
    body = asked(recipe={**SHORT, "steps": 10_000_000})
    told = client.post("/v1/trainings:estimate", json=body).json()
    assert (told["passes"], told["steps"]) == (10_000_000, 10_000_000)


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ({"depths": [2, 60_000]}, "at most 128 blocks"),
        ({"resolutions": [8] * 100}, "at most 32 entries, got 100"),
    ],
)
def test_an_absurd_family_is_refused_with_the_limit(client, family, words):
    problem = refused(client, asked(family={"family": "mobilenet_v3", **family}), "family")
    assert words in problem.detail


def test_an_estimate_that_takes_too_long_is_stopped(client, monkeypatch):
    monkeypatch.setattr("service.training.estimate.TIMEOUT_S", 0.01)
    problem = assert_problem(client.post("/v1/trainings:estimate", json=asked()), 503)
    assert problem.code == "unavailable" and "at most 0.01 s" in problem.detail


def test_no_connection_is_held_while_a_request_is_computed(client, monkeypatch):
    from service.training import plan

    engine, facts = client.app.state.services.database.engine, plan.facts_of

    def look(*arguments):
        assert engine.pool.checkedout() == 0
        return facts(*arguments)

    monkeypatch.setattr(plan, "facts_of", look)
    answer = client.post("/v1/trainings", json=asked())
    assert answer.status_code == 202, answer.text


# --- around it -------------------------------------------------------------------------------------


def test_a_zoo_without_the_supernet_still_names_it_as_source(settings, tmp_path):
    """A registered supernet lives in the artifact store; the folder that it came from may be gone."""
    zoo = tmp_path / "zoo"
    shutil.copytree(ZOO_DIR / "digits", zoo / "digits")
    app = create_app(settings.model_copy(update={"zoo_dir": zoo}))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        assert client.post("/v1/supernets", json={"zoo": "digits"}).status_code == 201
        shutil.rmtree(zoo / "digits")
        answer = client.post("/v1/trainings", json=asked(source="digits", family=None, data=None))
        assert answer.status_code == 202, answer.text


def test_the_service_starts_without_torch():
    code = "import sys, service.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


# --- what only the job can tell --------------------------------------------------------------------


def request(settings, tmp_path, source=None, teacher=None, **changes):
    """That of the job's one step, for a recipe that never runs."""
    training = {
        "task": "image_classification",
        "seed": 0,
        "family": "mobilenet_v3",
        "config": small_family().config(),
        "fit": [],
        "recipe": SHORT,
        "data": "digits",
    }
    training |= {key: changes.pop(key) for key in training.keys() & changes.keys()}
    params = {"name": "x", "training": training, "source": None, "teacher": None}
    return TrainIn(
        params=TrainParams.model_validate(params | changes),
        source=source,
        teacher=teacher,
        artifacts=settings.artifacts,
        cache=str(tmp_path / "cache"),
        data_dir=None,
        run_dir=str(tmp_path / "run"),
        threads=1,
        device="cpu",
    )


def test_what_the_images_say_fails_the_job_in_clear_words(settings, database, supernet, tmp_path):
    with database.read() as session:
        files = queries.get(session, P, Supernet, supernet["id"]).files
    write_folder(tmp_path / "pets", {"cat": 70, "dog": 70, "emu": 70})
    pets = {"data": f"folder:{tmp_path / 'pets'}"}
    zoo = {"config": supernet_config(database, supernet)}
    with pytest.raises(DataError, match="must have 3 outputs and 3 channels"):
        train(request(settings, tmp_path, **zoo, source=files, **pets), print)
    with pytest.raises(CheckpointError, match="'digits' has 10"):
        fitted = {"fit": ["outputs", "channels"], "recipe": TAUGHT, "teacher": files}
        train(request(settings, tmp_path, **fitted, **pets), print)
    with pytest.raises(CheckpointError, match="stem_width is 2 there, 4 here"):
        train(request(settings, tmp_path, source=files), print)


def supernet_config(database, supernet):
    with database.read() as session:
        return queries.get(session, P, Supernet, supernet["id"]).manifest["config"]
