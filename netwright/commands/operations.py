"""``netwright backup | restore | prune | doctor | healthy``: on the server, straight at its database and artifacts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from netwright.client.resource import counted
from netwright.installed import server_packages
from netwright.output.printing import EXIT_REFUSED, Json, Line, Section, show
from netwright.progress import Shown, bar

File = Annotated[Path, typer.Argument(help="A file; its folder is made if it is not there.")]


def backup(
    file: File,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out artifacts that are gone or damaged.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Save the database and all artifacts in one file, while the service runs; the file is read back and verified."""
    with server_packages(), bar("backup") as progress:
        from service.operations.backup import back_up
        from service.run import require_schema
        from service.settings import Settings

        settings = Settings()
        require_schema(settings)
        made = back_up(
            settings,
            file,
            lambda step, done, total: progress(Shown(step, done, total)),
            skip_damaged=skip_damaged,
        )
    manifest = made.manifest
    answer = {
        "file": str(file.resolve()),
        "bytes": made.bytes,
        "database": manifest.database,
        "schema": manifest.schema_version,
        "rows": manifest.rows,
        "artifacts": len(manifest.artifacts),
        "artifact_bytes": manifest.artifact_bytes,
        "damaged": made.damaged,
    }
    held = f"{counted(manifest.rows, 'row')} and {counted(len(manifest.artifacts), 'artifact')}"
    sections: list[Section] = [Line(f"{file}: {held}, {made.bytes / 1e6:.1f} MB, read back and verified")]
    if made.damaged:
        words = f"without {counted(len(made.damaged), 'artifact')} that are gone or damaged: {', '.join(made.damaged)}"
        sections.append(Line(words, warning=True))
    show(answer, sections, as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `netwright backup` wrote.")],
    check: Annotated[bool, typer.Option("--check", help="Only verify the file.")] = False,
    as_json: Json = False,
) -> None:
    """Load a backup into the database and artifact store of the settings, which must not have been used.

    The backup may be of the other kind of database. Nothing is written before all of the file is verified.
    """
    with server_packages(), bar("restore") as progress:
        from service.operations import archive
        from service.operations.restore import restore as load
        from service.settings import Settings, without_password

        def on_step(step: str, done: int, total: int) -> None:
            progress(Shown(step, done, total))

        settings = Settings()
        manifest = archive.verify(file, on_step) if check else load(settings, file, on_step)
        where = without_password(settings.database)
    answer = {
        "file": str(file.resolve()),
        "restored": not check,
        "database": None if check else where,
        "rows": manifest.rows,
        "artifacts": len(manifest.artifacts),
        "schema": manifest.schema_version,
        "created_at": manifest.created_at.isoformat(),
        "netwright": manifest.netwright,
    }
    held = f"{counted(manifest.rows, 'row')} and {counted(len(manifest.artifacts), 'artifact')}"
    done = f"{file} is whole: {held}" if check else f"{held} restored into {where}"
    show(answer, [Line(f"{done}, backed up at {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC")], as_json)


def prune(
    days: Annotated[
        float | None,
        typer.Option(min=0, help="Unused for this many days; by default NETWRIGHT_KEEP_UNUSED_DAYS."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
    as_json: Json = False,
) -> None:
    """Delete artifacts that nothing refers to, and what trainings that have ended left; a worker does so once a day."""
    with server_packages():
        from service.operations.retention import prune as delete
        from service.run import require_schema
        from service.settings import Settings

        settings = Settings()
        require_schema(settings)
        kept = settings.keep_unused_days if days is None else days
        found = delete(settings, kept, dry_run=dry_run)
    verb = "would be deleted" if dry_run else "deleted"
    parts = (
        f"{counted(len(found.artifacts) + len(found.files), 'artifact')} ({found.bytes / 1e6:.1f} MB)",
        f"{counted(len(found.trainings), 'folder')} of trainings ({found.training_bytes / 1e6:.1f} MB)",
    )
    waiting = found.unused - len(found.artifacts)
    lines: list[Section] = [Line(f"{verb}: {' and '.join(parts)}")]
    if waiting:
        lines.append(Line(f"{counted(waiting, 'artifact')} unused for less than {kept:g} days"))
    show({"dry_run": dry_run, "days": kept, **asdict(found)}, lines, as_json)


def doctor(as_json: Json = False) -> None:
    """Check this installation: packages, folders, database, workers, queue, address, keys, runtimes, clocks.

    Exit status 1: something does not work. Warnings leave it at 0.
    """
    with server_packages():
        from service.operations.doctor import diagnose, worst

        findings = diagnose()
    status = worst(findings)
    answer = {"status": status, "findings": [asdict(finding) for finding in findings]}
    sections: list[Section] = []
    for found in findings:
        sections.append(Line(f"{found.status:<8} {found.check:<10} {found.message}"))
        if found.action:
            sections.append(Line(f"{'':<19} -> {found.action}"))
    show(answer, sections, as_json)
    if status == "error":
        raise typer.Exit(EXIT_REFUSED)


def healthy(
    worker: Annotated[
        bool, typer.Option("--worker", help="Check the worker of this machine instead of the service.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Exit with status 0 if the service of this machine answers: the health check of containers."""
    with server_packages():
        from service.operations.healthy import require_service, require_worker
        from service.settings import Settings

        (require_worker if worker else require_service)(Settings())
    show({"healthy": True}, [Line("healthy")], as_json)
