"""Predictors and their report cards."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from service.http.files import FileBody
from service.http.schemas import JobRequest, Stamped
from supernets.metrics import ACCURACY, LATENCY


class PredictorCreate(JobRequest):
    """Fit a predictor of one metric to everything measured so far."""

    supernet: str
    target: str | None = Field(None, description="For a measured metric; none for the supernet's quality")
    metric: str = Field(examples=[LATENCY, ACCURACY])
    kind: str | None = Field(
        None,
        description="Name in the predictor registry; auto, the default, compares all that can be fitted, by "
        "cross-validation",
    )
    import_: FileBody | None = Field(
        None,
        alias="import",
        description="A predictor fitted elsewhere, in once-for-all's layout: for quality a network trained on "
        "evaluated subnets (npz or .pth), for latency_ms a table of operators (YAML); it is fitted to the "
        "subnets evaluated or measured here, if there are enough",
    )


class PredictorView(Stamped):
    """A predictor: what it belongs to, and how well it does on rows it has not seen."""

    archived_at: datetime | None = Field(
        None, description="When it was archived: DELETE on what other resources refer to"
    )
    supernet: str
    target: str | None
    metric: str
    unit: str
    kind: str = Field(description="auto until the comparison is done, then the kind that was chosen")
    state: str = Field(description="State of the job that fits it")
    version: str | None = Field(description="Hash of the fitted model")
    rows: int
    report: dict[str, object] | None = Field(
        description="n, spearman, kendall, mape, bias, coverage and width of intervals; choice: the kinds "
        "that were compared and why this one was taken; plot: the artifact with predicted against measured, and "
        "points, worst and learning_curve (left out of lists)"
    )
    stale: str | None = Field(
        None, description="Why it should be refitted: the target changed, or many rows are newer"
    )
    job: str | None
