"""Weights & Biases: a run of a project; ``WANDB_MODE=offline`` keeps it on this machine."""

from __future__ import annotations

from collections.abc import Mapping

import wandb

PROJECT = "netwright"


class Wandb:
    """Metrics by step, and parameters as the run's config."""

    def __init__(self, place: str | None, name: str) -> None:
        self._run = wandb.init(project=place or PROJECT, name=name)

    def parameters(self, values: Mapping[str, object]) -> None:
        """Add them to the config."""
        self._run.config.update(dict(values), allow_val_change=True)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Log them at this step."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()
