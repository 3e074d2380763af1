"""The promises of every registered target kind. To register is to be tested: there is no list of kinds here."""

import json
from dataclasses import fields

import pytest

from predictors import TARGETS
from predictors.errors import MeasureError, ProtocolError
from predictors.measuring.protocol import Protocol
from predictors.measuring.references import reference_net
from predictors.targets.target import Target, TargetSettings
from supernets.metrics import LATENCY, names_from

NAMES = tuple(TARGETS)
MEASURABLE = tuple(name for name in NAMES if TARGETS.load(name).measured_by != "none")
every_kind = pytest.mark.parametrize("name", NAMES)
measurable_kinds = pytest.mark.parametrize("name", MEASURABLE)
FAST = Protocol(block_ms=1.0, rounds_max=20, calibration_rounds=20)


def make(name: str, **settings: object) -> Target:
    """A target on this machine, which is a device as good as any other for an agent too."""
    kind = TARGETS.load(name)
    target: Target = kind(kind.settings_type(**settings))
    return target


@every_kind
def test_it_says_who_measures_and_names_its_settings(name):
    kind = TARGETS.load(name)
    assert issubclass(kind, Target) and kind.kind == name
    assert kind.measured_by in ("worker", "agent", "none")
    assert issubclass(kind.settings_type, TargetSettings)
    settings = kind.settings_type()
    assert kind.settings_type(**json.loads(json.dumps(settings.as_json()))) == settings
    # The length of texts is named where it is set: targets from before it keep their settings.
    assert {field.name for field in fields(settings)} - {"sequence"} == set(settings.as_json())
    texts = kind.settings_type(sequence=32)
    assert texts.as_json()["sequence"] == 32 and kind.settings_type(**texts.as_json()) == texts


@every_kind
def test_it_describes_itself_stably(name):
    target = make(name)
    description = target.describe()
    assert {"kind", "device", "runtime", "settings"} <= set(description)
    assert description["kind"] == name and description["runtime"]["version"]
    assert json.loads(json.dumps(description)) == description == make(name).describe()
    assert target.fingerprint == make(name).fingerprint
    assert len(target.fingerprint) == 16
    assert make(name, batch=4).fingerprint != target.fingerprint


@every_kind
def test_its_metrics_are_measured_ones_with_latency_first(name):
    metrics = make(name).metrics()
    assert metrics[0] == LATENCY and set(metrics) <= set(names_from("measured"))


@every_kind
@pytest.mark.parametrize("settings", [{"batch": 0}, {"precision": ""}])
def test_settings_outside_their_range_are_refused(name, settings):
    with pytest.raises(ProtocolError, match=next(iter(settings))):
        make(name, **settings)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MEASURABLE])
def test_where_nobody_measures_a_run_is_refused(name, tmp_path):
    with pytest.raises(MeasureError, match="cannot measure"):
        make(name).run({"net": tmp_path / "net.onnx"}, FAST)


@measurable_kinds
def test_more_threads_than_cores_are_refused(name):
    with pytest.raises(ProtocolError, match="threads"):
        make(name, threads=1000)


@measurable_kinds
def test_it_measures_files_in_order_and_survives_a_bad_one(name, tmp_path):
    target = make(name)
    files = {
        "small": tmp_path / "small.onnx",
        "bad": tmp_path / "bad.onnx",
        "large": tmp_path / "large.onnx",
    }
    files["small"].write_bytes(reference_net("small"))
    files["bad"].write_bytes(b"no net at all")
    files["large"].write_bytes(reference_net("large"))
    seen = []
    run = target.run(files, FAST, progress=lambda *line: seen.append(line))
    assert [row.key for row in run.timings] == list(files) and run.extras == [{}, {}, {}]
    small, bad, large = run.timings
    assert bad.verdict == "unsupported" and bad.latency_ms is None and bad.error
    for row in (small, large):
        assert row.raw_ms["min"] > 0 and row.rounds >= 20
        assert row.statistic and row.protocol_version >= 1
        if row.usable:
            assert row.latency_ms > 0 and row.standard_error_ms >= 0
    assert small.raw_ms["min"] < large.raw_ms["min"]
    assert seen and seen[-1][1] == seen[-1][2]
    again = target.run({"small": files["small"]}, FAST)
    assert again.calibrations == run.calibrations, "one scale"
    for row in (small, large, again.timings[0]):  # the nearest reference may differ between runs
        used = row.reference
        assert used["calibrated_ms"] == run.calibrations[used["name"]].latency_ms


@measurable_kinds
def test_it_measures_every_metric_that_it_names(name, tmp_path):
    net = tmp_path / "net.onnx"
    net.write_bytes(reference_net("small"))
    target = make(name)
    run = target.run({"net": net, "bad": tmp_path / "none.onnx"}, FAST, target.metrics())
    values, nothing = run.extras
    assert nothing == {} and set(values) <= set(target.metrics())
    for value in values.values():
        assert value["value"] > 0 and value["spread"] >= 0 and value["n"] >= 1 and value["statistic"]
