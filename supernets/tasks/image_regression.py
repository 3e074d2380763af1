"""A number for each image (an age, a count, a rating); quality is the mean absolute error, lower is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from supernets.errors import DataError
from supernets.metrics import MEAN_ABSOLUTE_ERROR
from supernets.tasks.images import ImageTask

if TYPE_CHECKING:
    from supernets.data import DataSet, Facts


class ImageRegression(ImageTask):
    """Outputs ``(n, 1)`` and targets ``(n,) float32`` are in standard deviations from the middle of the classes.

    The data set's class names are the numbers. They are scaled to mean 0 and standard deviation 1 over the
    classes, so that learning rates do not depend on their unit; the quality is in that scaled unit too.
    """

    name = "image_regression"
    quality = MEAN_ABSOLUTE_ERROR

    def dimensions(self, data: DataSet | Facts) -> dict[str, int | None]:
        """One output."""
        return {"outputs": 1, "channels": data.channels}

    def check_data(self, data: DataSet) -> None:
        """Refuse class names that are not distinct finite numbers."""
        values = _numbers(data)
        if len(set(values.tolist())) != len(values):
            raise DataError(f"the classes of {data.name!r} must be different numbers, got {values.tolist()}")

    def targets(self, labels: Tensor, data: DataSet) -> Tensor:
        """The number of each image's class, scaled."""
        values = _numbers(data)
        scaled = (values - values.mean()) / values.std(unbiased=False)
        return scaled.to(torch.float32)[labels]

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:  # noqa: ARG002
        """Half the mean squared error."""
        return F.mse_loss(outputs[:, 0], targets) / 2

    def soft_loss(
        self, outputs: Tensor, teacher: Tensor, targets: Tensor, temperature: float = 1.0
    ) -> Tensor:
        """Half the mean squared difference to the teacher."""
        del targets, temperature
        return F.mse_loss(outputs, teacher.detach()) / 2

    def scores(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Absolute error."""
        return (outputs[:, 0].double() - targets.double()).abs()


def _numbers(data: DataSet) -> Tensor:
    """The class names as ``(classes,) float64``."""
    try:
        values = torch.tensor([float(name) for name in data.classes], dtype=torch.float64)
    except ValueError as error:
        raise DataError(
            f"the classes of {data.name!r} must be numbers for task 'image_regression', got {data.classes[:5]}"
        ) from error
    if not bool(torch.isfinite(values).all()):
        raise DataError(f"the classes of {data.name!r} must be finite numbers, got {data.classes[:5]}")
    return values
