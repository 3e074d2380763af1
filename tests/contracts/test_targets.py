"""What every registered target kind promises. To register is to be tested.

A kind that needs a device of its own skips visibly where there is none.
"""

import json

import pytest

from predictors import TARGETS
from predictors.errors import MeasureError
from predictors.measuring.protocol import Protocol
from predictors.measuring.references import reference_net
from predictors.measuring.runtime import Settings
from predictors.targets.table import TableSettings
from predictors.targets.target import Target

NAMES = tuple(TARGETS)
pytestmark = pytest.mark.parametrize("name", NAMES)
FAST = Protocol(block_ms=1.0, rounds_max=20, calibration_rounds=20)
MAKERS = {
    # This machine is a device as good as any: the agent measures by this class wherever it runs.
    "agent": lambda **settings: TARGETS.load("agent")(Settings(**settings)),
    "cpu": lambda **settings: TARGETS.load("cpu")(Settings(**settings)),
    "table": lambda **settings: TARGETS.load("table")(TableSettings(**settings)),
}
IMPOSSIBLE = {"agent": {"threads": 1000}, "cpu": {"threads": 1000}, "table": {"batch": 0}}


def make(name, **settings):
    if name not in MAKERS:
        pytest.skip(f"no {name} device here")
    return MAKERS[name](**settings)


def test_it_describes_itself_stably(name):
    target = make(name)
    assert isinstance(target, Target)
    assert target.kind == name and target.unit == "ms"
    description = target.describe()
    assert {"kind", "device", "runtime", "settings"} <= set(description)
    assert description["runtime"]["version"]
    assert json.loads(json.dumps(description)) == description == make(name).describe()
    assert target.fingerprint == make(name).fingerprint
    assert len(target.fingerprint) == 16
    assert make(name, batch=4).fingerprint != target.fingerprint


def test_it_measures_files_in_order_and_survives_a_bad_one(name, tmp_path):
    target = make(name)
    if not target.measurable:
        with pytest.raises(MeasureError, match="cannot measure"):
            target.measure({"net": tmp_path / "net.onnx"}, FAST)
        return
    files = {
        "small": tmp_path / "small.onnx",
        "bad": tmp_path / "bad.onnx",
        "large": tmp_path / "medium.onnx",
    }
    files["small"].write_bytes(reference_net("small"))
    files["bad"].write_bytes(b"no net at all")
    files["large"].write_bytes(reference_net("medium"))
    seen = []
    rows = target.measure(files, FAST, lambda *line: seen.append(line))
    assert [row.key for row in rows] == list(files)
    small, bad, large = rows
    assert bad.verdict == "unsupported" and bad.latency_ms is None and bad.error
    for row in (small, large):
        assert row.raw_ms["min"] > 0 and row.rounds >= 20
        assert row.statistic and row.protocol_version >= 1
        if row.usable:
            assert row.latency_ms > 0 and row.standard_error_ms >= 0
    assert small.raw_ms["min"] < large.raw_ms["min"]
    assert seen and seen[-1][1] == seen[-1][2]
    again = target.measure({"small": files["small"]}, FAST)
    assert again[0].reference["calibrated_ms"] == small.reference["calibrated_ms"], "one target, one scale"


def test_settings_that_this_device_has_not_are_refused(name):
    [(setting, value)] = IMPOSSIBLE[name].items()
    with pytest.raises(ValueError, match=setting):
        make(name, **{setting: value})
