"""Where the images of a supernet are: checked at registration, changed with proof, watched by workers."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from service.db import queries
from service.db.tables import Supernet
from service.ids import DEFAULT_PROJECT
from service.settings import ZOO_DIR
from service.supernets import checkpoints
from service.supernets.bench import bench_of, open_bench
from supernets.checkpoints import write_manifest
from supernets.data import load_data
from supernets.errors import DataError
from supernets.manifest import Manifest
from tests.service.test_errors import assert_problem


@pytest.fixture(autouse=True)
def weights_are_trusted(monkeypatch):
    """Loading the weights in a child process is tested elsewhere."""
    monkeypatch.setattr(checkpoints, "check_fully", checkpoints.check)


def write_digits(root, seed=0):
    """A folder of grey images, ten classes: what the zoo's digits network could have been trained on."""
    rng = np.random.default_rng(seed)
    for label in range(10):
        (root / str(label)).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 256, (32, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(root / str(label) / f"{index}.png")
    return root


@pytest.fixture
def photos(settings):
    return write_digits(settings.import_dir / "photos")


@pytest.fixture
def mine(settings, photos):
    """A supernet in the import folder whose manifest names ``photos``."""
    directory = settings.import_dir / "mine"
    shutil.copytree(ZOO_DIR / "digits", directory)
    data = load_data(f"folder:{photos}")
    manifest = Manifest.read(directory)
    values = {**manifest.as_json(), "name": "mine", "data": data.describe()}
    write_manifest(directory, Manifest.parse(values))
    return directory


def add(client, **body):
    return client.post("/v1/supernets", json={"path": "mine", **body})


def test_images_that_are_where_the_manifest_says_need_nothing(client, mine, photos):
    answer = add(client)
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["name"] == f"folder:{photos.resolve()}"


def test_images_that_are_gone_are_refused_at_once_and_a_new_place_is_proven(client, mine, photos, settings):
    photos.rename(settings.import_dir / "moved")
    problem = assert_problem(add(client), 422)
    assert "'folder:photos'" in problem.detail and "--data folder:PATH" in problem.detail
    assert str(settings.import_dir) not in problem.detail  # folders of the server are not public
    other = write_digits(settings.import_dir / "others", seed=1)
    problem = assert_problem(add(client, data="folder:others"), 422)
    assert "train must have the 72 images that 'mine' was trained on" in problem.detail
    assert other.is_dir()
    answer = add(client, data={"source": "folder", "location": "moved"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["name"] == f"folder:{(settings.import_dir / 'moved').resolve()}"


def test_a_manifest_may_not_name_a_path_outside_the_import_folder(client, mine, tmp_path):
    outside = write_digits(tmp_path / "outside")
    manifest = json.loads((mine / "manifest.json").read_text())
    for name in (
        "folder:/etc",
        f"folder:{outside}",
        "folder:../outside",
        f"parquet:{outside}",
        "nonsense",
        "folder:a\0b",
    ):
        manifest["data"]["name"] = name
        (mine / "manifest.json").write_text(json.dumps(manifest))
        assert add(client).status_code in (409, 422), name


def test_images_may_move_later_and_options_are_kept(client, mine, photos, settings, database):
    id = add(client).json()["id"]
    photos.rename(settings.import_dir / "later")
    problem = assert_problem(client.post(f"/v1/supernets/{id}/evaluations", json={"count": 1}), 422)
    assert "netwright supernets update mine" in problem.detail
    assert_problem(client.patch(f"/v1/supernets/{id}", json={"data": "folder:nowhere"}), 422)
    assert_problem(client.patch(f"/v1/supernets/{id}", json={"data": "folder:later,fit=zoom"}), 422)
    changed = client.patch(f"/v1/supernets/{id}", json={"data": "folder:later"})
    assert changed.status_code == 200, changed.text
    place = f"folder:{(settings.import_dir / 'later').resolve()}"
    assert changed.json()["data"]["name"] == place
    assert client.get(f"/v1/supernets/{id}").json()["data"]["name"] == place
    assert client.post(f"/v1/supernets/{id}/evaluations", json={"count": 1}).status_code == 202
    with database.read() as session:
        row = queries.get(session, DEFAULT_PROJECT, Supernet, id)
        bench = open_bench(bench_of(settings, row))
    assert bench.data.name == place


def test_the_space_of_a_table_has_no_images(client, mine):
    table = {"file": {"content": ""}, "archs": [{"column": "a"}]}
    answer = client.post("/v1/supernets", json={"name": "t", "table": table, "data": "digits"})
    assert "a table has no 'data'" in assert_problem(answer, 422).model_dump_json()


def test_a_worker_notices_files_that_change_vanish_and_come_back(client, mine, photos, settings, database):
    id = add(client).json()["id"]
    with database.read() as session:
        bench = open_bench(bench_of(settings, queries.get(session, DEFAULT_PROJECT, Supernet, id)))
    first = bench.data
    assert bench.data is first
    whole = (photos / "3" / "5.png").read_bytes()
    Image.new("L", (32, 32), 9).save(photos / "3" / "5.png")
    with pytest.raises(DataError, match="must have hash"):
        _ = bench.data
    (photos / "3" / "5.png").write_bytes(whole)
    restored = bench.data
    assert restored is not first and restored.describe() == first.describe()
    photos.rename(settings.import_dir / "away")
    with pytest.raises(DataError, match="there is none at"):
        _ = bench.data
    (settings.import_dir / "away").rename(photos)
    assert bench.data.describe() == first.describe()
    (photos / "3" / "new.png").write_bytes(whole)
    with pytest.raises(DataError, match="must have hash"):
        _ = bench.data


def test_an_estimate_reports_on_the_images(client, photos, settings):
    body = {"data": "folder:photos,resolution=40", "family": "digits", "recipe": "random", "steps": 10}
    answer = client.post("/v1/trainings:estimate", json=body)
    assert answer.status_code == 200, answer.text
    report = answer.json()["data_report"]
    assert report["splits"]["train"]["images"] == 120 and report["details"]["examined"] == 120
    assert [problem["code"] for problem in report["problems"]] == ["stored_larger"]
    assert (
        client.post("/v1/trainings:estimate", json={**body, "data": "digits"}).json()["data_report"] is None
    )


def test_an_estimate_refuses_what_the_training_would(client, photos, settings):
    for index in range(12):
        shutil.copy(photos / "0" / f"{index}.png", photos / "1" / f"{index}.png")
    body = {"data": {"source": "folder", "location": "photos"}, "family": "digits", "recipe": "random"}
    problem = assert_problem(client.post("/v1/trainings:estimate", json=body), 422)
    assert "the images of 0, 1 are equal" in problem.detail


def test_fields_of_a_spec_are_checked(client, photos):
    for data in (
        "folder:photos,chanels=3",
        {"source": "folder", "location": "photos", "channels": 2},
        {"location": "x"},
    ):
        body = {"data": data, "family": "digits", "recipe": "random"}
        assert_problem(client.post("/v1/trainings:estimate", json=body), 422)
