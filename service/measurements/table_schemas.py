"""Measurements that somebody brings: where the file is, and what its columns mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.http.schemas import Body

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]
Unit = Literal["ms", "s", "us", "µs", "ns"]


class FileBody(Body):
    """A file: exactly one of ``path``, ``content`` and ``sha256``."""

    path: str | None = Field(None, description="File relative to NETWRIGHT_IMPORT_DIR on the server")
    content: str | None = Field(None, description="The file itself in base64; the whole request is limited")
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="A file that was brought before, by its hash"
    )

    @model_validator(mode="after")
    def _one_source(self) -> FileBody:
        if sum(value is not None for value in (self.path, self.content, self.sha256)) != 1:
            raise ValueError("give exactly one of 'path', 'content' and 'sha256'")
        return self


class TableRows(Body):
    """Rows of a parquet or CSV file as measurements."""

    file: FileBody
    latency: ColumnName = Field(description="Column with the latency")
    unit: Unit = Field("ms", description="Unit of that column")
    archs: list[ColumnName] = Field(
        default_factory=list,
        max_length=512,
        description="Columns that say which arch: axes of the supernet, or one with arch ids or JSON; "
        "none: every axis that the table has",
    )
    strict: bool = Field(False, description="Take nothing if any row is refused")
    accept_jumps: bool = Field(
        False,
        description="Take rows that lie about 1000x from the rest, which otherwise count as another unit",
    )


class ArchColumn(Body):
    """A column that says something about the arch."""

    column: ColumnName
    read: Literal["value", "digits", "words"] | None = Field(
        None,
        description="As one axis, one axis a digit, or one axis a word; found from the cells if not given",
    )


class CostColumn(Body):
    """A column with a closed-form count."""

    column: ColumnName
    unit: Literal["1", "K", "M", "G"] = Field("1", description="What the column counts in")


class TableSpace(Body):
    """A space that has no supernet here: the archs of a table, and every combination of their choices."""

    file: FileBody
    archs: list[ArchColumn] = Field(min_length=1, max_length=512, description="Columns that make an arch")
    depth_axis: ColumnName | None = Field(
        None, description="The arch column that says how many positions of the split columns count"
    )
    params: CostColumn | None = None
    macs: CostColumn | None = None
