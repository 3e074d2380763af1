"""Files of measurements into the artifact store, and a first look at them before a job is started."""

from __future__ import annotations

from predictors.tables.archs import arch_columns
from predictors.tables.read import read_table
from service.measurements.schemas import TableRows
from supernets.families.family import Family

MEDIA_TYPE = "application/octet-stream"


def look(content: bytes, body: TableRows, family: Family) -> list[str]:
    """Check that the file is whole and has the columns named; returns those that identify the arch of a row.

    Raises:
        TableError: what is wrong, and the columns there are.
    """
    columns = arch_columns(family, read_table(content).names, body.archs)
    read_table(content, [*columns, body.latency])
    return columns
