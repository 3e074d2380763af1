"""Evaluations on a part of the validation images, on the scale of those on all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy.orm import Session

from predictors.quality.parts import Shift
from service.db.tables import Measurement, Supernet
from service.measurements.queries import measured_rows, part_scope, scope_of
from service.supernets.images import validation_images
from supernets.spaces.space import Arch, Choice

PROMPTED = "more"
"""Steps that evaluate on all images because of the result on a part: such subnets were selected, and are no pairs."""


class Shifted(NamedTuple):
    """An arch, its quality on a part as an estimate of that on all images, and the standard error of the estimate."""

    arch: Mapping[str, Choice]
    value: float
    error: float


class PartRows(NamedTuple):
    """Evaluations by arch id: on all images and on parts (one for each arch, that on most images), and the archs."""

    whole: dict[str, Measurement]
    part: dict[str, Measurement]
    archs: dict[str, dict[str, Choice]]


def part_rows(session: Session, project: str, supernet: Supernet, split: str = "validation") -> PartRows:
    """What is stored of a supernet's quality on the images that the split has now."""
    metric = supernet.quality
    current = supernet.manifest["data"]["splits"][split]["sha256"]
    archs: dict[str, dict[str, Choice]] = {}
    found: list[dict[str, Measurement]] = []
    for scope in (scope_of(None, split), part_scope(split)):
        rows: dict[str, Measurement] = {}
        for arch, row in measured_rows(session, project, supernet.id, metric, scope):
            id = Arch(tuple(arch.items())).id
            if row.details.get("split_sha256") in (None, current) and row.n >= (
                rows[id].n if id in rows else 0
            ):
                rows[id], archs[id] = row, arch
        found.append(rows)
    return PartRows(found[0], found[1], archs)


def pairs_of(rows: PartRows, images: int) -> list[str]:
    """Archs evaluated on this many images and, whatever the result was, on all."""
    return [
        id
        for id, row in rows.part.items()
        if row.n == images and id in rows.whole and not rows.whole[id].step.startswith(PROMPTED)
    ]


def shift_of(rows: PartRows, images: int, all_images: int, errors: Sequence[float] = ()) -> Shift:
    """What a quality on this many images is shifted by.

    ``errors`` are standard errors of such qualities, for where no row with this many images is stored.
    """
    pairs = pairs_of(rows, images)
    stated = [_stated(row) for row in rows.part.values() if row.n == images] or list(errors)
    return Shift.of(
        np.array([rows.whole[id].value for id in pairs]),
        np.array([rows.part[id].value for id in pairs]),
        np.array(stated),
        images / all_images,
    )


def shifted_parts(session: Session, project: str, supernet: Supernet) -> Sequence[Shifted]:
    """Every subnet that was evaluated on a part of the validation images only."""
    rows = part_rows(session, project, supernet)
    if not rows.part:
        return []
    total = validation_images(supernet)
    shifts = {n: shift_of(rows, n, total) for n in {row.n for row in rows.part.values()}}
    return [
        Shifted(rows.archs[id], row.value + shifts[row.n].offset, shifts[row.n].error)
        for id, row in rows.part.items()
        if id not in rows.whole
    ]


def _stated(row: Measurement) -> float:
    """The stored standard error, or that of half an error where none is stored or it is 0."""
    return row.spread if row.spread and math.isfinite(row.spread) else 0.5 / row.n
