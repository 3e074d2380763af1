"""Rows as jobs would have written them, from closed forms: what tests of several folders start from."""

import numpy as np

from predictors import PREDICTORS
from service.db import queries
from service.db.counts import add_measurements
from service.db.tables import Predictor, Supernet
from service.ids import DEFAULT_PROJECT, new_id
from service.measurements.queries import measured_rows, scope_of
from service.measurements.schemas import Selection
from service.measurements.selection import choose
from service.runtime import job_queries
from service.supernets.bench import model_scope
from service.supernets.checkpoints import family_of, manifest_of
from service.supernets.queries import ensure_subnets


def insert_measured(database, supernet, target):
    """60 subnets, measured on ``target`` and evaluated on validation; returns the ids of the subnets by arch id."""
    with database.write() as session:
        row = queries.get(session, DEFAULT_PROJECT, Supernet, supernet)
        family = family_of(row)
        population = choose(family, Selection(count=60), for_latency=False)
        costs = family.costs(population)
        job = job_queries.create_job(session, DEFAULT_PROJECT, "measure", {})
        job_queries.set_state(session, job, "succeeded")
        archs = family.space().decode(population)
        ids = ensure_subnets(
            session,
            DEFAULT_PROJECT,
            supernet,
            [
                (arch.id, arch.as_dict(), {k: float(v[i]) for k, v in costs.items()})
                for i, arch in enumerate(archs)
            ],
        )
        rng = np.random.default_rng(0)
        rows = []
        for i, arch in enumerate(archs):
            macs = float(costs["macs"][i])
            latency = (0.01 + 1.1e-7 * macs) * (1 + 0.01 * rng.standard_normal())
            accuracy = float(np.clip(0.8 + 0.015 * np.log(macs / 1e3) + 0.005 * rng.standard_normal(), 0, 1))
            for metric, value, scope, target_id, split in (
                ("latency_ms", latency, f"target:{target}", target, None),
                ("accuracy", accuracy, "split:validation", None, "validation"),
            ):
                rows.append(
                    {
                        "id": new_id("mea"),
                        "project_id": DEFAULT_PROJECT,
                        "job_id": job.id,
                        "step": "made",
                        "supernet_id": supernet,
                        "subnet_id": ids[arch.id],
                        "target_id": target_id,
                        "metric": metric,
                        "scope": scope,
                        "split": split,
                        "value": value,
                        "spread": value / 100,
                        "n": 20,
                        "statistic": "made",
                        "precision": "fp32",
                        "protocol_version": None,
                        "verdict": None,
                        "details": {},
                    }
                )
        add_measurements(session, rows)
    return ids


def insert_fitted(database, store, supernet, target):
    """A fitted predictor of accuracy and one of latency, from those rows; returns their ids by metric."""
    ids = {}
    with database.write() as session:
        row = queries.get(session, DEFAULT_PROJECT, Supernet, supernet)
        family, space = family_of(row), family_of(row).space()
        for metric, of, kind in (
            ("accuracy", None, "gaussian_process"),
            ("latency_ms", target, "bayesian_linear"),
        ):
            found = measured_rows(session, DEFAULT_PROJECT, row.id, metric, scope_of(of))
            population = space.encode(space.arch(arch) for arch, _ in found)
            model = PREDICTORS.load(kind)(family, model_scope(manifest_of(row), metric, of))
            model.fit(population, np.array([entry.value for _, entry in found]))
            predictor = Predictor(
                id=new_id("prd"),
                project_id=DEFAULT_PROJECT,
                supernet_id=row.id,
                target_id=of,
                metric=metric,
                kind=kind,
                version=store.put(model.dump()),
                rows=len(found),
                report={"n": len(found)},
            )
            session.add(predictor)
            ids[metric] = predictor.id
    return ids
