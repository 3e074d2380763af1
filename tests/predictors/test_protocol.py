import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.errors import MeasureError, ProtocolError
from predictors.measuring.protocol import (
    Calibration,
    Protocol,
    Timing,
    calibrate,
    low,
    nearest_reference,
    relative_error,
    time_interleaved,
)
from tests.predictors.toy import FlippingCore

STRICT = Protocol(enough_error=0.001, refuse_error=0.005)
REFERENCES = {"small": 0.3, "large": 3.0}


def run(core, nets, protocol=None, calibrations=None, progress=None):
    references = {name: core.block(name, latency) for name, latency in REFERENCES.items()}
    known = calibrations or {
        name: Calibration(name, "hash", latency, 20) for name, latency in REFERENCES.items()
    }
    blocks = {key: core.block(key, latency) for key, latency in nets.items()}
    return time_interleaved(blocks, references, known, protocol or Protocol(), progress)


def test_a_core_that_flips_between_two_speeds_does_not_move_the_latency():
    nets = {"a": 0.2, "b": 0.5, "c": 2.0}
    for seed in range(3):
        timings = run(FlippingCore(seed=seed), nets)
        for timing in timings:
            assert timing.verdict in ("good", "noisy")
            assert timing.latency_ms == pytest.approx(nets[timing.key], rel=0.03)
        # The raw median is what the flipping moves: that is why the ratio is taken.
        assert max(t.raw_ms["p50"] / nets[t.key] for t in timings) > 1.0


def test_a_quiet_core_is_known_after_the_fewest_rounds_and_good():
    (timing,) = run(FlippingCore(slowdown=1.0), {"a": 0.2})
    assert (timing.verdict, timing.rounds, timing.error) == ("good", 20, None)
    assert timing.standard_error_ms <= 0.01 * timing.latency_ms
    assert timing.raw_ms["min"] <= timing.raw_ms["p50"] <= timing.raw_ms["p90"]
    assert timing.reference["near_share"] == 1.0


def test_every_net_is_timed_next_to_its_reference_in_every_round():
    core = FlippingCore(slowdown=1.0)
    run(core, {"a": 0.2, "b": 0.3, "c": 0.4, "d": 2.0}, Protocol(rounds_max=20))
    pilots, rounds = core.calls[:4], core.calls[4:]
    assert sorted(pilots) == ["a", "b", "c", "d"]
    per_round = len(rounds) // 20
    assert per_round == 4 + 2 + 1  # four nets, two blocks of the small reference, one of the large
    orders = set()
    for start in range(0, len(rounds), per_round):
        calls = rounds[start : start + per_round]
        assert sorted(name for name in calls if name not in REFERENCES) == ["a", "b", "c", "d"]
        for position, name in enumerate(calls):
            if name not in REFERENCES:
                own = "large" if name == "d" else "small"
                assert own in calls[max(position - 1, 0) : position + 2]
        orders.add(tuple(calls))
    assert len(orders) > 5


def test_a_constantly_slower_machine_is_contended_but_corrected():
    core = FlippingCore(slowdown=1.0)
    slower = {name: Calibration(name, "hash", latency / 1.5, 20) for name, latency in REFERENCES.items()}
    (timing,) = run(core, {"a": 0.3}, calibrations=slower)
    assert timing.verdict == "contended"
    assert timing.reference["near_share"] == 0
    assert timing.reference["drift"] == pytest.approx(1.5, rel=0.02)
    assert timing.latency_ms == pytest.approx(0.2, rel=0.02)


def test_what_stays_uncertain_is_noisy_and_then_refused():
    (noisy,) = run(FlippingCore(slowdown=1.0, jitter=0.2), {"a": 6.0}, Protocol(enough_error=0.001))
    assert noisy.verdict == "noisy" and noisy.rounds == 60 and noisy.usable
    (refused,) = run(FlippingCore(slowdown=1.0, jitter=1.0), {"a": 6.0}, STRICT)
    assert refused.verdict == "refused" and refused.latency_ms is None and not refused.usable
    assert "at most 0.5%" in refused.error and refused.rounds == 3 * STRICT.rounds_max


def test_what_would_be_refused_is_measured_longer_and_the_others_are_not():
    seen = []
    core, quiet = FlippingCore(slowdown=1.0, jitter=0.4), FlippingCore(slowdown=1.0)
    blocks = {"shaky": core.block("shaky", 6.0), "steady": quiet.block("steady", 6.0)}
    references = {name: quiet.block(name, latency) for name, latency in REFERENCES.items()}
    known = {name: Calibration(name, "hash", latency, 20) for name, latency in REFERENCES.items()}
    protocol = Protocol(enough_error=0.001, refuse_error=0.006)
    shaky, steady = time_interleaved(
        blocks, references, known, protocol, lambda done, total: seen.append((done, total))
    )
    assert protocol.rounds_max < shaky.rounds < 3 * protocol.rounds_max
    assert shaky.verdict == "noisy" and shaky.standard_error_ms <= 0.006 * shaky.latency_ms
    assert steady.rounds <= protocol.rounds_max
    assert [total for _, total in seen] == [20] * 19 + [60] * 40 + [180] * (shaky.rounds - 60) + [
        shaky.rounds
    ]


def test_progress_ends_at_its_total_and_a_timing_survives_json():
    seen = []
    (timing,) = run(FlippingCore(), {"a": 0.2}, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (1, 20) and seen[-1][0] == seen[-1][1] == timing.rounds
    assert Timing(**json.loads(json.dumps(timing.as_json()))) == timing


def test_the_same_machine_and_seed_give_the_same_timings():
    nets = {"a": 0.2, "b": 0.5, "c": 2.0}
    assert run(FlippingCore(seed=4), nets) == run(FlippingCore(seed=4), nets)
    orders = []
    for seed in (1, 2):
        core = FlippingCore(seed=4)
        run(core, nets, Protocol(seed=seed))
        orders.append(core.calls)
    assert orders[0] != orders[1]


def test_calibration_finds_the_fast_state_and_one_scale():
    core = FlippingCore()
    blocks = {name: core.block(name, latency) for name, latency in REFERENCES.items()}
    found = calibrate(blocks, dict.fromkeys(REFERENCES, "hash"), Protocol())
    assert found["small"].latency_ms == pytest.approx(0.3, rel=0.02)
    assert found["large"].latency_ms == pytest.approx(3.0, rel=0.05)
    assert found["large"].name == "large" and found["large"].rounds == 60


def test_the_reference_of_similar_size_is_taken():
    known = {name: Calibration(name, "", latency, 20) for name, latency in REFERENCES.items()}
    assert [nearest_reference(ms, known) for ms in (0.01, 0.9, 1.0, 50)] == [
        "small",
        "small",
        "large",
        "large",
    ]


def test_references_without_calibration_are_refused():
    with pytest.raises(MeasureError, match="calibration"):
        time_interleaved({}, {"small": lambda ms: np.ones(3)}, {}, Protocol())


@pytest.mark.parametrize(
    "changes",
    [
        {"rounds_min": 19},
        {"rounds_max": 10},
        {"rounds_max": 10**9},
        {"block_ms": 0},
        {"block_ms": float("nan")},
        {"enough_error": 0.0},
        {"enough_error": 0.06},
        {"refuse_error": 0.5},
        {"calibration_rounds": 1},
    ],
)
def test_a_protocol_outside_its_range_is_refused(changes):
    with pytest.raises(ProtocolError, match=next(iter(changes)).split("_")[0]):
        Protocol(**changes)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=60), st.floats(0.01, 100))
def test_the_relative_error_ignores_scale(minima, scale):
    values, beside = np.array(minima), np.linspace(1, 2, len(minima))
    error = relative_error(values, beside)
    assert error >= 0
    assert relative_error(values * scale, beside) == pytest.approx(error, rel=1e-6, abs=1e-9)


def test_the_relative_error_is_that_of_the_ratio():
    rng = np.random.default_rng(0)
    draws = 1 + 0.05 * np.abs(rng.standard_normal((400, 2, 25)))
    ratios = np.log(low(draws[:, 0]) / low(draws[:, 1]))
    errors = [relative_error(net, reference) for net, reference in draws]
    assert np.mean(errors) == pytest.approx(ratios.std(), rel=0.35)
    assert relative_error(np.ones(1), np.ones(1)) == float("inf")


def test_time_that_other_processes_had_the_core_does_not_count():
    """Every inference of the net is interrupted for longer than it lasts, those of the reference never."""

    def interrupted(ms):
        return np.stack([np.full(5, 2.5), np.full(5, 1.0)])

    def reference(ms):
        return np.full((2, 5), 3.0)

    (timing,) = time_interleaved(
        {"a": interrupted}, {"large": reference}, {"large": Calibration("large", "hash", 3.0, 20)}, Protocol()
    )
    assert timing.latency_ms == pytest.approx(1.0) and timing.raw_ms["min"] == 2.5
    assert timing.verdict == "good"


def test_a_block_whose_clock_ran_short_does_not_move_the_latency():
    """The clock of a thread counts an inference too short now and then; a few more rounds tell."""
    core = FlippingCore(seed=0)
    honest = core.block("a", 0.05)
    blocks = iter(range(10_000))

    def short(ms):
        samples = honest(ms)
        return samples * 0.4 if next(blocks) == 7 else samples

    references = {name: core.block(name, latency) for name, latency in REFERENCES.items()}
    known = {name: Calibration(name, "hash", latency, 20) for name, latency in REFERENCES.items()}
    (timing,) = time_interleaved({"a": short}, references, known, Protocol())
    assert timing.latency_ms == pytest.approx(0.05, rel=0.05)
    assert low(np.array([1.0, 2.0, 3.0, *[9.0] * 18])) == 3.0
