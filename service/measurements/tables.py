"""Files of measurements into the artifact store, and a first look at them before a job is started."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy.orm import Session

from predictors.tables.archs import arch_columns
from predictors.tables.costs import as_config, fit_costs
from predictors.tables.read import MAX_BYTES, read_table
from service.artifacts import ArtifactStore
from service.db import queries
from service.errors import InvalidError
from service.http.deps import Services
from service.measurements.table_schemas import CostColumn, FileBody, TableRows, TableSpace
from service.supernets.checkpoints import inside
from supernets.errors import ArchError
from supernets.families.family import Family
from supernets.families.table import COSTS
from supernets.manifest import Manifest
from supernets.spaces.columns import Cell, Layout, number
from supernets.spaces.space import Population, Space

MEDIA_TYPE = "application/octet-stream"
FACTORS = {"1": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}


def content_of(session: Session, project: str, app: Services, body: FileBody, field: str) -> bytes:
    """The bytes that a request means; raises ``InvalidError`` where there are none, or too many."""
    if body.sha256 is not None:
        queries.artifact_by_hash(session, project, body.sha256)
        return app.store.read(body.sha256)
    if body.path is not None:
        path = inside(app.settings.import_dir, body.path, f"{field}.path")
        if not path.is_file():
            raise InvalidError(f"{field}.path", body.path, "a file, not a folder")
        if path.stat().st_size > MAX_BYTES:
            raise InvalidError(f"{field}.path", f"{path.stat().st_size} bytes", f"at most {MAX_BYTES} bytes")
        return path.read_bytes()
    try:
        return base64.b64decode(body.content or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidError(
            f"{field}.content", "…", "a file in base64", f"{field}.content: {error}"
        ) from error


def keep(session: Session, project: str, store: ArtifactStore, content: bytes) -> str:
    """Store a brought file where the project may read it; returns its SHA-256."""
    sha256 = store.put(content)
    queries.own_artifact(session, project, sha256, len(content), MEDIA_TYPE, f"table-{sha256[:12]}")
    return sha256


def look(content: bytes, body: TableRows, family: Family) -> list[str]:
    """Check that the file is whole and has the columns named; returns those that say which arch a row is.

    Raises:
        TableError: what is wrong, and the columns there are.
    """
    columns = arch_columns(family, read_table(content).names, body.archs)
    read_table(content, [*columns, body.latency])
    return columns


def space_manifest(content: bytes, name: str, body: TableSpace) -> Manifest:
    """What the space of a table says of itself; nothing of it is trained, so that most fields are empty.

    Raises:
        TableError, SpaceError: a column that is not there, or columns that make no space.
    """
    counts = {metric: column for metric in COSTS if (column := getattr(body, metric)) is not None}
    names = [each.column for each in body.archs]
    table = read_table(content, [*names, *(column.column for column in counts.values())])
    cells = {column: table[column] for column in names}
    readings = {each.column: each.read for each in body.archs}
    layout = Layout.infer(cells, readings, body.depth_axis, typed=table.typed)
    space = layout.space(cells)
    fitted = None
    if counts:
        population, rows = _encoded(space, layout, cells, table.rows)
        values = {
            metric: np.array([_count(table[column.column][row], column) for row in rows], dtype=np.float64)
            for metric, column in counts.items()
        }
        fitted = fit_costs(space, layout, population, values)
    costs = as_config(fitted) if fitted is not None else None
    return Manifest(
        name=name,
        family="table",
        config={"space": space.as_json(), "layout": layout.as_json(), "costs": costs},
        quality="none",
        weights_sha256=space.sha256,
        space_sha256=space.sha256,
        data={"name": "none", "splits": {}},
        preprocessing={},
        classes=[],
        recipe={},
        training={},
        report={
            "rows": table.rows,
            "layout": layout.as_json(),
            "cost_errors": fitted.errors if fitted else {},
        },
        licence="unknown",
    )


def _encoded(
    space: Space, layout: Layout, cells: Mapping[str, Sequence[Cell]], rows: int
) -> tuple[Population, list[int]]:
    """The archs of the rows that have one, and which rows those are."""
    archs, kept = [], []
    for row in range(rows):
        try:
            archs.append(space.arch(layout.choices({name: cells[name][row] for name in layout.names})))
        except ArchError:
            continue
        kept.append(row)
    return space.encode(archs), kept


def _count(cell: Cell, column: CostColumn) -> float:
    value = number(cell)
    return math.nan if value is None else value * FACTORS[column.unit]
