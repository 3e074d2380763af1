"""Training a supernet."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from service.schemas.common import Body, Name, Seed


class TrainingCreate(Body):
    """Train a supernet with a recipe on a data set; the job registers it when it is done."""

    name: Name
    data: str = Field(
        description="Name of a data set, or folder:PATH or parquet:PATH inside NETWRIGHT_IMPORT_DIR",
        examples=["digits"],
    )
    family: str | dict[str, Any] = Field(
        description="Name of a zoo supernet whose family to take, or {'family': name, ...its settings}",
        examples=["digits"],
    )
    recipe: str | dict[str, Any] = Field(
        "sandwich", description="Name of a recipe or of a zoo supernet whose recipe to take, or its values"
    )
    steps: int | None = Field(None, ge=1, le=10_000_000, description="Replaces the recipe's steps")
    seed: Seed = 0
