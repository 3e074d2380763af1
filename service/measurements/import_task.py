"""The task of a child process that reads what users brought: a pure function of its payload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from predictors.tables.archs import reader
from predictors.tables.check import Stored, check_rows
from predictors.tables.read import read_table
from service.artifacts import ArtifactStore
from supernets import FAMILIES
from supernets.families.family import Family

Payload = dict[str, Any]
Progress = Callable[..., None]
SHOWN = 100


def check(payload: Payload, progress: Progress) -> dict[str, Any]:
    """Check the rows of a stored file.

    Returns ``population``, ``values`` (ms), ``counts`` and ``spreads`` of what can be stored, and a ``summary``.
    """
    family: Family = FAMILIES.load(payload["family"]).from_config(payload["config"])
    space, wanted = family.space(), payload["table"]
    content = ArtifactStore(payload["artifacts"]).read(wanted["file"])
    progress(0, 2, "reading the file")
    table = read_table(content, [*wanted["archs"], wanted["latency"]])
    progress(1, 2, f"checking {table.rows} rows")
    stored = payload["stored"]
    population = np.array(stored["population"], dtype=np.int64).reshape(len(stored["values"]), space.d)
    checked = check_rows(
        table,
        family,
        reader(family, wanted["archs"], payload["known"]),
        wanted["archs"],
        wanted["latency"],
        wanted["unit"],
        stored=Stored(population, np.array(stored["values"], dtype=np.float64)),
        batch=payload["batch"],
        accept_jumps=wanted["accept_jumps"],
    )
    return {
        "population": checked.population.tolist(),
        "values": checked.values.tolist(),
        "counts": checked.counts.tolist(),
        "spreads": checked.spreads,
        "summary": checked.summary(SHOWN),
    }
