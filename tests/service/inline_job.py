"""A search job in the test's own process: proposing and fitting are real, nets and images are made up.

Quality and latency follow from the MACs, so a whole search takes a second. Steps are recorded as a worker
records them, and answered from the record when the job is run again.
"""

import asyncio
import time
from contextlib import contextmanager
from importlib import import_module

import numpy as np

from predictors.measuring.protocol import PROTOCOL_VERSION
from service.db import queries
from service.db.tables import Job, Search, Supernet
from service.ids import DEFAULT_PROJECT
from service.runtime import job_queries
from service.search import job as search_job
from service.supernets.checkpoints import family_of


class InlineJob:
    """What a job sees as its run."""

    def __init__(self, database, settings, job):
        self.database, self.settings, self.project = database, settings, DEFAULT_PROJECT
        self.id, self.params = job.id, job.params
        self.span, self.outcome = (0, 0, 0), None
        self.records, self.asked, self.windows = {}, [], []
        self.slow, self.latency = {}, lambda macs, target: 0.01 + 1.1e-7 * macs
        with self.read() as session:
            spec = queries.get(session, self.project, Search, self.params["search"])
            self._family = family_of(queries.get(session, self.project, Supernet, spec.supernet_id))

    @contextmanager
    def read(self):
        with self.database.read() as session:
            yield session

    def window(self, start, stop, total):
        assert 0 <= start <= stop <= total
        self.windows.append((start, stop, total))

    async def say(self, message):
        assert message

    async def step(self, name, task, payload, store=None):
        if name not in self.records:
            work = {"measure": self._measure, "evaluate": self._evaluate}.get(task.partition(":")[2])
            module, _, function = task.partition(":")
            work = work or getattr(import_module(module), function)
            self.asked.append((name, len(payload.get("population", []))))
            result = work(payload, lambda *_: None)
            self._record(name, result, store)
        return self.records[name]

    async def write(self, name, store):
        if name not in self.records:
            self._record(name, {}, store)
        return self.records[name]

    def _record(self, name, result, store):
        with self.database.write() as session:
            kept = store(session, result) if store is not None else None
        self.records[name] = result if kept is None else kept

    def _macs(self, payload):
        d = self._family.space().d
        rows = np.array(payload["population"], dtype=np.int64).reshape(-1, d)
        return self._family.costs(rows)["macs"]

    def _evaluate(self, payload, _progress):
        found = []
        for macs in self._macs(payload):
            if payload["until"] is not None and time.time() >= payload["until"]:
                break
            time.sleep(self.slow.get("evaluate", 0))
            value = float(np.clip(0.8 + 0.015 * np.log(macs / 1e3), 0, 1))
            found.append(
                {
                    "metric": "accuracy",
                    "value": value,
                    "standard_error": 0.01,
                    "n": 360,
                    "split": payload["split"],
                    "split_sha256": None,
                    "stats_sha256": None,
                    "precision": "fp32",
                }
            )
        return {"evaluations": found}

    def _measure(self, payload, _progress):
        if payload["until"] is not None and time.time() >= payload["until"]:
            return {"timings": [], "extras": [], "calibrations": None, "precision": None}
        batch = payload["target"]["settings"]["batch"]
        rng = np.random.default_rng(len(self.asked))  # every run errs a little otherwise
        timings = [
            {
                "latency_ms": float(self.latency(macs, batch) * (1 + 0.003 * rng.standard_normal())),
                "standard_error_ms": 1e-4,
                "rounds": 20,
                "statistic": "made",
                "protocol_version": PROTOCOL_VERSION,
                "verdict": "good",
                "raw_ms": {"p50": 0.1, "p90": 0.2},
                "raw_n": 100,
                "reference": {},
                "sha256": "",
                "reference_error": None,
            }
            for macs in self._macs(payload)
        ]
        memory = {"spread": 0.01, "n": 3, "statistic": "made"}
        extras = [
            {"peak_memory_mb": {**memory, "value": 1.0 + macs / 1e5}}
            if "peak_memory_mb" in payload["metrics"]
            else {}
            for macs in self._macs(payload)
        ]
        return {"timings": timings, "extras": extras, "calibrations": {}, "precision": "fp32"}


def run_inline(database, settings, job_id, prepare=lambda run: None, run=None):
    """Do a queued search job to its end here; returns what ran it."""
    with database.read() as session:
        job = session.get_one(Job, job_id)
        session.expunge_all()
    run = run or InlineJob(database, settings, job)
    prepare(run)
    asyncio.run(search_job.run(run))
    with database.write() as session:
        job_queries.set_state(session, session.get_one(Job, job_id), "succeeded")
    return run
