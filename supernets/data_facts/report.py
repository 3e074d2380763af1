"""The data report: what a data set holds, as the network will see it, and what is or may be wrong with it. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from supernets.errors import DataError
from supernets.words import counted

Level = Literal["error", "warning"]


class Problem(BaseModel):
    """What is wrong (``error``: training refuses it) or may be (``warning``)."""

    model_config = ConfigDict(frozen=True)
    level: Level
    code: str
    message: str


class Pixels(BaseModel):
    """Of all channels, of values in 0..1; ``distinct_values`` of the 256 that 8 bits have."""

    mean: float
    std: float
    distinct_values: int


class SplitReport(BaseModel):
    """A split of the source; ``images`` counts its examples, ``pixels`` is absent where no image could be decoded."""

    images: int
    classes: dict[str, int]
    pixels: Pixels | None = None


class Details(BaseModel):
    """How the examples are stored, and what becomes of them."""

    spec: str = Field("", description="The data set with its options")
    reads: str = Field("images", description="What an example is: images or text")
    tokens: dict[str, int] = Field(
        default_factory=dict, description="Of texts: median, p90 and longest length in tokens"
    )
    examined: int = Field(0, description="Number of images that were decoded for this report")
    modes: dict[str, int] = Field(default_factory=dict, description="Pillow's mode to number of images")
    sizes: dict[str, int] = Field(default_factory=dict, description="Width x height to number of images")
    fit: str | None = Field(None, description="How images become square")
    cropped: float = Field(0.0, description="Mean share of an image's longer side that a centre crop removes")
    range: tuple[float, float] | None = Field(
        None, description="Values of images of more than 8 bits that become 0 and 255"
    )
    skipped: dict[str, int] = Field(default_factory=dict, description="Reason to number of files left out")
    made: dict[str, int] = Field(
        default_factory=dict,
        description="Splits that the source lacks, and how many images of train become theirs",
    )


class DataReport(BaseModel):
    """What ``netwright data check --json`` prints, without ``details``."""

    splits: dict[str, SplitReport] = Field(default_factory=dict)
    channels: int | None = None
    resolution: int | None = None
    problems: list[Problem] = Field(default_factory=list)
    details: Details = Field(default_factory=Details)

    @property
    def errors(self) -> list[Problem]:
        """What training refuses."""
        return [problem for problem in self.problems if problem.level == "error"]

    @property
    def warnings(self) -> list[Problem]:
        """What may be wrong."""
        return [problem for problem in self.problems if problem.level == "warning"]

    def as_json(self) -> dict[str, object]:
        """Splits, channels, resolution and problems."""
        return self.model_dump(mode="json", exclude={"details"})

    def add_error(self, code: str, message: str) -> None:
        """Another reason for which training refuses the data."""
        self.problems.insert(0, Problem(level="error", code=code, message=message))

    def refuse(self) -> None:
        """Raise ``DataError`` where there is an error."""
        if self.errors:
            raise DataError("; ".join(problem.message for problem in self.errors), self.errors[0].code)


def refused(error: DataError, spec: str) -> DataReport:
    """The report of data that could not be looked at."""
    problem = Problem(level="error", code=error.code, message=str(error))
    return DataReport(problems=[problem], details=Details(spec=spec))


def data_text(report: Mapping[str, object] | None) -> list[str]:
    """The section of a report card: a stored report as lines of Markdown, none where there is none."""
    if report is None:
        return []
    found = DataReport.model_validate(report)
    noun = "text" if found.details.reads == "text" else "image"
    counts = "; ".join(
        f"{name} {counted(split.images, noun)} "
        f"({', '.join(f'{k} {n:,}' for k, n in list(split.classes.items())[:20])})"
        for name, split in found.splits.items()
    )
    modes = ", ".join(f"{mode} {count:,}" for mode, count in found.details.modes.items())
    how = f"Modes: {modes}. Fit: {found.details.fit}."
    if noun == "text":
        how = "Tokens: " + ", ".join(f"{name} {n:,}" for name, n in found.details.tokens.items()) + "."
    lines = ["## Data", "", f"{found.details.spec}: {counts}. {how}", ""]
    warnings = [f"- {problem.message}" for problem in found.warnings]
    return [*lines, *warnings, ""] if warnings else lines
