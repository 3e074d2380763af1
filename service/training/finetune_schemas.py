"""Fine-tuning a subnet."""

from __future__ import annotations

from pydantic import Field

from service.http.schemas import JobRequest, Seed, Stamped
from service.runtime.task import StepData
from supernets.data_facts.spec import DataSpec
from supernets.training.change import ChangeRecord, Classifier


class FineTuneCreate(JobRequest):
    """Train one subnet further, from the weights that it has in its supernet."""

    data: str | DataSpec | None = Field(
        None,
        description="What to train and test on: folder:PATH, parquet:PATH, stream:PATH, text:PATH or corpus:PATH in "
        "NETWRIGHT_IMPORT_DIR, or the name of a data set; that of the supernet if absent. Channels, resolution, "
        "tokenizer and window that it leaves open are the supernet's. With other classes than the supernet's the "
        "classifier is new",
        examples=["folder:photos"],
    )
    recipe: str | dict[str, object] | None = Field(
        None,
        description="Name of a recipe or of a zoo supernet whose recipe to take, or its values; its space is "
        "replaced by the subnet. If absent: finetune, or poa for a task without labels",
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Replaces the recipe's steps; fewer shorten its warm-ups in proportion",
    )
    seed: Seed = 0


class FineTuneView(Stamped):
    """A subnet with weights of its own."""

    subnet: str
    data: str = Field(description="The images that it was trained and tested on")
    recipe: dict[str, object]
    seed: int
    state: str = Field(description="State of the job that makes it")
    change: ChangeRecord | None = Field(
        description="Quality before and after on the same test images of the data; null until it is done"
    )
    classifier: Classifier | None = Field(
        description="kept, or new where the data have other classes than the supernet: the quality before is then that "
        "of a random classifier"
    )
    classes: list[str] | None
    stage: dict[str, object] | None = Field(description="Steps, passes, images and seconds of the training")
    sha256: str | None = Field(description="Hash of its weights, a safetensors file")
    bytes: int | None
    job: str | None


class FineTuneParams(StepData):
    """Parameters of a fine-tuning job."""

    finetune: str
