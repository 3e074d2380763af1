"""Imported measurements: what the API refuses at once, and what the job makes of the rest."""

import asyncio
import base64
import io

import numpy as np
import pandas as pd
import pytest

from service.db import queries
from service.db.tables import Job, Measurement, Supernet
from service.errors import JobError
from service.ids import DEFAULT_PROJECT
from service.measurements import import_job as bring
from tests.service.inline_job import InlineContext
from tests.service.test_errors import assert_problem

P = DEFAULT_PROJECT
ROWS = 40


def inline(content):
    return {"content": base64.b64encode(content).decode()}


def csv(table):
    return table.to_csv(index=False).encode()


@pytest.fixture
def family(database, supernet):
    from service.supernets.checkpoints import family_of

    with database.read() as session:
        return family_of(queries.get(session, P, Supernet, supernet["id"]))


@pytest.fixture
def rows(family):
    """A table of digits subnets with a latency of known form."""
    from service.measurements.schemas import Selection
    from service.measurements.selection import choose

    population = choose(family, Selection(count=ROWS), for_latency=False)
    space = family.space()
    table = pd.DataFrame(
        [arch.as_dict() for arch in space.decode(population)], columns=[axis.name for axis in space.axes]
    )
    return table.assign(ms=0.01 + 1e-7 * family.costs(population)["macs"])


@pytest.fixture
def table_target(client):
    answer = client.post(
        "/v1/targets", json={"kind": "table", "name": "mine", "settings": {"device": "Pixel 3"}}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def take(client, database, settings, target, supernet, table, **options):
    """Post rows, run the job; returns what it says of itself."""
    body = {"supernet": supernet["id"], "table": {"latency": "ms", **options}}
    body["table"].setdefault("file", inline(csv(table) if table is not None else b""))
    answer = client.post(f"/v1/targets/{target['id']}/measurements", json=body)
    assert answer.status_code == 202, answer.text
    with database.read() as session:
        job = queries.get(session, P, Job, answer.json()["job"]["id"])
        session.expunge_all()
    asyncio.run(bring.run(InlineContext(database, settings, job.id, job.params)))
    return client.get(f"/v1/jobs/{job.id}").json()


def measurements(database, target):
    with database.read() as session:
        return session.query(Measurement).filter_by(target_id=target["id"]).all()


def test_a_table_target_shows_what_it_is(client, table_target):
    assert table_target["kind"] == "table" and table_target["measurable"] is False
    assert table_target["description"]["device"] == {"name": "Pixel 3"}
    same = client.post(
        "/v1/targets", json={"kind": "table", "name": "mine", "settings": {"device": "Pixel 3"}}
    )
    assert (same.status_code, same.json()["id"]) == (200, table_target["id"])
    bad = client.post("/v1/targets", json={"kind": "table", "settings": {"threads": 1}})
    assert "precision, batch, sequence, device, runtime" in assert_problem(bad, 422).detail


def test_rows_become_measurements_that_a_predictor_can_be_fitted_to(
    client, database, settings, table_target, supernet, family, rows
):
    body = {"supernet": supernet["id"], "target": table_target["id"], "metric": "latency_ms"}
    missing = assert_problem(client.post("/v1/predictors", json=body), 422)
    assert set(missing.actions[0].body) == {"supernet", "table"}, "nothing can be measured there"
    rows.loc[3, "ms"] = -1
    job = take(client, database, settings, table_target, supernet, rows)
    assert (job["result"]["accepted"], job["result"]["refused_count"]) == (ROWS - 1, 1)
    assert job["result"]["refused"][0]["row"] == 4 and job["kind"] == "import"
    found = client.get("/v1/measurements", params={"target": table_target["id"], "page_size": 500}).json()[
        "items"
    ]
    assert len(found) == ROWS - 1
    one = next(row for row in found if row["arch"] == family.space().max().as_dict())
    assert one["value"] == pytest.approx(rows.ms[rows.ms.idxmax()]) and one["details"]["column"] == "ms"
    assert client.get(f"/v1/artifacts/{one['details']['file_sha256']}").content == csv(rows)
    assert client.post("/v1/predictors", json=body).status_code == 202


def test_the_same_file_again_adds_nothing_and_a_second_one_must_agree(
    client, database, settings, table_target, supernet, rows
):
    first = take(client, database, settings, table_target, supernet, rows[:20])
    sha256 = measurements(database, table_target)[0].details["file_sha256"]
    again = take(client, database, settings, table_target, supernet, None, file={"sha256": sha256})
    assert first["result"]["accepted"] == again["result"]["known"] == 20 and again["result"]["accepted"] == 0
    rows.loc[0, "ms"] *= 2
    more = take(client, database, settings, table_target, supernet, rows)
    assert (more["result"]["known"], more["result"]["accepted"]) == (19, ROWS - 20)
    assert more["result"]["refused_by_rule"] == {"contradiction": 1}
    assert len(measurements(database, table_target)) == ROWS


def test_strict_takes_all_or_nothing_and_a_table_of_bad_rows_fails(
    client, database, settings, table_target, supernet, rows
):
    rows.loc[3, "ms"] = float("nan")
    for strict, table in ((True, rows), (False, rows.assign(resolution=999))):
        with pytest.raises(JobError, match="rows are refused") as caught:
            take(client, database, settings, table_target, supernet, table, strict=strict)
        assert caught.value.code == "bad_rows" and "row " in str(caught.value)
    assert measurements(database, table_target) == []
    with database.read() as session:
        results = [job.result for job in session.query(Job).filter_by(kind="import")]
    assert [result["accepted"] for result in results] == [0, 0]


def test_many_rows_are_stored_in_pieces(
    client, database, settings, table_target, supernet, rows, monkeypatch
):
    monkeypatch.setattr(bring, "CHUNK", 15)
    take(client, database, settings, table_target, supernet, rows)
    stored = measurements(database, table_target)
    assert len(stored) == ROWS and {row.step for row in stored} == {"store 0", "store 15", "store 30"}


def test_a_file_comes_inline_by_hash_or_from_the_import_folder_only(
    client, database, settings, table_target, supernet, rows, tmp_path
):
    buffer = io.BytesIO()
    rows.to_parquet(buffer)
    (settings.import_dir / "mine.parquet").write_bytes(buffer.getvalue())
    (tmp_path / "outside.csv").write_bytes(csv(rows))
    (settings.import_dir / "link.csv").symlink_to(tmp_path / "outside.csv")
    job = take(client, database, settings, table_target, supernet, None, file={"path": "mine.parquet"})
    assert job["result"]["accepted"] == ROWS
    for file, field in (
        ({"path": "../outside.csv"}, "table.file.path"),
        ({"path": "/etc/passwd"}, "table.file.path"),
        ({"path": "link.csv"}, "table.file.path"),
        ({"path": "."}, "table.file.path"),
        ({"content": "not base64!"}, "table.file.content"),
        ({"sha256": "0" * 64}, "artifact"),
        ({}, "table.file"),
        ({"path": "mine.parquet", "content": ""}, "table.file"),
    ):
        body = {"supernet": supernet["id"], "table": {"file": file, "latency": "ms"}}
        answer = client.post(f"/v1/targets/{table_target['id']}/measurements", json=body)
        problem = assert_problem(answer, 404 if "sha256" in file else 422)
        assert problem.errors[0].field == field, (file, problem)


def test_what_is_wrong_with_a_request_is_said_before_any_job(
    client, database, table_target, target, supernet, rows
):
    path = f"/v1/targets/{table_target['id']}/measurements"
    good = {"file": inline(csv(rows)), "latency": "ms"}

    def refused(table, path=path, **more):
        return assert_problem(
            client.post(path, json={"supernet": supernet["id"], "table": table, **more}), 422
        )

    assert "resolution" in refused({**good, "latency": "seconds"}).detail  # the columns there are
    assert refused({**good, "file": inline(b"PAR1....")}).code == "bad_table"
    assert refused({**good, "unit": "minutes"}).errors[0].field == "table.unit"
    assert refused({**good, "archs": ["ms", "resolution"]}).code == "bad_table"
    assert "exactly one" in refused(good, count=3).detail
    assert "scale" in refused(good, path=f"/v1/targets/{target['id']}/measurements").detail
    nothing = client.post(path, json={"supernet": supernet["id"], "count": 4})
    assert "nothing can be measured" in assert_problem(nothing, 422).detail
    with database.read() as session:
        assert session.query(Job).count() == 0


# --- spaces of tables --------------------------------------------------------------------------------


@pytest.fixture
def cells():
    """NAS-Bench-201's kind of table: six digits, two devices, MACs in millions; one row is nonsense."""
    rng = np.random.default_rng(0)
    ops = ["".join(map(str, row)) for row in np.unique(rng.integers(0, 5, (80, 6)), axis=0)]
    ops = rng.permutation(ops)[:60].tolist()
    macs = np.array([7.9 + sum((0, 0, 1.5, 13.0, 0.5)[int(op)] for op in row) for row in ops])
    table = pd.DataFrame({"ops": ops, "flops_M": macs, "lat_a": 1 + macs / 10, "lat_b": 3 + macs / 50})
    table.loc[4, "lat_b"] = float("nan")
    table.loc[len(table)] = {"ops": "42x", "flops_M": 1.0, "lat_a": 1.0, "lat_b": 1.0}
    return table


def space_body(table, **options):
    spec = {
        "file": inline(csv(table)),
        "archs": [{"column": "ops"}],
        "macs": {"column": "flops_M", "unit": "M"},
    }
    return {"name": "cells", "table": {**spec, **options}}


def test_a_table_without_a_supernet_defines_a_space_that_can_be_predicted(client, database, settings, cells):
    answer = client.post("/v1/supernets", json=space_body(cells))
    assert answer.status_code == 201, answer.text
    space = answer.json()
    assert (space["source"], space["family"], space["quality"]) == ("table", "table", "none")
    assert space["report"]["cost_errors"]["macs"]["worst"] < 1e-4
    assert client.post("/v1/supernets", json=space_body(cells)).status_code == 200
    axes = client.get(f"/v1/supernets/{space['id']}/space").json()["axes"]
    assert [axis["name"] for axis in axes] == [f"ops{i}" for i in range(6)]

    for name in ("lat_a", "lat_b"):
        device = client.post("/v1/targets", json={"kind": "table", "name": name}).json()
        job = take(client, database, settings, device, space, cells, latency=name)
        bad = {61: "arch", **({5: "value"} if name == "lat_b" else {})}
        assert {each["row"]: each["rule"] for each in job["result"]["refused"]} == bad
        assert job["result"]["accepted"] == 61 - len(bad)
        body = {"supernet": space["id"], "target": device["id"], "metric": "latency_ms"}
        answer = client.post("/v1/predictors", json=body)
        assert answer.status_code == 202, answer.text
        report = fit(database, settings, answer.json()["job"]["id"])
        assert report["n"] == 61 - len(bad) and report["spearman"] > 0.95
    [row, *_] = client.get("/v1/measurements", params={"target": device["id"]}).json()["items"]
    known = client.get(f"/v1/subnets/{row['subnet']}").json()["costs"]
    assert list(known) == ["macs"] and known["macs"] == pytest.approx((row["value"] - 3) * 50e6, rel=1e-4)
    looked = client.post("/v1/searches:profile", json={"supernet": space["id"], "targets": [device["id"]]})
    assert {(each["metric"], each["source"]) for each in looked.json()["metrics"]} == {
        ("macs", "closed_form"), ("latency_ms", "predicted")
    }  # fmt: skip


def fit(database, settings, job_id):
    """Run a fitting job here; returns the predictor's report card."""
    from service.db.tables import Predictor
    from service.predictors import job as job_kind

    with database.read() as session:
        job = queries.get(session, P, Job, job_id)
        session.expunge_all()
    asyncio.run(job_kind.run(InlineContext(database, settings, job.id, job.params)))
    with database.read() as session:
        return queries.get(session, P, Predictor, job.params["predictor"]).report


def test_what_needs_networks_is_refused_for_the_space_of_a_table(client, database, settings, cells, target):
    space = client.post("/v1/supernets", json=space_body(cells)).json()["id"]
    device = client.post("/v1/targets", json={"kind": "table", "name": "a"}).json()
    take(client, database, settings, device, {"id": space}, cells, latency="lat_a")
    subnet = measurements(database, device)[0].subnet_id
    for path, body in (
        (f"/v1/supernets/{space}/evaluations", {"count": 3}),
        (f"/v1/targets/{target['id']}/measurements", {"supernet": space, "count": 3}),
        ("/v1/searches", {"supernet": space, "objectives": ["macs"], "budget": {"evaluations": 4}}),
        (f"/v1/subnets/{subnet}/exports", {}),
    ):
        problem = assert_problem(client.post(path, json=body), 409)
        assert "has no networks" in problem.detail, path
    training = {"name": "t", "data": "digits", "family": {"family": "table"}, "recipe": "digits"}
    assert assert_problem(client.post("/v1/trainings", json=training), 422).errors[0].field == "family.family"
    quality = {"supernet": space, "metric": "accuracy"}
    told = assert_problem(client.post("/v1/predictors", json=quality), 422).detail
    assert "without a quality to predict" in told


def test_columns_that_make_no_space_are_refused(client, supernet, cells):
    def refused(status=422, name="cells", **options):
        body = space_body(cells, **options)
        return assert_problem(client.post("/v1/supernets", json={**body, "name": name}), status)

    assert "flops_M, lat_a" in refused(archs=[{"column": "cell"}]).detail
    assert "depth axis" in refused(archs=[{"column": "ops"}], depth_axis="ops0").detail
    numbered = refused(archs=[{"column": "ops", "read": "value"}])
    assert "every row of 'ops' is different" in numbered.detail
    assert refused(macs={"column": "ops", "unit": "T"}).errors[0].field == "table.macs.unit"
    assert refused(409, name="digits").code == "conflict"
    unnamed = client.post("/v1/supernets", json={"table": space_body(cells)["table"]})
    assert "give a 'name'" in assert_problem(unnamed, 422).detail


# --- searches on a target that cannot measure -----------------------------------------------------------


def test_a_search_on_a_table_takes_its_rows_and_says_what_is_predicted_only(
    client, database, settings, supernet, table_target, measured, rows
):
    from service.search import job as job_kind

    take(client, database, settings, table_target, supernet, rows)
    for body in (
        {"metric": "latency_ms", "target": table_target["id"], "kind": "bayesian_linear"},
        {"metric": "accuracy", "kind": "gaussian_process"},
    ):
        answer = client.post("/v1/predictors", json={"supernet": supernet["id"], **body})
        assert answer.status_code == 202, answer.text
        fit(database, settings, answer.json()["job"]["id"])
    limit = float(rows.ms.quantile(0.7))
    body = {
        "supernet": supernet["id"],
        "targets": [table_target["id"]],
        "constraints": [{"metric": "latency_ms", "max": limit}],
        "budget": {"evaluations": 4},
    }
    answer = client.post("/v1/searches", json=body)
    assert answer.status_code == 202, answer.text
    before = len(measurements(database, table_target))
    with database.read() as session:
        job = queries.get(session, P, Job, answer.json()["job"]["id"])
        session.expunge_all()
    asyncio.run(job_kind.run(InlineContext(database, settings, job.id, job.params)))
    assert len(measurements(database, table_target)) == before, "what was looked up is no new measurement"
    found = client.get(f"/v1/searches/{answer.json()['id']}").json()
    points = client.get(f"/v1/searches/{found['id']}/front").json()["points"]
    assert found["feasible"] and points
    known = {tuple(row["arch"].items()): row["value"] for row in listed(client, table_target)}
    guessed = [point for point in points if not point["measured"]]
    for point in points:
        if point["measured"]:
            [row] = point["measured"]
            assert (
                row["value"] == pytest.approx(known[tuple(point["arch"].items())]) and row["value"] <= limit
            )
            assert row["verdict"] == "imported" and row["protocol_version"] is None
        else:
            [latency] = [each for each in point["predicted"] if each["metric"] == "latency_ms"]
            assert tuple(point["arch"].items()) not in known and latency["high"] <= limit * 1.001
    said = [warning for warning in found["warnings"] if "predicted only" in warning]
    assert guessed and len(said) == 1 and said[0].startswith(f"{len(guessed)} of {len(points)} points")
    picked = client.get(f"/v1/searches/{found['id']}/front", params={"pick": "knee"}).json()["points"]
    assert len(picked) == 1


def listed(client, target):
    answer = client.get("/v1/measurements", params={"target": target["id"], "page_size": 500})
    return answer.json()["items"]


# --- tables of operators --------------------------------------------------------------------------------


def test_a_table_of_operators_becomes_a_predictor_that_is_calibrated_by_whole_nets(
    client, database, settings, supernet, family, table_target, rows
):
    from tests.predictors.toy import operators

    found = operators(family)
    body = {"supernet": supernet["id"], "target": table_target["id"], "metric": "latency_ms"}

    def imported(table, status=202):
        text = "\n".join(f"{name}: {{count: 10, mean: {mean:.9g}}}" for name, mean in table.items())
        answer = client.post("/v1/predictors", json={**body, "import": inline(text.encode())})
        assert answer.status_code == status, answer.text
        return answer

    lacking = {name: mean for name, mean in found.items() if not name.startswith("Logits")}
    problem = assert_problem(imported(lacking, 422), 422)
    assert problem.errors[0].field == "import" and f"1 of {len(found)} are missing: Logits-" in problem.detail
    assert "'mean' above 0" in assert_problem(imported({**found, "Conv": -1.0}, 422), 422).detail

    answer = imported(found)
    report = fit(database, settings, answer.json()["job"]["id"])
    assert report["calibrated"] is False
    shown = client.get(f"/v1/predictors/{answer.json()['id']}").json()
    assert (shown["kind"], shown["rows"]) == ("operator_table", 0) and shown["version"]
    looked = client.post(
        "/v1/searches:profile", json={"supernet": supernet["id"], "targets": [table_target["id"]]}
    )
    [latency] = [each for each in looked.json()["metrics"] if each["metric"] == "latency_ms"]
    assert 0 < latency["smallest"] < latency["largest"]

    take(client, database, settings, table_target, supernet, rows)
    report = fit(database, settings, imported(found).json()["job"]["id"])
    assert report["calibrated"] is True and report["n"] == ROWS and report["spearman"] > 0.9


# --- an import in one step ---------------------------------------------------------------------------


def start_import(client, content, **changes):
    table = {"file": inline(content), "latency": "ms", **changes.pop("table", {})}
    body = {"target": {"name": "pixel", "settings": {"device": "Pixel 3"}}, "table": table, **changes}
    return client.post("/v1/measurements:import", json=body)


def run_import(client, database, settings, answer):
    with database.read() as session:
        job = queries.get(session, P, Job, answer.json()["job"]["id"])
        session.expunge_all()
    asyncio.run(bring.run(InlineContext(database, settings, job.id, job.params)))


def names(client, path):
    return [item["name"] for item in client.get(path).json()["items"]]


def test_an_import_creates_its_target_and_space_with_the_job(client, database, settings, rows):
    table = rows.assign(ops=[f"{i % 3}{i // 3 % 3}{i // 9 % 3}{i % 2}" for i in range(len(rows))])
    content = csv(table[["ops", "ms"]].drop_duplicates("ops"))
    space = {"name": "cells", "archs": [{"column": "ops", "read": "digits"}]}
    answer = start_import(client, content, space=space)
    assert answer.status_code == 202, answer.text
    run_import(client, database, settings, answer)
    assert names(client, "/v1/targets") == ["pixel"] and names(client, "/v1/supernets") == ["cells", "digits"]
    assert measurements(database, {"id": answer.json()["target"]})
    # The same again is the same target and space.
    again = start_import(client, content, space=space).json()
    assert (again["target"], again["supernet"]) == (answer.json()["target"], answer.json()["supernet"])


def test_an_import_that_is_refused_at_once_creates_nothing(client, database, supernet, rows):
    for content, changes in (
        (b"", {}),
        (b"PAR1 and no more", {}),
        (csv(rows), {"table": {"latency": "seconds"}}),
        (csv(rows), {"target": {"name": "pixel", "settings": {"colour": "red"}}}),
        (csv(rows), {"space": {"name": "cells", "archs": [{"column": "nowhere"}]}, "supernet": None}),
    ):
        answer = start_import(client, content, **{"supernet": supernet["id"], **changes})
        assert answer.status_code == 422, answer.text
    assert names(client, "/v1/targets") == [] and names(client, "/v1/supernets") == ["digits"]
    with database.read() as session:
        assert session.query(Job).count() == 0


def test_an_import_of_which_every_row_is_refused_leaves_nothing(client, database, settings, rows):
    table = rows.assign(ops=[f"{i % 3}{i // 3 % 3}" for i in range(len(rows))], ms=True)
    space = {"name": "cells", "archs": [{"column": "ops", "read": "digits"}]}
    answer = start_import(client, csv(table[["ops", "ms"]]), space=space)
    with pytest.raises(JobError, match="must be a number, got str 'True'"):
        run_import(client, database, settings, answer)
    assert names(client, "/v1/targets") == [] and names(client, "/v1/supernets") == ["digits"]
    # What was there before the import stays.
    client.post("/v1/targets", json={"kind": "table", "name": "Pixel", "settings": {"device": "Pixel 3"}})
    answer = start_import(client, csv(table[["ops", "ms"]]), space=space)
    with pytest.raises(JobError, match="rows are refused"):
        run_import(client, database, settings, answer)
    assert names(client, "/v1/targets") == ["Pixel"] and names(client, "/v1/supernets") == ["digits"]
