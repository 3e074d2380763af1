"""Orders, agents and rows for tests of leases: everything but a device."""

from predictors.measuring.protocol import PROTOCOL_VERSION
from service.db import queries
from service.db.tables import Target
from service.devices import lease_queries
from service.devices.lease_schemas import DeviceDescription
from service.ids import DEFAULT_PROJECT, new_id
from service.runtime import job_queries, parts

P = DEFAULT_PROJECT
DEVICE = {
    "cpu": "A53",
    "cores": 4,
    "max_mhz": 1400,
    "memory_gb": 1,
    "architecture": "aarch64",
    "system": "Linux",
}
RUNTIME = {"name": "onnxruntime", "version": "1.20.0", "providers": ["CPUExecutionProvider"]}


def description(device=None, runtime=None):
    return DeviceDescription(device={**DEVICE, **(device or {})}, runtime={**RUNTIME, **(runtime or {})})


def add_target(session, name="pi", kind="agent", **more):
    row = Target(
        id=new_id("tgt"),
        project_id=P,
        name=name,
        kind=kind,
        settings={"threads": 1, "precision": "fp32", "batch": 1, "provider": "CPUExecutionProvider"},
        description={"kind": kind, "device": None, "runtime": None, "settings": {}},
        fingerprint="",
        metrics=["latency_ms"],
        **more,
    )
    session.add(row)
    session.flush()
    return row


def add_order(session, target, nets=4, together=False, step="measure", job=None):
    """A job that waits for an order of nets; hashes are ``0…0``, ``1…1`` …"""
    if job is None:
        job = job_queries.create_job(session, P, "measure", {})
        job_queries.set_state(session, job, "running")
        job_queries.rest(job)
    order = parts.place_order(
        session,
        P,
        job.id,
        step,
        [{"file_sha256": f"{number:x}" * 64, "bytes": 10} for number in range(nets)],
        target_id=target.id,
        protocol={"seed": 0},
        metrics=["latency_ms"],
        together=together,
        span=[0, nets, nets],
    )
    return job, order


def agent(session, target, name="a"):
    return lease_queries.meet_agent(session, P, target.id, name, description().model_dump())


def calibrations():
    from predictors.measuring.references import SIZES, reference_sha256

    return {
        name: {"name": name, "sha256": reference_sha256(name), "latency_ms": latency, "rounds": 20}
        for name, latency in zip(SIZES, (0.3, 0.03, 3.0), strict=True)
    }


def row(item, **changes):
    """A row as an agent would bring it."""
    made = calibrations()["medium"]
    good = {
        "item": item.id,
        "sha256": item.file_sha256 if hasattr(item, "file_sha256") else item.sha256,
        "verdict": "good",
        "latency_ms": 0.5,
        "standard_error_ms": 0.001,
        "rounds": 20,
        "raw_ms": {"min": 0.49, "p50": 0.52, "p90": 0.6},
        "raw_n": 400,
        "reference": {
            "name": "medium",
            "sha256": made["sha256"],
            "calibrated_ms": made["latency_ms"],
            "near_share": 1.0,
            "drift": 1.0,
        },
        "statistic": "made",
        "protocol_version": PROTOCOL_VERSION,
        "error": None,
    }
    return {**good, **changes}


def clean(database):
    from service.db.tables import Table

    with database.write() as session:
        for table in reversed(Table.metadata.sorted_tables):
            session.execute(table.delete())
        queries.ensure_default_project(session)
