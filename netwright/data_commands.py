"""What ``netwright data`` does, with the server's packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netwright.errors import NetwrightError
from netwright.installed import server_packages


def check(spec: str, sheet: Path | None, images: int | None) -> dict[str, Any]:
    """The data report with its details; writes the contact sheet where images could be decoded."""
    with server_packages():
        from supernets.data import look_at
        from supernets.data.sheet import contact_sheet

        look = look_at(spec, limit=images)
        if sheet is not None and look.piles:
            try:
                sheet.write_bytes(contact_sheet(look.piles, look.classes))
            except OSError as error:
                raise NetwrightError(f"--sheet must name a file that can be written: {error}") from error
        report: dict[str, object] = look.report.model_dump(mode="json")
        return report
