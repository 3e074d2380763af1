"""What was found in a network that was converted, as records of a manifest and an answer. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from supernets.convert.importances import DEFAULT
from supernets.spaces.space import Choice

Ends = Literal["smallest", "largest"]
"""The smallest network of a space, and the original."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class KeptRecord(_Record):
    """A choice of an axis, and how many channels (of its first module) or branches it keeps."""

    choice: Choice = Field(description="Of the axis, as in an arch")
    kept: int = Field(description="Channels or branches")


class AxisRecord(_Record):
    """An axis that was found."""

    name: str = Field(description="In the space")
    kind: str = Field(
        description="width: channels that go together; depth: residual branches that may be skipped"
    )
    removing: Literal["exact", "approximate"] = Field(
        description="exact: a smaller network is the original with the removed channels at zero"
    )
    unit: str = Field(
        "",
        description="What is removed at a time, with the reason where heads go whole; empty in older records",
    )
    modules: list[str] = Field(description="Modules of the original whose weights change")
    choices: list[KeptRecord] = Field(description="From the smallest to the largest")


class StaysRecord(_Record):
    """A module whose output channels stay, all or some of them."""

    module: str = Field(description="Its name in the original")
    reason: str = Field(description="Why, with the operator that keeps the channels")
    count: int = Field(description="Channels that stay")
    of: int = Field(description="Channels that it has")
    line: str = Field("", description="Line of the original's source code, where the file has it")


class TensorRecord(_Record):
    """An input or output of the network; a size as text is of any size."""

    name: str = Field(description="Of the argument, or of the output")
    dtype: str = Field(description="Type of its elements")
    shape: list[int | str] = Field(description="A size for each axis; batch is any number of examples")


class FoundRecord(_Record):
    """What was found in a network: its axes, what stays and why, and the costs of both ends of its space."""

    inputs: list[TensorRecord] = Field(description="In the order of forward's arguments")
    output: TensorRecord = Field(description="What quality is computed from")
    axes: list[AxisRecord]
    frozen: list[StaysRecord] = Field(description="Modules that stay as they are, with the reason")
    costs: dict[Ends, dict[str, float]] = Field(
        description="Closed-form costs of the smallest network and of the original"
    )
    subnets: float = Field(description="Number of subnets")
    importance: str = Field(DEFAULT, description="Score by which channels are kept, the highest first")
