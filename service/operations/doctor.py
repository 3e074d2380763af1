"""``netwright doctor``: whether the parts of an installation work, and what to do where one does not.

A check is a function of the place that yields findings, and a line in ``CHECKS``. Those of ``STORED`` read the database
and run only where it answers and has this version's schema. Checks change nothing; two write a file and remove it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import sqlalchemy as sa
from pydantic import ValidationError

from service.db.session import Database
from service.errors import ServiceError
from service.operations import machine, network, storage, work
from service.operations.findings import Finding, Place, error
from service.settings import Settings, setting_fault, without_password

Check = Callable[[Place], Iterable[Finding]]
CHECKS: Mapping[str, Check] = {
    "packages": machine.packages,
    "runtime": machine.runtime,
    "threads": machine.threads,
    "settings": network.environment,
    "folders": storage.folders,
    "disk": storage.disk,
    "artifacts": storage.artifacts,
    "database": storage.database,
    "address": network.address,
}
STORED: Mapping[str, Check] = {
    "access": network.access,
    "workers": work.workers,
    "queue": work.queue,
    "clock": work.clock,
}


def diagnose() -> list[Finding]:
    """Findings of all checks, in their order."""
    try:
        settings = Settings()
    except ValidationError as fault:
        found = [setting_fault(each) for each in fault.errors()]
        return [error("settings", each, "correct the variable (docs/settings.md)") for each in found]
    database = _open(settings)
    place = Place(settings, database)
    try:
        findings = [found for name, check in CHECKS.items() for found in _run(name, check, place)]
        usable = not any(found.check == "database" and found.status == "error" for found in findings)
        if usable:
            findings += [found for name, check in STORED.items() for found in _run(name, check, place)]
    finally:
        if database is not None:
            database.dispose()
    return findings


def _open(settings: Settings) -> Database | None:
    try:
        return Database(settings.database, must_exist=True)
    except ServiceError:  # the check of the database reports it
        return None


def _run(name: str, check: Check, place: Place) -> list[Finding]:
    """The findings of a check; what it raises is one."""
    try:
        return list(check(place))
    except (ServiceError, sa.exc.SQLAlchemyError, OSError) as fault:
        reason = without_password(str(getattr(fault, "orig", None) or fault).strip().replace("\n", " "))
        return [error(name, f"this could not be checked: {reason}", "see the other findings")]


def worst(findings: Iterable[Finding]) -> str:
    """``error``, ``warning`` or ``ok``: the worst of the findings."""
    found = {each.status for each in findings}
    return next((status for status in ("error", "warning") if status in found), "ok")
