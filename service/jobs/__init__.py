"""Kinds of durable work: one file, one line."""

from supernets.registry import Registry

JOBS: Registry = Registry(
    "job kind",
    {
        "train": "service.jobs.train:run",
        "measure": "service.jobs.measure:run",
        "import": "service.jobs.bring:run",
        "evaluate": "service.jobs.evaluate:run",
        "fit": "service.jobs.fit:run",
        "search": "service.jobs.search:run",
        "export": "service.jobs.export:run",
    },
)

__all__ = ["JOBS"]
