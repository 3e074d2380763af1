"""What ``netwright data`` does, with the server's packages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from netwright.errors import NetwrightError
from netwright.installed import server_packages

if TYPE_CHECKING:
    from supernets.data_facts.report import DataReport, Problem


def check(spec: str, sheet: Path | None, images: int | None, family: Path | None) -> dict[str, Any]:
    """The data report with its details; writes the contact sheet where images could be decoded.

    With a ``family`` it also reports how the size of the stored images fits its networks.
    """
    with server_packages():
        from supernets.data import look_at
        from supernets.data.sheet import contact_sheet

        look = look_at(spec, limit=images)
        if sheet is not None and look.piles:
            try:
                sheet.write_bytes(contact_sheet(look.piles, look.classes))
            except OSError as error:
                raise NetwrightError(f"--sheet must name a file that can be written: {error}") from error
        if family is not None:
            look.report.problems.extend(_of_family(look.report, family))
        report: dict[str, object] = look.report.model_dump(mode="json")
        return report


def _of_family(found: DataReport, path: Path) -> list[Problem]:
    from supernets import FAMILIES
    from supernets.training.plan import read_family
    from supernets.training.sizes import resolution_problems

    request = read_family(path)
    return resolution_problems(found, FAMILIES.load(request.name).from_config(dict(request.settings)))
