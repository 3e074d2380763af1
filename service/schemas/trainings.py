"""Training a supernet."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from service.schemas.common import Body, Name, Seed


class TrainingCreate(Body):
    """Train a supernet with a recipe on a data set; the job registers it when it is done."""

    name: Name
    recipe: str = Field(description="Name of a recipe", examples=["digits"])
    data: str | None = Field(None, description="Name of a data set; defaults to the recipe's own")
    seed: Seed = 0
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Recipe values to replace, by dotted name"
    )
