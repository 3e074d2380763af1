"""Jobs in the test's own process: steps run at once and are recorded as a worker records them.

In an :class:`InlineSearch` proposing and fitting are real, subnets and images are made up: quality and latency
follow from the MACs, so that a whole search takes a second.
"""

import asyncio
import time
from contextlib import contextmanager

import numpy as np

from predictors.measuring.protocol import PROTOCOL_VERSION
from service.db import queries
from service.db.tables import Job, Search, Supernet
from service.ids import DEFAULT_PROJECT
from service.measurements.models import Measured, Quality, SubnetTiming
from service.runtime import job_queries
from service.runtime.task import Deadline, output_type
from service.search import job as search_job
from service.subnets.tasks import Evaluated
from service.supernets.checkpoints import family_of


class InlineContext:
    """What a job receives as its context; a step with a record is answered from it."""

    def __init__(self, database, settings, id, params):
        self.database, self.settings, self.project = database, settings, DEFAULT_PROJECT
        self.id, self.params = id, params
        self.span, self.outcome, self.active_s = (0, 0, 0), None, 0.0
        self.records, self.asked, self.windows, self.messages = {}, [], [], []
        self.requests = {}

    @contextmanager
    def read(self):
        with self.database.read() as session:
            yield session

    def parameters(self, kind):
        return kind.model_validate(self.params)

    def active_seconds(self, _session):
        return self.active_s

    def window(self, start, stop, total):
        assert 0 <= start <= stop <= total
        self.windows.append((start, stop, total))

    async def report(self, message):
        assert message
        self.messages.append(message)

    def work(self, task):
        """What does a task here: the task itself, unless a test replaces it."""
        return task

    async def step(self, name, task, request, store=None):
        if name not in self.records:
            assert self.windows, f"the progress of step {name!r} would count as that of the whole job"
            self.asked.append((name, len(getattr(request, "population", []))))
            self.requests[name] = request
            began = time.monotonic()
            output = self.work(task)(request, lambda *_: None)
            self.active_s += time.monotonic() - began
            output = output_type(task).model_validate(output.model_dump(mode="json"))
            self._record(name, store or (lambda _session, output: output), output)
        return output_type(store or task).model_validate(self.records[name])

    async def write(self, name, store):
        if name not in self.records:
            self._record(name, store)
        return output_type(store).model_validate(self.records[name])

    def _record(self, name, store, *output):
        with self.database.write() as session:
            self.records[name] = store(session, *output).model_dump(mode="json")


class InlineSearch(InlineContext):
    """A search with made-up evaluations."""

    def __init__(self, database, settings, id, params):
        super().__init__(database, settings, id, params)
        self.slow, self.latency = {}, lambda macs, target: 0.01 + 1.1e-7 * macs
        with self.read() as session:
            spec = queries.get(session, self.project, Search, self.params["search"])
            self._family = family_of(queries.get(session, self.project, Supernet, spec.supernet_id))

    def work(self, task):
        return {"measure": self._measure, "evaluate": self._evaluate}.get(task.__name__, task)

    def _macs(self, request):
        d = self._family.space().d
        rows = np.array(request.population, dtype=np.int64).reshape(-1, d)
        return self._family.costs(rows)["macs"]

    def _evaluate(self, request, _progress):
        found, deadline = [], Deadline(request.seconds)
        for macs in self._macs(request):
            if deadline.passed:
                break
            time.sleep(self.slow.get("evaluate", 0))
            found.append(
                Quality(
                    metric="accuracy",
                    value=self._accuracy(macs, request.images),
                    standard_error=0.01,
                    n=request.images or 360,
                    part=request.images is not None,
                    split=request.split,
                    split_sha256=None,
                    stats_sha256=None,
                    precision="fp32",
                )
            )
        return Evaluated(evaluations=found)

    def _accuracy(self, macs, images):
        """On a part of the images .02 higher, and a little wrong for each subnet."""
        part = 0.0 if images is None else 0.02 + 0.004 * np.sin(macs)
        return float(np.clip(0.8 + 0.015 * np.log(macs / 1e3) + part, 0, 1))

    def _measure(self, request, _progress):
        if Deadline(request.seconds).passed:
            return Measured()
        batch = request.target.settings["batch"]
        rng = np.random.default_rng(len(self.asked))  # every run errs a little otherwise
        memory = {"spread": 0.01, "n": 3, "statistic": "made"}
        timings = [
            SubnetTiming(
                latency_ms=float(self.latency(macs, batch) * (1 + 0.003 * rng.standard_normal())),
                standard_error_ms=1e-4,
                rounds=20,
                statistic="made",
                protocol_version=PROTOCOL_VERSION,
                verdict="good",
                raw_ms={"p50": 0.1, "p90": 0.2},
                raw_n=100,
                sha256="",
                extras={"peak_memory_mb": {**memory, "value": 1.0 + macs / 1e5}}
                if "peak_memory_mb" in request.metrics
                else {},
            )
            for macs in self._macs(request)
        ]
        return Measured(timings=timings, calibrations={}, precision="fp32")


def run_inline(database, settings, job_id, prepare=lambda run: None, run=None):
    """Do a queued search job to its end here; returns what ran it."""
    with database.read() as session:
        job = session.get_one(Job, job_id)
        session.expunge_all()
    run = run or InlineSearch(database, settings, job.id, job.params)
    prepare(run)
    asyncio.run(search_job.run(run))
    with database.write() as session:
        job_queries.set_state(session, session.get_one(Job, job_id), "succeeded")
    return run
