"""Judging by true values, and fronts as they are handed out."""

import io
import json

import numpy as np
import pyarrow.parquet
import pytest

from search.constraints import Constraint
from service.db.tables import Search, Supernet
from service.ids import DEFAULT_PROJECT, new_id
from service.measurements.models import Quality, SubnetTiming
from service.search.fronts.best import store_points
from service.search.fronts.views import as_csv, pick, thin, true_value, within
from service.search.request.plan import Plan, PlannedObjective
from service.search.request.schemas import FrontPoint
from service.search.rounds.budget import round_sizes
from service.search.rounds.history import SearchHistory
from service.search.rounds.judge import MOST_CONFIRMED, candidates, judge, shifted
from tests.service.test_errors import assert_problem

P = DEFAULT_PROJECT
PLAN = Plan(
    scope="shared",
    objectives=[
        PlannedObjective(metric="accuracy", targets=None),
        PlannedObjective(metric="latency_ms", targets=["tgt_a"]),
    ],
    constraints=[Constraint("latency_ms", "tgt_a", max=10.0)],
    restrict={},
    confidence=0.95,
)


def history_of(values):
    """A history with (accuracy, latency) of each arch, seen in one round."""
    history = SearchHistory("accuracy", ["tgt_a"], lambda population: {"macs": np.ones(len(population))})
    rows = [[index] for index in range(len(values))]
    history.add(rows, [[] for _ in rows])
    history.set_quality([evaluated(accuracy) for accuracy, _ in values])
    history.set_timings("tgt_a", rows, [timing(latency) for _, latency in values], confirmed=False)
    return history


def evaluated(value):
    hashes = {"split_sha256": None, "stats_sha256": None}
    return Quality(
        metric="accuracy",
        value=value,
        standard_error=0.01,
        n=1,
        split="validation",
        precision="fp32",
        **hashes,
    )


def timing(latency, verdict="good"):
    return SubnetTiming(latency_ms=latency, verdict=verdict, statistic="made")


def confirm(history, latencies):
    rows = [history.rows[index] for index in latencies]
    history.set_timings("tgt_a", rows, [timing(value) for value in latencies.values()], confirmed=True)


@pytest.mark.parametrize("budget", [1, 7, 8, 9, 24, 64, 100, 10_000])
def test_rounds_spend_exactly_the_budget(budget):
    sizes = round_sizes(budget)
    assert sum(sizes) == budget and min(sizes) >= 1 and max(sizes) - min(sizes) <= 1


def test_only_the_confirmation_decides_what_is_feasible():
    history = history_of([(0.9, 9.9), (0.8, 5.0), (0.95, 10.2)])
    rows = candidates([PLAN], history, wide=False)
    assert rows == [[0], [1], [2]]  # also the one just over the limit: its first measurement may be wrong
    confirm(history, {0: 10.1, 1: 5.0, 2: 9.9})
    found = judge(PLAN, history.values(confirmed=True))
    assert found.front == [2, 1] and found.nearest is None


def test_what_was_not_confirmed_is_never_returned():
    history = history_of([(0.9, 9.0), (0.8, 5.0)])
    confirm(history, {1: 5.0})
    assert judge(PLAN, history.values(confirmed=True)).front == [1]


def test_a_refused_confirmation_is_not_feasible():
    history = history_of([(0.9, 9.0), (0.8, 5.0)])
    history.set_timings("tgt_a", [[0], [1]], [timing(None, "refused"), timing(5.0)], confirmed=True)
    found = judge(PLAN, history.values(confirmed=True))
    assert found.front == [1] and found.unusable == 1


def test_nothing_feasible_gives_the_nearest_and_by_how_much():
    history = history_of([(0.9, 30.0), (0.8, 12.0), (0.99, 50.0)])
    assert candidates([PLAN], history, wide=False) == [[0], [1], [2]]
    confirm(history, {0: 30.0, 1: 12.0, 2: 50.0})
    found = judge(PLAN, history.values(confirmed=True))
    assert found.front == [] and found.nearest == 1
    assert found.misses[0].value == 12.0 and found.misses[0].excess == pytest.approx(0.2)


def test_a_second_choice_is_what_was_not_confirmed_yet():
    history = history_of([(0.9, 9.9), (0.8, 5.0), (0.85, 9.0), (0.7, 8.0)])
    confirm(history, {0: 11.0, 1: 11.0, 2: 11.0})
    assert candidates([PLAN], history, wide=True) == [[3]]
    confirm(history, {3: 8.0})
    assert candidates([PLAN], history, wide=True) == []
    assert judge(PLAN, history.values(confirmed=True)).front == [3]


def test_a_long_front_is_thinned_before_it_is_confirmed():
    history = history_of([(0.5 + 0.005 * index, 0.1 * (index + 1)) for index in range(90)])
    rows = candidates([PLAN], history, wide=False)
    assert len(rows) == MOST_CONFIRMED
    assert [0] in rows and [89] in rows


def test_shifting_a_limit_leaves_fractions_alone():
    from search.constraints import Constraint

    assert shifted(Constraint("latency_ms", "t", None, 10.0), 1.05).max == 10.5
    assert shifted(Constraint("macs", None, 100.0, None), 1.05).min == pytest.approx(100 / 1.05)
    assert shifted(Constraint("accuracy", None, 0.9, None), 1.05).min == 0.9


# --- handing out -------------------------------------------------------------------------------------


def point(number, accuracy, latency, search="sea_1", target="tgt_a", feasible=True):
    return FrontPoint.model_validate(
        {
            "subnet": f"sub_{number}",
            "search": search,
            "target": None,
            "arch": {"depth": number},
            "feasible": feasible,
            "violations": [],
            "predicted": [
                {
                    "metric": "latency_ms",
                    "target": target,
                    "mean": latency,
                    "low": latency * 0.9,
                    "high": latency * 1.1,
                    "predictor": "prd_1",
                    "version": "v",
                }
            ],
            "measured": [
                {
                    "metric": "latency_ms",
                    "target": target,
                    "value": latency,
                    "spread": 0.01,
                    "n": 20,
                    "statistic": "median",
                    "protocol_version": "1",
                    "verdict": "good",
                    "raw": {"p50": latency * 2, "p90": latency * 3},
                }
            ],
            "quality": quality(accuracy - 0.01, "test"),
            "validation": quality(accuracy, "validation"),
            "costs": {"params": 1.0, "macs": float(number), "activation_mb": 1.0, "size_mb": 1.0},
        }
    )


def quality(value, split):
    return {
        "metric": "accuracy",
        "value": value,
        "standard_error": 0.01,
        "n": 360,
        "split": split,
        "precision": "fp32",
    }


POINTS = [point(n, 0.5 + 0.1 * (1 - np.exp(-n / 5)), 1.0 + n) for n in range(20)][::-1]
OBJECTIVES = ["accuracy", "latency_ms"]


def test_fronts_are_thinned_to_well_spread_points_in_the_same_order():
    some = thin(POINTS, OBJECTIVES, 5)
    assert len(some) == 5 and some[0] == POINTS[0] and some[-1] == POINTS[-1]
    assert [POINTS.index(each) for each in some] == sorted(POINTS.index(each) for each in some)
    assert thin(POINTS, OBJECTIVES, 50) == POINTS


def test_picks_come_with_their_reason_and_leave_the_points_as_they_are():
    best, note = pick(POINTS, OBJECTIVES, "best", 2)
    assert [each.subnet for each in best] == ["sub_19", "sub_18"] and note is None
    assert best[0].reason.startswith("highest accuracy") and POINTS[0].reason is None
    [knee], _ = pick(POINTS, OBJECTIVES, "knee")
    assert knee.subnet not in ("sub_0", "sub_19") and knee.reason.startswith("knee: past it a further")
    assert knee in pick(POINTS, OBJECTIVES, "knee", k=4)[0]
    [under], _ = pick(POINTS, OBJECTIVES, "best", limits=[Constraint("latency_ms", max=7.5)])
    assert under.subnet == "sub_6" and "needs latency_ms 8" in under.reason
    assert pick([], OBJECTIVES, "knee", 3) == (
        [],
        "the front is empty: no subnet met the limits of its search",
    )


def test_each_front_of_several_targets_is_picked_from_apart():
    fronts = [each.model_copy(update={"target": "tgt_a"}) for each in POINTS]
    fronts += [point(n, 0.4 + 0.01 * n, 5.0 + n, target="tgt_2").model_copy(update={"target": "tgt_2"})
               for n in range(3)]  # fmt: skip
    limits = [Constraint("latency_ms", max=6.5)]
    found, note = pick(fronts, OBJECTIVES, "best", limits=limits)
    assert [(each.target, each.subnet) for each in found] == [("tgt_a", "sub_5"), ("tgt_2", "sub_1")]
    assert found[0].reason.startswith("on target tgt_a: highest") and note is None
    found, note = pick(fronts, OBJECTIVES, "best", limits=[Constraint("latency_ms", max=4.5)])
    assert [each.target for each in found] == ["tgt_a"] and note.startswith("on target tgt_2: no point")


def test_a_shared_front_counts_the_worst_target_or_the_one_named():
    both = POINTS[0].model_copy(deep=True)
    both.measured.append(both.measured[0].model_copy(update={"target": "tgt_2", "value": 50.0}))
    limits = [Constraint("latency_ms", max=30.0)]
    assert within([both], limits) == [] and within([both], limits, "tgt_a") == [both]
    assert true_value(both, "latency_ms") == 50.0 and np.isnan(true_value(both, "energy_mj"))


def test_a_front_is_chosen_on_validation_and_never_on_test():
    assert true_value(POINTS[0], "accuracy") == POINTS[0].validation.value


@pytest.fixture
def stored(client, database, supernet, target, measured):
    """Two searches with fronts on the test's own points."""
    ids = list(measured.values())
    with database.write() as session:
        searches = []
        for _ in range(2):
            spec = {
                "supernet": supernet["id"],
                "targets": [target["id"]],
                "front": "shared",
                "objectives": OBJECTIVES,
                "constraints": [],
                "restrict": {},
                "confidence": 0.95,
                "budget": {"evaluations": 4, "seconds": None},
                "predictors": [],
                "algorithm": "nsga2",
                "stall": {"evaluations": None, "gain": 0.001},
                "seed": 0,
                "labels": {},
            }
            search = Search(id=new_id("sea"), project_id=P, supernet_id=supernet["id"], spec=spec)
            session.add(search)
            searches.append(search.id)
        session.flush()
        rows = []
        for number, search in enumerate(searches):
            for rank, index in enumerate(range(number * 10, number * 10 + 10)):
                body = point(index, POINTS[index].validation.value, 20.0 - index, search, target["id"])
                body.subnet = ids[index]
                rows.append(
                    {
                        "id": new_id("pnt"),
                        "project_id": P,
                        "search_id": search,
                        "supernet_id": supernet["id"],
                        "subnet_id": ids[index],
                        "scope": "shared",
                        "rank": rank,
                        "body": body.model_dump(mode="json"),
                    }
                )
        store_points(session, session.get_one(Supernet, supernet["id"]), rows)
    return searches


def test_a_front_comes_as_json_csv_and_parquet(client, stored):
    path = f"/v1/searches/{stored[0]}/front"
    front = client.get(path).json()
    assert (front["total"], len(front["points"]), front["objectives"]) == (10, 10, OBJECTIVES)
    for parameters, headers in (({"format": "csv"}, {}), ({}, {"accept": "text/csv"})):
        answer = client.get(path, params=parameters, headers=headers)
        assert answer.headers["content-type"].startswith("text/csv")
        lines = answer.text.splitlines()
        assert len(lines) == 11 and lines[0].startswith("subnet,search,feasible,accuracy,")
    answer = client.get(path, params={"format": "parquet"})
    table = pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pylist()
    assert [row["subnet"] for row in table] == [each["subnet"] for each in front["points"]]
    assert json.loads(table[0]["arch"]) == front["points"][0]["arch"]
    assert len(client.get(path, params={"max_points": 3}).json()["points"]) == 3
    assert as_csv([], {}) == b"subnet\r\n"


def test_a_front_is_picked_from_under_limits(client, stored, target):
    path = f"/v1/searches/{stored[0]}/front"
    front = client.get(path).json()["points"]
    latencies = [each["measured"][0]["value"] for each in front]
    best = client.get(path, params={"pick": "best", "max_latency_ms": latencies[3]}).json()
    assert (best["pick"], best["total"], best["note"]) == ("best", 7, None)
    [first] = best["points"]
    assert first["subnet"] == front[3]["subnet"] and "of 7 points with latency_ms <=" in first["reason"]
    assert {**first, "reason": None} == front[3]
    some = client.get(path, params={"pick": "buckets", "k": 3, "by": "macs"}).json()["points"]
    assert 1 <= len(some) <= 3 and "macs from" in some[0]["reason"]
    many = client.get(path, params={"pick": "spread", "k": 50, "target": target["id"]}).json()
    assert len(many["points"]) == many["total"] == 10
    none = client.get(path, params={"pick": "knee", "max_latency_ms": 1e-6}).json()
    assert none["points"] == [] and none["note"].startswith("no point of the front meets latency_ms <= 1e-06")
    unpicked = client.get(path, params={"min_accuracy": 0.999}).json()
    assert unpicked["points"] == [] and unpicked["total"] == 0
    table = client.get(path, params={"pick": "knee", "format": "csv"}).text.splitlines()
    assert len(table) == 2 and "reason" in table[0].split(",")


def test_picks_that_make_no_sense_are_refused(client, stored):
    path = f"/v1/searches/{stored[0]}/front"
    for parameters, field in (
        ({"pick": "lucky"}, "pick"),
        ({"pick": "best", "k": 0}, "k"),
        ({"pick": "buckets", "by": "accuracy"}, "by"),
        ({"pick": "buckets", "by": "beauty"}, "by"),
        ({"target": "tgt_x"}, "target"),
        ({"max_latency_ms": "nan"}, "max_latency_ms"),
        ({"min_accuracy": 95}, "min_accuracy"),
        ({"max_latncy_ms": 18}, "max_latncy_ms"),
    ):
        answer = client.get(path, params=parameters)
        assert assert_problem(answer, 422).errors[0].field == field, (parameters, answer.text)


def test_everything_stored_gives_one_front_under_limits(client, stored, supernet, target):
    where = {"supernet": supernet["id"], "target": target["id"]}
    whole = client.get("/v1/fronts", params=where).json()
    assert {each["search"] for each in whole["points"]} == set(stored) and whole["search"] is None
    limit = 10.0
    some = client.get("/v1/fronts", params=where | {"max_latency_ms": limit}).json()["points"]
    assert some and all(each["measured"][0]["value"] <= limit for each in some)
    none = client.get("/v1/fronts", params=where | {"min_accuracy": 0.99}).json()
    assert none["points"] == [] and none["total"] == 0
    [best] = client.get("/v1/fronts", params=where | {"pick": "best", "max_latency_ms": limit}).json()[
        "points"
    ]
    assert best["subnet"] == some[0]["subnet"] and "needs latency_ms 11" in best["reason"]
    assert client.get("/v1/fronts", params=where | {"max_latency_ms": -1}).status_code == 422
    assert client.get("/v1/fronts", params={"supernet": "sup_x"}).status_code == 422


def test_points_whose_quality_cannot_be_told_apart_are_named():
    from types import SimpleNamespace

    from service.search.fronts.views import MAX_CLOSE, close_to, with_noise
    from service.search.request.schemas import FrontPoint

    def point(subnet, value, target="a"):
        quality = SimpleNamespace(metric="accuracy", value=value, standard_error=0.01, n=360)
        return FrontPoint.model_construct(subnet=subnet, target=target, validation=quality)

    points = [point("n1", 0.90), point("n2", 0.91), point("n3", 0.99), point("n4", 0.90, "b")]
    assert close_to(points, [1, 3]) == [["n1"], []]
    named, note = with_noise(points)
    assert [each.within_noise for each in named] == [["n2"], ["n1"], [], []]
    assert note.startswith("2 of 4 points") and "360 validation examples" in note
    apart, note = with_noise([point("n1", 0.5), point("n2", 0.9)])
    assert [each.within_noise for each in apart] == [[], []] and note is None
    assert with_noise([]) == ([], None)
    crowd, _ = with_noise([point(f"n{k}", 0.9) for k in range(MAX_CLOSE + 5)])
    assert {len(each.within_noise) for each in crowd} == {MAX_CLOSE}
