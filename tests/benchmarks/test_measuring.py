"""Recordings, and the statistics that are compared on them."""

import numpy as np
import pytest

from benchmarks import spread
from benchmarks.recording import GRID, Recording, record
from benchmarks.spread import PROTOCOL, ROUNDS, STATISTICS, differences, measured, spread_rows


def block(latency_ms):
    """A net that always takes ``latency_ms`` and works all the time, on a clock of its own."""
    return lambda block_ms: np.full((2, max(3, int(block_ms / latency_ms))), latency_ms)


def flipping(rounds=120, seed=0):
    """Two nets on a machine that changes between two speeds every few rounds, with 1 % of noise."""
    rng = np.random.default_rng(seed)
    speed = np.repeat(rng.choice([1.0, 1.7], rounds // 4), 4)[:, None, None, None, None]
    net = np.array([[1.0, 3.0, 1.0], [1.0, 6.0, 1.0]])[None, :, :, None, None]
    noise = 1 + 0.01 * np.abs(rng.standard_normal((rounds, 2, 3, 2, GRID)))
    blocks = np.sort(speed * net * noise, axis=4).astype(np.float32)
    return Recording(("three", "six"), ("medium", "medium"), blocks, 60.0, 0.0, 1.0)


def test_a_recording_holds_each_net_between_blocks_of_the_reference_nearest_in_size(tmp_path):
    nets = {"fast": block(0.2), "slow": block(9.0)}
    found = record(nets, {"small": block(0.1), "large": block(5.0)}, minutes=0)
    assert (found.names, found.references) == (("fast", "slow"), ("small", "large"))
    assert found.blocks.shape == (1, 2, 3, 2, GRID)
    assert found.blocks[0, :, :, 0, 0] == pytest.approx(np.array([[0.1, 0.2, 0.1], [5.0, 9.0, 5.0]]))
    found.save(tmp_path / "quiet.npz")
    again = Recording.load(tmp_path / "quiet.npz")
    assert (again.names, again.seconds, again.own) == (found.names, found.seconds, found.own)
    assert np.array_equal(again.blocks, found.blocks)


@pytest.mark.parametrize("name", STATISTICS)
def test_every_statistic_knows_how_nets_compare_whatever_the_machine_does(name):
    values = np.median(measured(flipping(), name), axis=0)
    assert values[1] / values[0] == pytest.approx(2, rel=0.25)


def test_ratios_to_a_reference_repeat_better_than_raw_times_where_the_speed_changes():
    rows = {row["method"]: row for row in spread_rows({"quiet": flipping()})}
    first, raw = rows[PROTOCOL], rows["raw p50"]
    assert first["passes"] == 6 and len(first["repeat_p95_by_net"]) == 2
    assert first["repeat_p95"] < 0.02 < raw["repeat_p95"]


def test_differences_are_between_all_passes_and_relative():
    found = differences(np.array([[1.0], [1.1], [1.21]]))
    assert np.sort(found.ravel()) == pytest.approx(np.log([1.1, 1.1, 1.21]))


def test_a_neighbour_that_slows_both_alike_moves_ratios_not_at_all():
    quiet = flipping()
    busy = Recording(quiet.names, quiet.references, quiet.blocks * np.float32(1.5), 60.0, 1.0, 1.0)
    rows = [row for row in spread_rows({"quiet": quiet, "busy": busy}) if row["half"] == "busy"]
    moved = {row["method"]: row["moved_median"] for row in rows}
    assert moved["raw min"] == pytest.approx(np.log(1.5), rel=1e-3)
    assert moved[PROTOCOL] == pytest.approx(0, abs=1e-6)


def test_too_short_a_recording_is_refused():
    short = flipping(rounds=2 * ROUNDS - 4)
    with pytest.raises(SystemExit, match="rounds"):
        spread.measured(short, "raw min")
