"""How the size of the stored images fits the resolutions of a family."""

from __future__ import annotations

from supernets.data_facts.report import DataReport, Problem
from supernets.families.family import Family


def resolution_problems(report: DataReport, family: Family) -> list[Problem]:
    """Warnings where images are stored much larger or smaller than the networks of a family read them."""
    space = family.space()
    smallest, largest = (family.dimensions(arch).get("height") for arch in (space.min(), space.max()))
    stored = report.resolution
    if stored is None or smallest is None or largest is None:
        return []
    read = f"{largest}" if smallest == largest else f"{smallest} to {largest}"
    if stored > largest:
        message = (
            f"images are stored at {stored} pixels, but the networks of this family read {read}: details are lost; "
            f"resolution={largest} stores them at that size, a family with larger resolutions sees more of them"
        )
        return [Problem(level="warning", code="stored_larger", message=message)]
    if 2 * stored <= largest:
        message = (
            f"images are stored at {stored} pixels, but the networks of this family read {read}: they are enlarged; a "
            f"family with smaller resolutions costs less"
        )
        return [Problem(level="warning", code="stored_smaller", message=message)]
    return []
