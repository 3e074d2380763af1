"""Measured values as rows of the database."""

from types import SimpleNamespace

from service.db import queries
from service.db.tables import Measurement, Supernet
from service.ids import DEFAULT_PROJECT
from service.measurements.models import Measured, SubnetTiming
from service.measurements.rows import Origin, store_timings
from service.runtime import job_queries
from service.supernets.checkpoints import family_of

EXTRA = {"value": 3.5, "spread": 0.1, "n": 3, "statistic": "median"}


def test_a_refused_latency_does_not_drop_the_other_metrics(database, supernet, target):
    with database.write() as session:
        job = job_queries.create_job(session, DEFAULT_PROJECT, "measure", {})
        row = queries.get(session, DEFAULT_PROJECT, Supernet, supernet["id"])
        space = family_of(row).space()
        population = space.encode([space.max(), space.min()])
        timings = [
            SubnetTiming(
                verdict="refused", statistic="s", extras={"peak_memory_mb": EXTRA}, protocol_version="3"
            ),
            SubnetTiming(verdict="good", latency_ms=1.5, statistic="s", extras={"peak_memory_mb": EXTRA}),
        ]
        result = Measured(timings=timings, calibrations={}, precision="fp32")
        run = SimpleNamespace(project=DEFAULT_PROJECT, id=job.id)
        store_timings(session, Origin(run, row, "measure"), target["id"], population, result)
        job_queries.set_state(session, job, "succeeded")
    with database.read() as session:
        found = queries.every(session, DEFAULT_PROJECT, Measurement)
        assert sorted((each.metric, each.value, each.verdict or "") for each in found) == [
            ("latency_ms", 1.5, "good"),
            ("peak_memory_mb", 3.5, ""),
            ("peak_memory_mb", 3.5, "good"),
        ]
