"""What the fitting job makes of rows, and what the API says about predictors; no worker runs."""

import asyncio
import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest

from predictors import PREDICTORS
from service.artifacts import ArtifactStore
from service.db import queries
from service.db.counts import add_measurements
from service.db.tables import Job, Measurement, Predictor, Supernet, Target, Unsupported
from service.ids import DEFAULT_PROJECT, new_id
from service.measurements.models import Measured, SubnetTiming
from service.measurements.queries import count_by_target, measured_rows, scope_of
from service.measurements.rows import Origin, store_timings
from service.measurements.schemas import MeasureParams, Selection
from service.measurements.selection import choose
from service.measuring.choose import chosen
from service.measuring.until import batches, measure_until
from service.predictors import job as fit
from service.predictors import tasks as models
from service.predictors.queries import ENOUGH_ROWS, source_rows, source_targets
from service.predictors.tasks import FitIn
from service.runtime import job_queries
from service.supernets.bench import bench_of, population_of
from service.supernets.checkpoints import family_of
from service.supernets.queries import ensure_subnets, supernets_of_networks, supernets_of_space
from supernets.spaces.space import Arch
from tests.service import test_resources
from tests.service.inline_job import InlineContext
from tests.service.test_errors import assert_problem

P = DEFAULT_PROJECT
fitted = test_resources.fitted  # the fixture: two fitted predictors


def another_target(session, like, name):
    """A copy of a target under another name, as a second device would be."""
    copied = {c.name: getattr(like, c.name) for c in Target.__table__.columns if c.name != "name_key"}
    row = Target(**copied | {"id": new_id("tgt"), "name": name, "fingerprint": name[:16]})
    session.add(row)
    session.flush()
    return row.id


def copy_latencies(session, supernet, source, to, keep, factor=1.0, seed=0):
    """Some rows of one target as another one's, slower by a factor and by what memory traffic costs it."""
    found = measured_rows(session, P, supernet, "latency_ms", scope_of(source))[:keep]
    rng = np.random.default_rng(seed)
    rows = []
    for _, row in found:
        copied = {c.name: getattr(row, c.name) for c in Measurement.__table__.columns}
        noise = 1 + 0.01 * rng.standard_normal()
        changed = {"id": new_id("mea"), "step": to, "target_id": to, "scope": scope_of(to)}
        rows.append(copied | changed | {"value": row.value * factor * noise})
    add_measurements(session, rows)


@pytest.fixture
def job(settings):
    """As much of a running job as reading rows needs."""
    return SimpleNamespace(settings=settings, project=P, id="job_made")


@pytest.fixture
def few_kinds(monkeypatch):
    """Only kinds that take milliseconds; that all are compared is tested in ``tests/predictors``."""
    kinds = ["bayesian_linear", "roofline_proxy", "transfer"]
    monkeypatch.setattr("predictors.choice.kinds_for", lambda _metric: kinds)
    return kinds


@pytest.fixture
def fleet(database, measured, supernet, target):
    """Three more targets with enough rows and one with ten; returns that one's id and the others'."""
    with database.write() as session:
        like = session.get_one(Target, target["id"])
        known = [another_target(session, like, f"known-{index}") for index in range(3)]
        for index, id in enumerate(known):
            copy_latencies(session, supernet["id"], target["id"], id, 60 - index, 1.5 + index, seed=index)
        new = another_target(session, like, "new")
        copy_latencies(session, supernet["id"], target["id"], new, 10, 7.0, seed=9)
    return new, [target["id"], *known]


def fitted_by_task(database, job, supernet, metric, target, kind):
    with database.read() as session:
        row = queries.get(session, P, Supernet, supernet)
        wanted = fit.model_spec(session, job, row, metric, target, kind)
        request = FitIn(bench=bench_of(job.settings, row), models=[wanted], report=True)
    return models.fit(request, lambda *_: None).models[0].model_dump()


def test_targets_of_the_same_space_with_enough_rows_are_known(database, supernet, fleet):
    new, others = fleet
    with database.read() as session:
        row = queries.get(session, P, Supernet, supernet["id"])
        assert set(source_targets(session, P, row, "latency_ms", new)) == set(others)
        assert new not in source_targets(session, P, row, "latency_ms", others[0])
        assert source_targets(session, P, row, "accuracy", None) == []
        found = source_rows(session, P, row, "latency_ms", new)
        assert [each.target for each in found] and all(len(e.values) >= ENOUGH_ROWS for e in found)
        population = population_of(family_of(row), found[0].population)
        assert family_of(row).space().member(population).all()
        # Another project sees none of it.
        assert source_targets(session, "other", row, "latency_ms", new) == []


def test_measurements_of_wider_networks_of_the_same_axes_are_not_mixed_in(database, supernet, fleet):
    new, others = fleet
    with database.write() as session:
        row = queries.get(session, P, Supernet, supernet["id"])
        copied = {c.name: getattr(row, c.name) for c in Supernet.__table__.columns if c.name != "name_key"}
        for name, setting, alike in (("wider", "head_width", False), ("classes", "num_classes", True)):
            config = {**row.manifest["config"], setting: row.manifest["config"][setting] + 8}
            other = Supernet(
                **copied | {"id": new_id("sup"), "name": name, "manifest": {**row.manifest, "config": config}}
            )
            session.add(other)
            session.flush()
            assert other.id in supernets_of_space(session, P, row)
            assert (other.id in supernets_of_networks(session, P, row)) == alike
            assert source_targets(session, P, other, "latency_ms", new) == (
                source_targets(session, P, row, "latency_ms", new) if alike else []
            )


def evaluated_elsewhere(session, like, keep, name="elsewhere", project=P):
    """A copy of a supernet, as trained on other data, with some of its evaluations; returns its id."""
    copied = {c.name: getattr(like, c.name) for c in Supernet.__table__.columns if c.name != "name_key"}
    other = Supernet(**copied | {"id": new_id("sup"), "name": name, "project_id": project})
    session.add(other)
    session.flush()
    rng = np.random.default_rng(3)
    found = measured_rows(session, P, like.id, "accuracy", scope_of(None))[:keep]
    subnets = ensure_subnets(
        session, project, other.id, [(Arch(tuple(arch.items())).id, arch, {}) for arch, _ in found]
    )
    rows = []
    for arch, row in found:
        copied = {c.name: getattr(row, c.name) for c in Measurement.__table__.columns}
        own = {
            "supernet_id": other.id,
            "subnet_id": subnets[Arch(tuple(arch.items())).id],
            "project_id": project,
        }
        value = 0.2 + 0.7 * row.value + 0.003 * rng.standard_normal()
        rows.append(copied | own | {"id": new_id("mea"), "value": value})
    add_measurements(session, rows)
    return other.id


def test_evaluations_by_other_supernets_of_the_space_are_a_prior_of_quality(
    database, job, supernet, measured
):
    with database.write() as session:
        row = queries.get(session, P, Supernet, supernet["id"])
        assert source_rows(session, P, row, "accuracy", None) == []
        other = evaluated_elsewhere(session, row, 40)
        evaluated_elsewhere(session, row, ENOUGH_ROWS - 1, "few")
    with database.read() as session:
        row = queries.get(session, P, Supernet, supernet["id"])
        found = source_rows(session, P, row, "accuracy", None)
        assert [(each.target, len(each.values)) for each in found] == [(other, 40)]
        assert source_rows(session, P, row, "mean_absolute_error", None) == []  # of another metric
    model = fitted_by_task(database, job, supernet["id"], "accuracy", None, "quality_transfer")
    (prior,) = model["report"]["prior"]
    assert model["report"]["known"] == [other] and (prior["supernet"], prior["rows"]) == (other, 40)
    assert 0.5 < prior["weight"] <= 1.0
    plain = fitted_by_task(database, job, supernet["id"], "accuracy", None, "gaussian_process")
    assert plain["report"]["prior"] == plain["report"]["known"] == []


def test_auto_compares_with_known_targets_and_says_why_it_chose(database, job, supernet, fleet, few_kinds):
    new, others = fleet
    model = fitted_by_task(database, job, supernet["id"], "latency_ms", new, "auto")
    choice = model["report"]["choice"]
    assert [each["kind"] for each in choice["candidates"]][0] == model["kind"] == choice["kind"]
    assert {each["kind"] for each in choice["candidates"]} == set(few_kinds)
    assert choice["reason"].startswith(f"{model['kind']}: mean CV interval score") and choice["rows"] == 10
    assert model["report"]["n"] == 10
    informed = fitted_by_task(database, job, supernet["id"], "latency_ms", new, "transfer")
    assert set(informed["report"]["known"]) == set(others)
    assert informed["kind"] == "transfer" and informed["report"]["choice"] is None


def test_a_named_kind_is_fitted_without_comparing(database, job, supernet, target, measured):
    model = fitted_by_task(database, job, supernet["id"], "latency_ms", target["id"], "bayesian_linear")
    assert model["kind"] == "bayesian_linear" and model["report"]["choice"] is None
    assert model["report"]["n"] == model["rows"] == 60


def test_a_card_shows_the_rows_behind_it(database, client, job, supernet, target, measured):
    card = fitted_by_task(database, job, supernet["id"], "accuracy", None, "gaussian_process")["report"]
    assert len(card["points"]) == card["n"] == 60
    worst = card["worst"][0]
    off = [abs(point["predicted"] / point["measured"] - 1) for point in card["points"]]
    assert abs(worst["error"]) == pytest.approx(max(off)) and worst["arch"]["resolution"]
    rows = [step["rows"] for step in card["learning_curve"]]
    assert rows == [12, 24, 48] and card["enough_rows"] in (None, *rows)
    png = ArtifactStore(job.settings.artifacts).read(card["plot"]["sha256"])
    assert png.startswith(b"\x89PNG") and len(png) == card["plot"]["bytes"]
    with database.write() as session:
        session.add(
            Predictor(
                id=new_id("prd"),
                project_id=P,
                supernet_id=supernet["id"],
                metric="accuracy",
                kind="gaussian_process",
                report=card,
            )
        )
    [listed] = client.get("/v1/predictors").json()["items"]
    assert not {"points", "worst", "learning_curve"} & set(listed["report"]) and listed["report"]["plot"]
    assert client.get(f"/v1/predictors/{listed['id']}").json()["report"] == card


def test_two_rows_give_a_predictor_whose_card_says_that_nothing_was_held_out(
    database, job, supernet, fleet, few_kinds
):
    new, _ = fleet
    with database.write() as session:
        few = another_target(session, session.get_one(Target, new), "few")
        copy_latencies(session, supernet["id"], new, few, 2)
    model = fitted_by_task(database, job, supernet["id"], "latency_ms", few, "auto")
    assert model["kind"] == "roofline_proxy" and model["rows"] == 2
    assert model["report"]["n"] == 0 and "held out" in model["report"]["note"]


def test_too_few_rows_name_the_kinds_that_could(client, database, supernet, fleet):
    new, _ = fleet
    with database.write() as session:
        few = another_target(session, session.get_one(Target, new), "few")
        copy_latencies(session, supernet["id"], new, few, 3)
    body = {"supernet": supernet["id"], "target": few, "metric": "latency_ms", "kind": "latency_surface"}
    problem = assert_problem(client.post("/v1/predictors", json=body), 422)
    assert "latency_surface needs 10 subnets" in problem.detail and "there are 3" in problem.detail
    assert "3 are enough for roofline_proxy" in problem.detail
    assert client.post("/v1/predictors", json=body | {"kind": "auto"}).status_code == 202
    with database.read() as session:
        assert session.query(Predictor).one().kind == "auto"


def test_a_metric_that_nobody_measured_says_how_to_measure_it_and_where_that_cannot_be(
    client, database, supernet, target
):
    body = {"supernet": supernet["id"], "target": target["id"], "metric": "energy_mj"}
    with database.write() as session:
        session.get_one(Target, target["id"]).metrics = ["latency_ms", "peak_memory_mb"]
    problem = assert_problem(client.post("/v1/predictors", json=body), 422)
    assert "energy_mj cannot be measured on target" in problem.detail
    assert problem.errors[0].allowed == ["latency_ms", "peak_memory_mb"]
    problem = assert_problem(client.post("/v1/predictors", json=body | {"metric": "peak_memory_mb"}), 422)
    [action] = problem.actions
    assert action.path == f"/v1/targets/{target['id']}/measurements"
    assert action.body["metrics"] == ["latency_ms", "peak_memory_mb"], (
        "followed, it would add what is missing"
    )


@pytest.fixture
def made_job(settings, database):
    def make(**params):
        return InlineContext(database, settings, "job_made", params)

    return make


def population_chosen(database, job, supernet):
    with database.read() as session:
        row = queries.get(session, P, Supernet, supernet)
        session.expunge_all()
    return family_of(row), asyncio.run(chosen(job, job.parameters(MeasureParams), row))


def test_archs_are_chosen_for_information_where_other_targets_are_known(
    database, made_job, supernet, target, fleet
):
    new, _ = fleet
    params = {
        "archs": None,
        "count": 6,
        "seed": 3,
        "metric": "latency_ms",
        "target": new,
        "choose": None,
        "supernet": "x",
    }
    job = made_job(**params)
    family, population = population_chosen(database, job, supernet["id"])
    assert population.shape == (6, family.space().d) and "4 source devices" in job.messages[0]
    with database.read() as session:
        row = queries.get(session, P, Supernet, supernet["id"])
        measured = fit.model_spec(session, job, row, "latency_ms", new, "trees").population
    assert len(measured) == 10 and not {tuple(r) for r in measured} & {tuple(r) for r in population.tolist()}
    # Once recorded it stays, whatever else becomes known meanwhile.
    np.testing.assert_array_equal(population_chosen(database, job, supernet["id"])[1], population)
    spread = population_chosen(database, made_job(**params | {"choose": "spread"}), supernet["id"])[1]
    ends = family.space().encode([family.space().min(), family.space().max()])
    np.testing.assert_array_equal(spread[:2], ends)


def test_what_the_runtime_cannot_run_is_not_chosen_again(database, made_job, supernet, target, fleet):
    new, _ = fleet
    params = {
        "archs": None,
        "count": 5,
        "seed": 3,
        "metric": "latency_ms",
        "target": new,
        "choose": None,
        "supernet": "x",
    }
    family, population = population_chosen(database, made_job(**params), supernet["id"])
    [arch] = family.space().decode(population[:1])
    with database.write() as session:
        made = session.query(Measurement).first()
        [id] = ensure_subnets(session, P, supernet["id"], [(arch.id, arch.as_dict(), {})]).values()
        row = {"id": new_id("uns"), "project_id": P, "supernet_id": supernet["id"], "subnet_id": id}
        row |= {"target_id": new, "job_id": made.job_id, "error": "no such operator"}
        queries.insert_new(session, Unsupported, [row])
    _, again = population_chosen(database, made_job(**params), supernet["id"])
    assert arch.id not in {each.id for each in family.space().decode(again)}


def test_a_space_that_is_almost_all_measured_is_measured_again(
    database, made_job, supernet, target, fleet, monkeypatch
):
    new, _ = fleet
    monkeypatch.setattr(
        "service.measuring.choose._settled", lambda *_: range(10**9)
    )  # more than the space has
    params = {
        "archs": None,
        "count": 3,
        "seed": 0,
        "metric": "latency_ms",
        "target": new,
        "choose": None,
        "supernet": "x",
    }
    job = made_job(**params)
    family, population = population_chosen(database, job, supernet["id"])
    assert len(population) == 3 and job.messages == []


def test_a_first_target_is_measured_over_the_whole_space(database, made_job, supernet, target):
    params = {
        "archs": None,
        "count": 5,
        "seed": 0,
        "metric": "latency_ms",
        "target": target["id"],
        "supernet": "x",
    }
    job = made_job(**params, choose=None)
    family, population = population_chosen(database, job, supernet["id"])
    space = family.space()
    np.testing.assert_array_equal(population[:2], space.encode([space.min(), space.max()]))
    given = [space.max().as_dict()]
    job = made_job(**params | {"archs": given, "count": None}, choose=None)
    np.testing.assert_array_equal(
        population_chosen(database, job, supernet["id"])[1], space.encode([space.max()])
    )


def test_a_way_of_choosing_goes_with_a_count(client, supernet, target):
    path = f"/v1/targets/{target['id']}/measurements"
    space = client.get(f"/v1/supernets/{supernet['id']}/space").json()
    for body in (
        {"archs": [space["largest"]], "choose": "spread"},
        {"count": 3, "choose": "luck"},
    ):
        assert_problem(client.post(path, json={"supernet": supernet["id"], **body}), 422)
    body = {"supernet": supernet["id"], "count": 3, "choose": "information"}
    assert client.post(path, json=body).status_code == 202


# --- stale predictors ----------------------------------------------------------------------------------


def predictor_of(client, id):
    return client.get(f"/v1/predictors/{id}").json()


def test_a_predictor_is_stale_when_much_was_measured_since(client, database, supernet, fitted, monkeypatch):
    assert predictor_of(client, fitted["accuracy"])["stale"] is None
    with database.write() as session:
        session.get_one(Predictor, fitted["accuracy"]).rows = 45  # a third more are known: 60
        session.get_one(Predictor, fitted["latency_ms"]).rows = 52  # 8 more are not worth another fit
    assert "fitted to 45 subnets, and 60" in predictor_of(client, fitted["accuracy"])["stale"]
    kind = PREDICTORS.load(predictor_of(client, fitted["accuracy"])["kind"])
    monkeypatch.setattr(kind, "most_rows", 45)  # it cannot learn from more than it did
    assert predictor_of(client, fitted["accuracy"])["stale"] is None
    assert predictor_of(client, fitted["latency_ms"])["stale"] is None


def test_a_predictor_is_stale_when_its_target_was_refreshed_and_old_rows_no_longer_count(
    client, database, job, supernet, target, fitted
):
    assert client.post(f"/v1/targets/{target['id']}:refresh").status_code == 200
    assert "refreshed" in predictor_of(client, fitted["latency_ms"])["stale"]
    assert predictor_of(client, fitted["accuracy"])["stale"] is None
    body = {"supernet": supernet["id"], "target": target["id"], "metric": "latency_ms"}
    assert "there are 0" in assert_problem(client.post("/v1/predictors", json=body), 422).detail
    with database.read() as session:
        row = queries.get(session, P, Supernet, supernet["id"])
        wanted = fit.model_spec(session, job, row, "latency_ms", target["id"], "bayesian_linear")
        assert wanted.values == []
        assert count_by_target(session, P, [supernet["id"]], "latency_ms") == {}


def test_a_drifted_target_teaches_others_nothing_and_a_search_is_warned(
    client, database, supernet, target, fitted, fleet
):
    new, _ = fleet
    with database.write() as session:
        session.get_one(Target, target["id"]).stale = {"reason": "the runtime has changed", "since": "now"}
        session.get_one(Predictor, fitted["accuracy"]).report = {"n": 0, "calibrated": False}
    with database.read() as session:
        row = queries.get(session, P, Supernet, supernet["id"])
        assert target["id"] not in source_targets(session, P, row, "latency_ms", new)
    body = {
        "supernet": supernet["id"],
        "targets": [target["id"]],
        "constraints": [{"metric": "latency_ms", "max": 1.0}],
        "budget": {"evaluations": 4},
    }
    answer = client.post("/v1/searches", json=body)
    assert answer.status_code == 202, answer.text
    warnings = client.get(f"/v1/searches/{answer.json()['id']}").json()["warnings"]
    assert any("is stale: the runtime has changed" in warning for warning in warnings)
    assert any("is not calibrated" in warning for warning in warnings) and len(warnings) == 2


# --- networks that somebody else trained -------------------------------------------------------------


def network(width, hidden=16, seed=0):
    """An npz file with a network of this many inputs; accuracies near 0.9."""
    rng = np.random.default_rng(seed)
    arrays = {
        "0.weight": rng.standard_normal((hidden, width)) / width,
        "0.bias": np.zeros(hidden),
        "2.weight": 0.05 * rng.standard_normal((1, hidden)),
        "2.bias": np.array([0.9]),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def width_of(client, supernet):
    """Kernel and expansion one-hots and a slot a resolution: none of its resolutions is once-for-all's."""
    axes = client.get(f"/v1/supernets/{supernet['id']}/space").json()["axes"]
    return sum(len(a["choices"]) for a in axes if a["kind"] in ("kernel", "expand", "resolution"))


def test_an_imported_network_is_fitted_to_what_is_evaluated_here(
    client, database, job, settings, supernet, measured
):
    (settings.import_dir / "acc.npz").write_bytes(network(width_of(client, supernet)))
    body = {"supernet": supernet["id"], "metric": "accuracy", "import": {"path": "acc.npz"}}
    answer = client.post("/v1/predictors", json=body)
    assert answer.status_code == 202, answer.text
    made = client.get(f"/v1/predictors/{answer.json()['id']}").json()
    assert (made["kind"], made["state"], made["version"]) == ("imported_mlp", "queued", None)
    with database.read() as session:
        base = session.get_one(Job, answer.json()["job"]["id"]).params["base"]
        row = queries.get(session, P, Supernet, supernet["id"])
        wanted = fit.model_spec(session, job, row, "accuracy", None, "imported_mlp", base)
        request = FitIn(bench=bench_of(job.settings, row), models=[wanted], report=True)
    first = models.fit(request, lambda *_: None).models[0]
    assert first.rows == first.report["n"] == 60 and first.report["calibrated"]
    # A search fits the fitted one again: the network in it is still the imported one.
    again = wanted.model_copy(update={"base": first.version})
    refitted = models.fit(request.model_copy(update={"models": [again]}), lambda *_: None).models[0]
    assert refitted.version == first.version


def test_without_evaluated_subnets_its_card_says_that_it_is_not_calibrated(
    client, database, job, settings, supernet
):
    content = base64.b64encode(network(width_of(client, supernet))).decode()
    body = {"supernet": supernet["id"], "metric": "accuracy", "import": {"content": content}}
    answer = client.post("/v1/predictors", json=body)
    assert answer.status_code == 202, answer.text
    with database.read() as session:
        base = session.get_one(Job, answer.json()["job"]["id"]).params["base"]
        row = queries.get(session, P, Supernet, supernet["id"])
        wanted = fit.model_spec(session, job, row, "accuracy", None, "imported_mlp", base)
        request = FitIn(bench=bench_of(job.settings, row), models=[wanted], report=True)
    model = models.fit(request, lambda *_: None).models[0].model_dump()
    assert model["rows"] == model["report"]["n"] == 0 and model["report"]["calibrated"] is False
    assert "uncalibrated" in model["report"]["note"]


def test_networks_that_do_not_fit_are_refused_with_both_sides(client, settings, supernet, target):
    width = width_of(client, supernet)
    files = {"wide.npz": network(width + 1), "fits.npz": network(width), "text.npz": b"no network"}
    for name, content in files.items():
        (settings.import_dir / name).write_bytes(content)
    body = {"supernet": supernet["id"], "metric": "accuracy"}
    for change, field, words in (
        ({"import": {"path": "wide.npz"}}, "import", [f"(any, {width})", f"(16, {width + 1})"]),
        ({"import": {"path": "text.npz"}}, "import", ["import"]),
        ({"import": {"path": "../wide.npz"}}, "import.path", ["NETWRIGHT_IMPORT_DIR"]),
        ({"import": {"path": "fits.npz"}, "kind": "trees"}, "kind", ["imported_mlp"]),
        (
            {"import": {"path": "fits.npz"}, "metric": "latency_ms", "target": target["id"]},
            "import",
            ["table of operators"],
        ),
        ({"kind": "imported_mlp"}, "kind", ["auto"]),
    ):
        problem = assert_problem(client.post("/v1/predictors", json=body | change), 422)
        assert problem.errors[0].field == field, problem
        assert all(word in problem.detail for word in words), problem.detail


# --- measuring until it is good enough -----------------------------------------------------------------


def test_batches_grow_and_cover_everything_once():
    for count in (1, 9, 10, 11, 60, 500):
        found = batches(count)
        assert found[0][0] == 0 and found[-1][1] == count
        assert [stop for _, stop in found[:-1]] == [start for start, _ in found[1:]]
        assert all(0 < stop - start for start, stop in found) and len(found) <= 20
    assert batches(30) == [(0, 10), (10, 15), (15, 20), (20, 25), (25, 30)]


def measured_until(database, made_job, supernet, target, population, below, noise):
    """Run the loop with a machine whose latencies are made up; returns the job's result and what was measured."""
    with database.read() as session:
        row = queries.get(session, P, Supernet, supernet)
        session.expunge_all()
    family = family_of(row)
    job = made_job(
        metric="latency_ms",
        target=target,
        supernet=supernet,
        seed=0,
        until={"metric": "mape", "below": below},
        count=len(population),
    )
    params = job.parameters(MeasureParams)
    rng, steps, done = np.random.default_rng(0), [], {}

    async def part(step, rows):
        if step in done:
            return done[step]
        steps.append((step, len(rows)))
        values = 0.01 + 1e-7 * family.costs(rows)["macs"]
        values = values * (1 + noise * rng.standard_normal(len(rows)))
        with database.write() as session:
            made = session.query(Job).first() or job_queries.create_job(session, P, "measure", {})
            job.id = made.id
            timings = [
                SubnetTiming(
                    latency_ms=float(value),
                    standard_error_ms=0.001,
                    rounds=20,
                    statistic="made",
                    protocol_version="1",
                    verdict="good",
                    raw_n=1,
                    sha256="",
                )
                for value in values
            ]
            result = Measured(timings=timings, precision="fp32", calibrations={})
            store_timings(session, Origin(job, row, step), target, rows, result)
        return done.setdefault(step, timings)

    def run():
        return asyncio.run(measure_until(job, params, params.until, row, population, part))

    return job, run, steps


@pytest.fixture
def until(database, made_job, supernet, target):
    with database.read() as session:
        family = family_of(queries.get(session, P, Supernet, supernet["id"]))
    population = choose(family, Selection(count=40), for_latency=True)

    def start(below, noise):
        return measured_until(database, made_job, supernet["id"], target["id"], population, below, noise)

    return start


def test_measuring_stops_when_a_predictor_is_good_enough(until, database):
    job, run, steps = until(0.1, 0.01)
    result = run()
    outcome = job.records["result"]
    assert outcome["reached"] and outcome["mape"] + outcome["standard_error"] < 0.1
    assert outcome["measured"] == len(result) == sum(size for _, size in steps) < 40
    assert steps[0] == ("measure 0", 10) and "has an error of" in job.outcome and "good enough" in job.outcome
    with database.read() as session:
        assert session.get_one(Job, job.id).result["reached"] is True
    # Taken over by another worker, it measures nothing twice.
    before = list(steps)
    assert run() == result and steps == before


def test_measuring_ends_at_the_count_where_noise_forbids_to_be_good_enough(until):
    job, run, steps = until(0.001, 0.2)
    assert len(run()) == 40 == sum(size for _, size in steps)
    assert job.records["result"]["reached"] is False and job.outcome.startswith("not good enough")


def test_a_limit_goes_with_a_count_and_is_a_share(client, supernet, target):
    path = f"/v1/targets/{target['id']}/measurements"
    largest = client.get(f"/v1/supernets/{supernet['id']}/space").json()["largest"]
    for body in (
        {"archs": [largest], "until": {"below": 0.03}},
        {"count": 50, "until": {"below": 3}},
        {"count": 50, "until": {"below": 0.03, "metric": "luck"}},
    ):
        assert_problem(client.post(path, json={"supernet": supernet["id"], **body}), 422)
    body = {"supernet": supernet["id"], "count": 50, "until": {"below": 0.03}}
    answer = client.post(path, json=body)
    assert client.get(answer.headers["location"]).json()["kind"] == "measure"
