"""Happy paths and bad input, resource by resource; jobs are queued and no worker runs."""

import json
import shutil

import numpy as np
import pytest

from service.db import migrate, queries
from service.db.tables import Export, Job, Predictor, Supernet, Target
from service.ids import DEFAULT_PROJECT, new_id
from service.runtime import job_queries
from service.settings import ZOO_DIR
from service.subnets.queries import states_licence
from service.supernets.checkpoints import manifest_of
from tests.service.rows import insert_fitted
from tests.service.test_errors import assert_problem

P = DEFAULT_PROJECT


def listed(client, path, **params):
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


# --- supernets -------------------------------------------------------------------------------------


def test_a_zoo_supernet_is_registered_once(client, supernet):
    assert supernet["id"].startswith("sup_") and supernet["source"] == "zoo"
    again = client.post("/v1/supernets", json={"zoo": "digits"})
    assert (again.status_code, again.json()["id"]) == (200, supernet["id"])
    assert [row["id"] for row in listed(client, "/v1/supernets", name="digits")] == [supernet["id"]]
    assert client.get(f"/v1/supernets/{supernet['id']}").json() == supernet
    renamed = client.post("/v1/supernets", json={"zoo": "digits", "name": "mine"})
    assert (
        renamed.status_code == 201 and renamed.headers["location"] == f"/v1/supernets/{renamed.json()['id']}"
    )


def test_every_supernet_of_the_zoo_can_be_registered(client):
    for manifest in sorted(ZOO_DIR.glob("*/manifest.json")):
        answer = client.post("/v1/supernets", json={"zoo": manifest.parent.name})
        assert answer.status_code in (200, 201), answer.text
        supernet = answer.json()
        assert (supernet["name"], supernet["source"]) == (manifest.parent.name, "zoo")
        assert supernet["report"]["summary"]["test"]["largest"]["n"] > 0


def test_a_space_names_axes_and_ends(client, supernet):
    space = client.get(f"/v1/supernets/{supernet['id']}/space").json()
    assert space["size"] == supernet["space_size"]
    axes = {axis["name"]: axis for axis in space["axes"]}
    for name, choice in space["largest"].items():
        assert choice in axes[name]["choices"]
    assert set(space["smallest"]) <= set(axes)


def test_weights_are_artifacts_that_can_be_downloaded(client, supernet):
    whole = client.get(f"/v1/artifacts/{supernet['weights_sha256']}")
    assert whole.status_code == 200
    assert whole.headers["content-disposition"] == 'attachment; filename="digits-supernet.safetensors"'
    part = client.get(f"/v1/artifacts/{supernet['weights_sha256']}", headers={"range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, whole.content[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(whole.content)}"
    last = client.get(f"/v1/artifacts/{supernet['weights_sha256']}", headers={"range": "bytes=-4"})
    assert last.content == whole.content[-4:]
    named = client.get(f"/v1/artifacts/{supernet['weights_sha256']}", params={"name": 'a"b/c.bin'})
    assert named.headers["content-disposition"] == 'attachment; filename="a-b-c.bin"'
    bad = client.get(f"/v1/artifacts/{supernet['weights_sha256']}", headers={"range": "bytes=99999999-"})
    assert_problem(bad, 416)


@pytest.fixture
def imported(settings):
    """A copy of the zoo's digits in the import folder."""
    folder = settings.import_dir / "mine"
    shutil.copytree(ZOO_DIR / "digits", folder)
    return folder


def test_a_supernet_is_imported_after_its_tensors_were_checked(client, imported):
    answer = client.post("/v1/supernets", json={"path": "mine", "name": "mine"})
    assert answer.status_code == 201 and answer.json()["source"] == "import"


@pytest.mark.parametrize("path", ["../template", "/etc", "mine/../../home", "absent", "link"])
def test_a_path_cannot_leave_the_import_folder(client, settings, tmp_path, path):
    (settings.import_dir / "link").symlink_to(tmp_path)
    problem = assert_problem(client.post("/v1/supernets", json={"path": path}), 422)
    assert problem.errors[0].field == "path" and problem.errors[0].got == path


def test_truncated_and_foreign_checkpoints_are_refused_and_leave_nothing(client, imported):
    weights = imported / "supernet.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    assert assert_problem(client.post("/v1/supernets", json={"path": "mine"}), 422).code == "bad_checkpoint"
    manifest = json.loads((imported / "manifest.json").read_text())
    (imported / "manifest.json").write_text(json.dumps({**manifest, "space_sha256": "0" * 64}))
    assert assert_problem(client.post("/v1/supernets", json={"path": "mine"}), 422).code == "bad_checkpoint"
    (imported / "manifest.json").write_text("{}")
    assert assert_problem(client.post("/v1/supernets", json={"path": "mine"}), 422).code == "bad_checkpoint"
    assert listed(client, "/v1/supernets") == []


def test_another_supernet_may_not_take_a_name(client, supernet, imported):
    manifest = json.loads((imported / "manifest.json").read_text())
    (imported / "manifest.json").write_text(json.dumps({**manifest, "licence": "MIT"}))
    assert_problem(client.post("/v1/supernets", json={"path": "mine"}), 409)


def test_a_licence_is_stated_and_withdrawn(client, supernet):
    path = f"/v1/supernets/{supernet['id']}"
    assert client.patch(path, json={"licence": "MIT"}).json()["licence"] == "MIT"
    assert client.get(path).json()["licence"] == "MIT"
    assert client.patch(path, json={"licence": None}).json()["licence"] is None
    assert_problem(client.patch(path, json={"licence": ""}), 422)
    assert "give 'data', 'licence', or both" in assert_problem(client.patch(path, json={}), 422).detail


def test_a_file_with_another_licence_is_not_reused():
    stated, silent = ({"netwright.licence": '"MIT"'}, {"netwright.task": '"x"'})
    found = [
        (states_licence(Export(facts=facts), "MIT"), states_licence(Export(facts=facts), None))
        for facts in (stated, silent, {})
    ]
    assert found == [(True, False), (False, True), (True, True)]


@pytest.mark.parametrize(
    ("request_", "hint"),
    [
        (("GET", "/v1/jobs?kind=meassure", None), "did you mean measure"),
        (("GET", "/v1/jobs?state=quued", None), "did you mean queued"),
        (("POST", "/v1/supernets", {"zoo": "digit"}), "did you mean digits"),
        (
            ("POST", "/v1/trainings", {"name": "a", "data": "digts", "family": "digits"}),
            "did you mean digits",
        ),
        (
            ("POST", "/v1/trainings", {"name": "a", "data": "digits", "family": "digits", "recipe": "randm"}),
            "did you mean random",
        ),
    ],
)
def test_an_unknown_word_is_answered_with_the_nearest_one(client, request_, hint):
    method, path, body = request_
    assert hint in assert_problem(client.request(method, path, json=body), 422).detail


# --- targets, measurements, evaluations -------------------------------------------------------------


def test_the_same_target_is_registered_once(client, target):
    assert client.post("/v1/targets", json={}).json()["id"] == target["id"]
    assert target["metrics"][0] == "latency_ms" and target["calibrations"] is None
    other = client.post("/v1/targets", json={"settings": {"batch": 8}})
    assert_problem(other, 409)
    assert client.post("/v1/targets", json={"settings": {"batch": 8}, "name": "batch-8"}).status_code == 201


@pytest.mark.parametrize(
    "chosen",
    [{"threads": 0}, {"threads": 9999}, {"threads": "1"}, {"batch": True}, {"precision": "int1"}, {"x": 1}],
)
def test_impossible_target_settings_are_named(client, chosen):
    problem = assert_problem(client.post("/v1/targets", json={"settings": chosen}), 422)
    assert problem.errors[0].field.startswith("settings")


def test_measuring_and_evaluating_are_queued_as_jobs(client, supernet, target):
    archs = [client.get(f"/v1/supernets/{supernet['id']}/space").json()["largest"]]
    for path, body in (
        (f"/v1/targets/{target['id']}/measurements", {"supernet": supernet["id"], "count": 4}),
        (f"/v1/targets/{target['id']}/measurements", {"supernet": supernet["id"], "archs": archs}),
        (f"/v1/supernets/{supernet['id']}/evaluations", {"archs": archs}),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code == 202, answer.text
        job = client.get(answer.headers["location"]).json()
        assert job["state"] == "queued" and job["id"] == answer.json()["job"]["id"]
    assert len(listed(client, "/v1/jobs", state="queued")) == 3
    assert len(listed(client, "/v1/jobs", kind="evaluate")) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"count": 3, "archs": [{"depth": 1}]}, ""),
        ({}, ""),
        ({"archs": [{"resolution": 999}]}, "archs.0"),
        ({"archs": []}, "archs"),
        ({"count": 3, "split": "test"}, "split"),
        ({"count": 10**9}, "count"),
    ],
)
def test_archs_outside_the_space_and_wrong_selections_are_refused(client, supernet, body, field):
    answer = client.post(f"/v1/supernets/{supernet['id']}/evaluations", json=body)
    assert assert_problem(answer, 422).errors[0].field in (field, "body")
    assert listed(client, "/v1/jobs") == []


def test_measurements_are_listed_by_filter_and_page(client, measured, supernet, target):
    latencies = listed(client, "/v1/measurements", target=target["id"], page_size=500)
    assert len(latencies) == 60 and {row["unit"] for row in latencies} == {"ms"}
    accuracies = listed(client, "/v1/measurements", split="validation", page_size=500)
    assert len(accuracies) == 60 and {row["target"] for row in accuracies} == {None}
    seen, token = [], None
    while True:
        page = client.get(
            "/v1/measurements", params={"page_size": 50, **({"page_token": token} if token else {})}
        )
        seen += [row["id"] for row in page.json()["items"]]
        token = page.json()["next_page_token"]
        if token is None:
            break
    assert len(seen) == len(set(seen)) == 120
    one = listed(client, "/v1/measurements", subnet=latencies[0]["subnet"])
    assert {row["metric"] for row in one} == {"accuracy", "latency_ms"}


# --- predictors --------------------------------------------------------------------------------------


def test_a_predictor_needs_rows_first_and_says_how(client, supernet, target):
    body = {"supernet": supernet["id"], "target": target["id"], "metric": "latency_ms"}
    problem = assert_problem(client.post("/v1/predictors", json=body), 422)
    assert problem.actions[0].path == f"/v1/targets/{target['id']}/measurements"


SENSELESS_PREDICTORS = (
    ({"metric": "macs"}, "metric"),
    ({"metric": "beauty"}, "metric"),
    ({"target": None}, "target"),
    ({"metric": "accuracy"}, "target"),
    ({"kind": "crystal_ball"}, "kind"),
    ({"kind": "gaussian_process"}, "kind"),
    ({"supernet": "sup_x"}, "supernet"),
    ({"target": "tgt_x"}, "target"),
)


def test_predictors_of_something_else_are_refused(client, measured, supernet, target):
    for change, field in SENSELESS_PREDICTORS:
        body = {"supernet": supernet["id"], "target": target["id"], "metric": "latency_ms"} | change
        problem = assert_problem(client.post("/v1/predictors", json=body), 422)
        assert problem.errors[0].field == field, (change, problem)


def test_fitting_is_queued(client, measured, supernet):
    body = {"supernet": supernet["id"], "metric": "accuracy"}
    answer = client.post("/v1/predictors", json=body)
    assert answer.status_code == 202
    predictor = client.get(f"/v1/predictors/{answer.json()['id']}").json()
    assert (predictor["state"], predictor["version"], predictor["kind"]) == (
        "queued",
        None,
        "auto",
    )
    assert [row["id"] for row in listed(client, "/v1/predictors", metric="accuracy")] == [predictor["id"]]


@pytest.fixture
def fitted(client, database, measured, supernet, target):
    """Two fitted predictors, made as the fitting job makes them."""
    return insert_fitted(database, client.app.state.services.store, supernet["id"], target["id"])


@pytest.fixture
def both(client, database, supernet, target, fitted):
    """Two targets, the second said to take twice as long, with a predictor of its own."""
    from predictors import PREDICTORS
    from service.supernets.bench import model_scope
    from service.supernets.checkpoints import family_of

    other = client.post("/v1/targets", json={"settings": {"batch": 8}, "name": "batch-8"}).json()
    store = client.app.state.services.store
    with database.write() as session:
        row = queries.get(session, P, Supernet, supernet["id"])
        known = session.get_one(Predictor, fitted["latency_ms"])
        family = family_of(row)
        population = np.unique(family.space().sample(np.random.default_rng(0), 60), axis=0)
        model = PREDICTORS.load(known.kind)(family, model_scope(manifest_of(row), "latency_ms", other["id"]))
        model.fit(population, 2 * (0.01 + 1.1e-7 * family.costs(population)["macs"]))
        copied = {c.name: getattr(known, c.name) for c in Predictor.__table__.columns}
        changed = {"id": new_id("prd"), "target_id": other["id"], "version": store.put(model.dump())}
        session.add(Predictor(**copied | changed))
    return target["id"], other["id"]


# --- profile and searches ----------------------------------------------------------------------------


def test_a_profile_answers_without_predictors_and_names_them(client, supernet, target):
    body = {
        "supernet": supernet["id"],
        "targets": [target["id"]],
        "constraints": [{"metric": "macs", "max": 1e5}],
    }
    profile = client.post("/v1/searches:profile", json=body).json()
    assert {row["metric"] for row in profile["metrics"]} == {"params", "macs", "activation_mb", "size_mb"}
    assert profile["satisfiable"] is True and 0 < profile["share"] < 1
    assert [action["body"]["metric"] for action in profile["missing"]] == ["accuracy", "latency_ms"]


def test_a_profile_says_what_can_and_cannot_be_met(client, supernet, target, fitted):
    body = {"supernet": supernet["id"], "targets": [target["id"]]}
    rows = {row["metric"]: row for row in client.post("/v1/searches:profile", json=body).json()["metrics"]}
    latency = rows["latency_ms"]
    assert (
        latency["best"] <= latency["smallest"] < latency["centroid"] < latency["largest"] <= latency["worst"]
    )
    assert rows["accuracy"]["best"] >= rows["accuracy"]["worst"]
    limit = {"metric": "latency_ms", "max": (latency["smallest"] + latency["largest"]) / 2}
    fine = client.post("/v1/searches:profile", json={**body, "constraints": [limit]}).json()
    assert fine["satisfiable"] is True and fine["unmet"] == [] and fine["missing"] == []
    limit = {"metric": "latency_ms", "max": latency["best"] / 100}
    bad = client.post("/v1/searches:profile", json={**body, "constraints": [limit]}).json()
    assert bad["satisfiable"] is False and bad["share"] == 0
    assert bad["unmet"][0]["metric"] == "latency_ms" and bad["unmet"][0]["best"] > limit["max"]


def test_a_restriction_shrinks_the_profile(client, supernet):
    whole = client.post("/v1/searches:profile", json={"supernet": supernet["id"]}).json()
    body = {"supernet": supernet["id"], "restrict": {"resolution": [8]}}
    small = client.post("/v1/searches:profile", json=body).json()
    assert small["metrics"][1]["largest"] < whole["metrics"][1]["largest"]
    bad = client.post("/v1/searches:profile", json={**body, "restrict": {"resolution": [9]}})
    assert assert_problem(bad, 422).errors[0].field == "restrict"


def test_a_search_needs_predictors_and_names_the_posts(client, supernet, target):
    body = {"supernet": supernet["id"], "targets": [target["id"]], "budget": {"evaluations": 4}}
    problem = assert_problem(client.post("/v1/searches", json=body), 422)
    assert problem.code == "predictors_missing"
    assert {action.path for action in problem.actions} == {"/v1/predictors"}
    assert listed(client, "/v1/searches") == []


def test_a_search_is_queued_with_everything_it_was_asked(client, supernet, target, fitted):
    body = {
        "supernet": supernet["id"],
        "targets": [target["id"]],
        "constraints": [{"metric": "latency_ms", "max": 0.03}],
        "budget": {"evaluations": 4},
        "labels": {"for": "me"},
        "predictors": [fitted["latency_ms"]],
    }
    answer = client.post("/v1/searches", json=body)
    assert answer.status_code == 202, answer.text
    search = client.get(f"/v1/searches/{answer.json()['id']}").json()
    assert (search["state"], search["feasible"], search["labels"]) == ("queued", None, {"for": "me"})
    assert search["evaluations"] == {"done": 0, "budget": 4, "reused": 0}
    assert (search["extends"], search["history"], search["reference_point"]) == (None, [], [])
    assert search["algorithm"] and search["stall"]["gain"] == 0.001
    job = client.get(answer.headers["location"]).json()
    assert job["resource"] == {"type": "search", "id": search["id"], "href": f"/v1/searches/{search['id']}"}
    assert client.get(f"/v1/searches/{search['id']}/front").json()["points"] == []


SENSELESS_SEARCHES = (
    ({"budget": {"evaluations": 0}}, "budget.evaluations"),
    ({"budget": {"evaluations": 10**9}}, "budget.evaluations"),
    ({"budget": {"evaluations": 4, "seconds": -1}}, "budget.seconds"),
    ({"budget": {}}, "budget"),
    ({"confidence": 1.5}, "confidence"),
    ({"objectives": []}, "objectives"),
    ({"objectives": ["beauty"]}, "objectives.0"),
    ({"objectives": ["accuracy", "accuracy"]}, "objectives.1"),
    ({"targets": ["tgt_x"]}, "targets.0"),
    ({"targets": []}, "targets"),
    ({"algorithm": "guessing"}, "algorithm"),
    ({"restrict": {"nothing": [1]}}, "restrict"),
    ({"constraints": [{"metric": "latency_ms", "max": -1}]}, "constraints.0"),
    ({"constraints": [{"metric": "latency_ms", "max": 0}]}, "constraints.0"),
    ({"constraints": [{"metric": "latency_ms"}]}, "constraints.0"),
    ({"constraints": [{"metric": "latency_ms", "max": 1, "min": 2}]}, "constraints.0"),
    ({"constraints": [{"metric": "accuracy", "min": 95}]}, "constraints.0"),
    ({"constraints": [{"metric": "macs", "max": 1, "target": "tgt_x"}]}, "constraints.0.target"),
    ({"constraints": [{"metric": "latency_ms", "max": 1, "target": "tgt_x"}]}, "constraints.0.target"),
    ({"constraints": [{"metric": "beauty", "max": 1}]}, "constraints.0.metric"),
    ({"predictors": ["prd_x"]}, "predictors.0"),
    ({"supernet": "sup_x"}, "supernet"),
)


def test_searches_that_make_no_sense_are_refused(client, supernet, target, fitted):
    for change, field in SENSELESS_SEARCHES:
        body = {"supernet": supernet["id"], "targets": [target["id"]], "budget": {"evaluations": 4}} | change
        problem = assert_problem(client.post("/v1/searches", json=body), 422)
        assert problem.errors[0].field == field, (change, problem)
    assert listed(client, "/v1/searches") == [] and listed(client, "/v1/jobs", state="queued") == []


def test_numbers_that_are_none_are_refused(client, supernet, target, fitted):
    # The first three are no JSON at all; the last one is a number that no double holds.
    for number, field in (
        ("NaN", "body"),
        ("Infinity", "body"),
        ("-Infinity", "body"),
        ("1e999", "constraints.0.max"),
    ):
        text = (
            f'{{"supernet": "{supernet["id"]}", "targets": ["{target["id"]}"], "budget": {{"evaluations": 4}}, '
            f'"constraints": [{{"metric": "latency_ms", "max": {number}}}]}}'
        )
        answer = client.post("/v1/searches", content=text, headers={"content-type": "application/json"})
        assert assert_problem(answer, 422).errors[0].field == field


def test_a_front_a_target_makes_a_problem_a_target(client, database, supernet, target, fitted):
    from service.db.tables import Job

    other = client.post("/v1/targets", json={"settings": {"batch": 8}, "name": "batch-8"}).json()
    both = [target["id"], other["id"]]
    body = {
        "supernet": supernet["id"],
        "targets": both,
        "front": "per_target",
        "constraints": [{"metric": "latency_ms", "max": 0.03}, {"metric": "macs", "max": 1e6}],
        "budget": {"evaluations": 4},
    }
    problem = assert_problem(client.post("/v1/searches", json=body), 422)
    assert [action.body["target"] for action in problem.actions] == [other["id"]]
    with database.write() as session:
        known = session.get_one(Predictor, fitted["latency_ms"])
        copied = {c.name: getattr(known, c.name) for c in Predictor.__table__.columns}
        session.add(Predictor(**copied | {"id": new_id("prd"), "target_id": other["id"]}))
    shared = client.post("/v1/searches", json=body | {"front": "shared"}).json()
    apart = client.post("/v1/searches", json=body).json()
    with database.read() as session:
        [one] = session.get_one(Job, shared["job"]["id"]).params["plans"]
        two = session.get_one(Job, apart["job"]["id"]).params["plans"]
    assert one["scope"] == "shared" and one["objectives"][1] == {"metric": "latency_ms", "targets": both}
    assert [limit.get("target") for limit in one["constraints"]] == [*both, None]
    assert [plan["scope"] for plan in two] == both
    for plan, id in zip(two, both, strict=True):
        assert plan["objectives"][1] == {"metric": "latency_ms", "targets": [id]}
        assert [limit.get("target") for limit in plan["constraints"]] == [id, None]


def test_contradicting_limits_are_refused(client, supernet, target, fitted):
    limits = [{"metric": "latency_ms", "max": 0.02}, {"metric": "latency_ms", "min": 0.03}]
    body = {"supernet": supernet["id"], "targets": [target["id"]], "budget": {"evaluations": 4}}
    assert_problem(client.post("/v1/searches", json=body | {"constraints": limits}), 422)


def test_a_predictor_of_another_supernet_is_refused(client, database, supernet, target, fitted):
    other = client.post("/v1/supernets", json={"zoo": "digits", "name": "other"}).json()
    body = {
        "supernet": other["id"],
        "targets": [target["id"]],
        "budget": {"evaluations": 4},
        "predictors": [fitted["accuracy"]],
    }
    problem = assert_problem(client.post("/v1/searches", json=body), 422)
    assert problem.errors[0].field == "predictors.0" and supernet["id"] in problem.detail


# --- subnets and exports ------------------------------------------------------------------------------


def test_a_subnet_shows_what_is_known(client, measured):
    arch_id, subnet = next(iter(measured.items()))
    shown = client.get(f"/v1/subnets/{subnet}").json()
    assert shown["arch_id"] == arch_id and len(shown["measurements"]) == 2 and shown["exports"] == []
    assert set(shown["costs"]) == {"params", "macs", "activation_mb", "size_mb"}


def test_the_file_is_named_by_the_post_that_makes_it_until_it_is_there(client, database, measured):
    subnet = next(iter(measured.values()))
    problem = assert_problem(client.get(f"/v1/subnets/{subnet}/onnx"), 409)
    assert problem.code == "not_exported"
    [action] = problem.actions
    answer = client.request(action.method, action.path, json=action.body)
    assert answer.status_code == 202
    export = client.get(f"/v1/exports/{answer.json()['id']}").json()
    assert (export["state"], export["sha256"]) == ("queued", None)
    store = client.app.state.services.store
    with database.write() as session:
        row = queries.get(session, P, Export, export["id"])
        row.sha256, row.bytes = store.put(b"onnx"), 4
    answer = client.get(f"/v1/subnets/{subnet}/onnx")
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (200, b"onnx", f'"{row.sha256}"')
    again = client.post(f"/v1/subnets/{subnet}/exports", json={})
    assert (again.status_code, again.json()["id"]) == (200, export["id"])


FOREIGN = {"format": "pt2", "precision": "int8"}


@pytest.mark.parametrize(
    "body",
    [
        {"format": "tflite"},
        {"opset": 3},
        {"opset": 22},
        {"precision": "int4"},
        {"batch": "7"},
        {"batch": 0},
        FOREIGN,
    ],
)
def test_exports_that_cannot_be_made_are_refused(client, measured, body):
    subnet = next(iter(measured.values()))
    assert_problem(client.post(f"/v1/subnets/{subnet}/exports", json=body), 422)


def test_a_damaged_or_missing_file_is_no_download_and_is_made_again(client, database, measured, settings):
    subnet = next(iter(measured.values()))
    store = client.app.state.services.store
    with database.write() as session:
        row = Export(id=new_id("exp"), project_id=P, subnet_id=subnet, format="onnx", precision="fp32")
        row.opset, row.batch, row.sha256, row.bytes = 18, "dynamic", store.put(b"onnx"), 4
        session.add(row)
    path = settings.home / "artifacts" / row.sha256[:2] / row.sha256
    file = f"/v1/subnets/{subnet}/onnx"
    for damage in (lambda: path.write_bytes(b"evil"), lambda: path.write_bytes(b""), path.unlink):
        damage()
        problem = assert_problem(client.get(file), 409)
        assert problem.code == "not_exported" and "damaged" in problem.detail
        [action] = problem.actions
        answer = client.request(action.method, action.path, json=action.body)
        assert answer.status_code == 202 and answer.json()["id"] != row.id
        assert store.put(b"onnx") == row.sha256  # as the job does
        assert client.get(file).content == b"onnx"
    assert client.post(f"/v1/subnets/{subnet}/exports", json={}).status_code == 200


def test_the_file_states_the_licence_of_now(client, database, measured):
    subnet = next(iter(measured.values()))
    store, supernet = client.app.state.services.store, client.get(f"/v1/subnets/{subnet}").json()["supernet"]
    file, path = f"/v1/subnets/{subnet}/onnx", f"/v1/supernets/{supernet}"
    with database.write() as session:
        for licence in ("MIT", "Apache-2.0"):
            row = Export(id=new_id("exp"), project_id=P, subnet_id=subnet, format="onnx", precision="fp32")
            row.opset, row.batch = 18, "dynamic"
            row.sha256, row.bytes = store.put(licence.encode()), len(licence)
            row.facts = {"netwright.licence": json.dumps(licence)}
            session.add(row)
            session.flush()
    for licence in ("Apache-2.0", "MIT"):
        assert client.patch(path, json={"licence": licence}).status_code == 200
        assert client.get(file).text == licence
        assert client.post(f"/v1/subnets/{subnet}/exports", json={}).status_code == 200
    client.patch(path, json={"licence": "CC0-1.0"})
    problem = assert_problem(client.get(file), 409)
    assert "no verified ONNX file that states licence 'CC0-1.0'" in problem.detail
    assert client.post(f"/v1/subnets/{subnet}/exports", json={}).status_code == 202


def test_a_precision_is_taken_from_what_was_measured_on_the_machine_of_the_target(
    client, database, measured, target
):
    subnet, other = list(measured.values())[:2]
    target, device = target["id"], target["description"]["device"]

    def asked(**body):
        answer = client.post(f"/v1/subnets/{other}/exports", json=body)
        assert answer.status_code in (200, 202), answer.text
        return client.get(f"/v1/exports/{answer.json()['id']}").json()["precision"]

    def record(precision, times, activation, device=device):
        with database.write() as session:
            row = Export(id=new_id("exp"), project_id=P, subnet_id=subnet, format="onnx", precision=precision)
            row.opset, row.batch, row.sha256 = 18, "dynamic", "0" * 64
            row.parity = {"change": {"latency_ms": times, "activation": activation, "device": device}}
            session.add(row)

    assert (asked(), asked(target=target), asked(target=target, precision="fp16")) == ("fp32", "fp32", "fp16")
    record("fp16", {"fp32": 1.0, "fp16": 2.0}, None)
    record("int8", {"fp32": 1.0, "u8": 0.95, "s8": 0.5}, "u8")
    assert asked(target=target) == "fp32", "not clearly faster"
    record("int8", {"fp32": 1.0, "u8": 0.3, "s8": 0.5}, "u8", {**device, "cpu": "another"})
    assert asked(target=target) == "fp32", "measured on another machine"
    record("int8", {"fp32": 1.0, "u8": 0.6, "s8": 0.5}, "u8")
    assert asked(target=target) == "int8", "0.6 and 0.95 have the median 0.775"
    assert (asked(), asked(target=target, format="pt2")) == ("fp32", "fp32")
    assert (
        "target"
        in assert_problem(
            client.post(f"/v1/subnets/{other}/exports", json={"target": "tgt_none"}), 422
        ).detail
    )


# --- trainings ----------------------------------------------------------------------------------------


def test_a_training_is_queued_with_its_whole_recipe(client, database):
    body = {"name": "mine", "data": "digits", "family": "digits", "recipe": "digits", "steps": 20}
    answer = client.post("/v1/trainings", json=body)
    assert answer.status_code == 202, answer.text
    from service.db.tables import Job

    with database.read() as session:
        training = session.get_one(Job, answer.json()["id"]).params["training"]
    assert training["recipe"]["steps"] == 20 and training["family"] == "mobilenet_v3"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"data": "nope"}, "data"),
        ({"data": "folder:../.."}, "data"),
        ({"data": "fashion_mnist"}, "data"),
        ({"family": "nope"}, "family"),
        ({"family": {"family": "nope"}}, "family.family"),
        ({"family": {"family": "mobilenet_v3", "widht": 3}}, "family"),
        ({"recipe": "nope"}, "recipe"),
        ({"recipe": {"steps": 1}}, "recipe"),
        ({"steps": 0}, "steps"),
        ({"name": "../x"}, "name"),
    ],
)
def test_a_training_that_cannot_work_is_refused(settings, change, field):
    from starlette.testclient import TestClient

    from service.app import create_app

    empty = settings.import_dir / "data"
    empty.mkdir()
    app = create_app(settings.model_copy(update={"data": empty}))
    body = {"name": "mine", "data": "digits", "family": "digits", "recipe": "digits"} | change
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        problem = assert_problem(client.post("/v1/trainings", json=body), 422)
    assert problem.errors[0].field.split(".")[0] == field.split(".")[0]


# --- jobs ---------------------------------------------------------------------------------------------


def test_readiness_counts_workers(client, database):
    assert client.get("/readyz").json()["workers"] == 0
    with database.write() as session:
        job_queries.register_worker(session, "wrk_x", "host", 1)
    ready = client.get("/readyz").json()
    assert ready.pop("disk_free_mb") > 0
    assert ready == {
        "status": "ok",
        "database": "sqlite",
        "schema_version": migrate.newest(),
        "workers": 1,
        "disk": "ok",
        "queued_for_s": 0.0,
    }


@pytest.mark.parametrize("place", ["empty.db", "no/such/folder/empty.db"])
def test_a_database_that_was_never_migrated_is_not_ready(settings, tmp_path, place):
    from starlette.testclient import TestClient

    from service.app import create_app

    app = create_app(settings.model_copy(update={"database_url": f"sqlite:///{tmp_path / place}"}))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        assert assert_problem(client.get("/readyz"), 503).detail.endswith("run netwright migrate")
        assert client.get("/healthz").status_code == 200


def test_targets_and_their_rows_belong_to_a_project(client, database, target):
    with database.write() as session:
        from service.db.tables import Project

        session.add(Project(id="prj_other", name="other"))
        session.flush()
        session.get_one(Target, target["id"]).project_id = "prj_other"
    assert_problem(client.get(f"/v1/targets/{target['id']}"), 404)
    assert listed(client, "/v1/targets") == []


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["id", "name", "other case"])
def test_names_are_taken_wherever_ids_are(client, database, supernet, target, by):
    def of(row):
        return {"id": row["id"], "name": row["name"], "other case": f" {row['name'].upper()}"}[by]

    mine, device = of(supernet), of(target)
    assert client.get(f"/v1/supernets/{mine}").json() == supernet
    assert client.get(f"/v1/supernets/{mine}/space").status_code == 200
    assert client.get(f"/v1/targets/{device}").json()["id"] == target["id"]
    measured = client.post(f"/v1/targets/{device}/measurements", json={"supernet": mine, "count": 3})
    evaluated = client.post(f"/v1/supernets/{mine}/evaluations", json={"count": 3})
    with database.read() as session:
        params = session.get_one(Job, measured.json()["id"]).params
        assert (params["supernet"], params["target"]) == (supernet["id"], target["id"])
        assert session.get_one(Job, evaluated.json()["id"]).params["supernet"] == supernet["id"]
    profile = {
        "supernet": mine,
        "targets": [device],
        "constraints": [{"metric": "latency_ms", "max": 1, "target": device}],
    }
    answer = client.post("/v1/searches:profile", json=profile)
    assert answer.status_code == 200, answer.text
    assert {row["body"]["target"] for row in answer.json()["missing"]} == {None, target["id"]}
    fit = {"supernet": mine, "target": device, "metric": "latency_ms"}
    problem = assert_problem(client.post("/v1/predictors", json=fit), 422)
    assert target["id"] in problem.actions[0].path and problem.actions[0].body["supernet"] == supernet["id"]


@pytest.mark.parametrize("path", ["/v1/measurements", "/v1/predictors", "/v1/searches", "/v1/fronts"])
def test_every_list_takes_a_supernet_by_id_or_name(client, supernet, path):
    by_id = client.get(path, params={"supernet": supernet["id"]})
    assert by_id.status_code == 200
    assert client.get(path, params={"supernet": " Digits"}).json() == by_id.json()
    problem = assert_problem(client.get(path, params={"supernet": "digit"}), 422)
    assert problem.errors[0].field == "supernet" and problem.errors[0].allowed == ["digits"]
    assert "the nearest names are 'digits'" in problem.detail


@pytest.mark.parametrize("path", ["/v1/measurements", "/v1/predictors"])
def test_every_list_takes_a_target_by_id_or_name(client, target, path):
    by_id = client.get(path, params={"target": target["id"]})
    assert client.get(path, params={"target": target["name"].upper()}).json() == by_id.json()
    assert assert_problem(client.get(path, params={"target": "nope"}), 422).errors[0].field == "target"


def test_an_unknown_name_in_a_path_is_not_found_and_names_the_nearest(client, supernet):
    problem = assert_problem(client.get("/v1/supernets/digit"), 404)
    assert "the nearest names are 'digits'" in problem.detail


def test_the_priority_of_a_job_is_asked_for_and_changed_until_it_has_ended(client, database, supernet):
    path = f"/v1/supernets/{supernet['id']}/evaluations"
    asked = client.post(path, json={"count": 2, "priority": 7}).json()["job"]["id"]
    usual = client.post(path, json={"count": 2}).json()["job"]["id"]
    assert [row["priority"] for row in listed(client, "/v1/jobs")] == [0, 7]
    with database.read() as session:
        job = session.get_one(Job, asked)
        assert (job.priority, "priority" in job.params) == (7, False)
    answer = client.patch(f"/v1/jobs/{usual}", json={"priority": -100})
    assert (answer.status_code, answer.json()["priority"]) == (200, -100)
    for wrong in ({"priority": 101}, {"priority": 1.5}, {}, {"state": "failed"}):
        assert_problem(client.patch(f"/v1/jobs/{usual}", json=wrong), 422)
    client.post(f"/v1/jobs/{usual}:cancel")
    assert_problem(client.patch(f"/v1/jobs/{usual}", json={"priority": 1}), 409)
