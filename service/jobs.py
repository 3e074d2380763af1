"""Kinds of durable work: one file, one line."""

from supernets.registry import Registry

JOBS: Registry = Registry(
    "job kind",
    {
        "train": "service.training.job:run",
        "convert": "service.conversions.job:run",
        "convert_pretrained": "service.conversions.pretrained:run",
        "finetune": "service.training.finetune_job:run",
        "measure": "service.measuring.job:run",
        "import": "service.measurements.import_job:run",
        "evaluate": "service.subnets.evaluate_job:run",
        "fit": "service.predictors.job:run",
        "search": "service.search.job:run",
        "export": "service.subnets.export_job:run",
    },
)

__all__ = ["JOBS"]
