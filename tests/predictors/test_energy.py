"""Energy is counted where the machine counts it; where it does not, there is no value, and never zero."""

import pytest

from predictors.measuring import energy, extras
from predictors.measuring.references import reference_net
from predictors.measuring.runtime import Session

IDLE_W, BUSY_W, LATENCY_MS = 20.0, 50.0, 4.0


class Machine:
    """Time that only passes in ``rest`` and ``run``, and a package whose counter grows with it."""

    def __init__(self, root, *, largest=10**12, start=0, busy_w=BUSY_W):
        self.now, self.busy_w, self.largest, self.uj = 0.0, busy_w, largest, float(start)
        self.zone = zone(root, "intel-rapl:0", "package-0", start, largest)

    def spend(self, seconds, watts):
        self.now += seconds
        self.uj = (self.uj + seconds * watts * 1e6) % self.largest
        (self.zone / "energy_uj").write_text(f"{int(self.uj)}\n")

    def rest(self, seconds):
        self.spend(seconds, IDLE_W)

    def run(self, ms):
        self.spend(ms / 1e3, self.busy_w)
        return [LATENCY_MS] * int(ms / LATENCY_MS)

    def measure(self, root):
        counted = energy.counters(root)
        return energy.per_inference(self.run, counted, clock=lambda: self.now, rest=self.rest)


def zone(root, folder, name, energy_uj, largest=10**12):
    path = root / folder
    path.mkdir(parents=True)
    for file, value in (("name", name), ("energy_uj", energy_uj), ("max_energy_range_uj", largest)):
        (path / file).write_text(f"{value}\n")
    return path


def test_an_inference_costs_what_its_block_spent_above_idle(tmp_path):
    found = Machine(tmp_path).measure(tmp_path)
    # 30 W above idle for 4 ms are 120 mJ
    assert found["value"] == pytest.approx((BUSY_W - IDLE_W) * LATENCY_MS, rel=1e-4)
    assert found["n"] == energy.BLOCKS and found["spread"] < 1e-3 and "idle" in found["statistic"]


def test_a_counter_that_begins_anew_loses_nothing(tmp_path):
    found = Machine(tmp_path, largest=15_000_000, start=14_999_999).measure(tmp_path)
    assert found["value"] == pytest.approx((BUSY_W - IDLE_W) * LATENCY_MS, rel=1e-3)


def test_packages_and_their_memory_count_but_not_parts_of_a_package(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    zone(tmp_path, "intel-rapl:1", "package-1", 1)
    zone(tmp_path, "intel-rapl:0:0", "core", 1)
    zone(tmp_path, "intel-rapl:0:1", "dram", 1)
    names = [(counter.path.parent / "name").read_text().strip() for counter in energy.counters(tmp_path)]
    assert sorted(names) == ["dram", "package-0", "package-1"]


def test_there_is_no_value_rather_than_zero(tmp_path):
    assert energy.counters(tmp_path / "none") == [] and not energy.available(tmp_path / "none")
    still = Machine(tmp_path / "still")
    still.spend = lambda seconds, watts: setattr(still, "now", still.now + seconds)
    assert still.measure(tmp_path / "still") is None
    thrifty = Machine(tmp_path / "thrifty", busy_w=IDLE_W)
    assert thrifty.measure(tmp_path / "thrifty") is None, "nothing above idle is not zero"


def test_counters_that_are_broken_or_not_ours_to_read_are_no_counters(tmp_path):
    path = zone(tmp_path, "intel-rapl:0", "package-0", "not a number")
    assert not energy.available(tmp_path)
    (path / "energy_uj").unlink()
    assert not energy.available(tmp_path)


def test_a_target_measures_energy_only_where_the_machine_counts_it(tmp_path, monkeypatch):
    net = tmp_path / "net.onnx"
    net.write_bytes(reference_net("small"))
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "none")
    monkeypatch.setattr(energy.counters, "__defaults__", (tmp_path / "none",))
    monkeypatch.setattr(energy.available, "__defaults__", (tmp_path / "none",))
    assert "energy_mj" not in extras.measurable()
    monkeypatch.setattr(energy.available, "__defaults__", (tmp_path,))
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    assert "energy_mj" in extras.measurable()
    # The net's own process looks at the true machine; without counters there it says nothing.
    found = energy.energy(net, Session())
    assert found is None or found["value"] > 0


def test_the_child_returns_nothing_where_nothing_is_counted(tmp_path, monkeypatch):
    net = tmp_path / "net.onnx"
    net.write_bytes(reference_net("small"))
    monkeypatch.setattr(energy, "counters", list)
    request = {"path": str(net), "session": Session().as_json()}
    assert energy._energy(request, lambda *_: None) is None
