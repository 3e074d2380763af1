"""MLflow: a run at a tracking URI."""

from __future__ import annotations

import re
from collections.abc import Mapping

import mlflow

FOREIGN = re.compile(r"[^\w\-./ :]")
EXPERIMENT = "netwright"


class MLflow:
    """Metrics and parameters of one run of the experiment ``netwright``."""

    def __init__(self, place: str | None, name: str) -> None:
        client = mlflow.MlflowClient(place)
        found = client.get_experiment_by_name(EXPERIMENT)
        experiment = client.create_experiment(EXPERIMENT) if found is None else found.experiment_id
        self._client, self._run = client, client.create_run(experiment, run_name=name).info.run_id

    def parameters(self, values: Mapping[str, object]) -> None:
        """Log them as parameters."""
        for name, value in values.items():
            self._client.log_param(self._run, _plain(name), str(value))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Log them at this step."""
        for name, value in values.items():
            self._client.log_metric(self._run, _plain(name), value, step=step)

    def close(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run)


def _plain(name: str) -> str:
    """A name of the letters that MLflow takes: ``latency_ms@cpu`` becomes ``latency_ms.cpu``."""
    return FOREIGN.sub(".", name)
