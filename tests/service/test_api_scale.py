"""The benchmark of the API's reads, on tiny databases: what it writes is what the tables of today hold."""

from benchmarks.api_scale import main


def test_the_benchmark_of_reads_runs(tmp_path):
    found = main(["--rows", "2000", "2500", "--repeats", "1"])
    assert {"fronts max params", "searches label, label"} <= set(found["sqlite"])
