"""Supernet directories in and out of the artifact store."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from service.artifacts import ArtifactStore, hash_file, own_artifact
from service.db.queries import every, find, named
from service.db.tables import Supernet
from service.errors import ConflictError, InvalidError
from service.http import import_folder
from service.ids import new_id
from service.runtime import job_queries
from service.settings import Settings
from supernets.child import ChildError, ChildFailedError, Progress, call
from supernets.errors import CheckpointError, SupernetError
from supernets.families.family import Family
from supernets.manifest import MANIFEST_FILE, WEIGHTS_FILE, Manifest

METRICS_FILE, TOKENIZER_FILE = "metrics.jsonl", "tokenizer.json"
MAX_FILES: dict[str, int] = {
    MANIFEST_FILE: 8 << 20,
    TOKENIZER_FILE: 64 << 20,
    WEIGHTS_FILE: 4 << 30,
    "curve.png": 16 << 20,
    "front.png": 16 << 20,
    METRICS_FILE: 256 << 20,
    "report.md": 4 << 20,
}
"""The files of a supernet directory that are stored, and the most bytes of each."""
MEDIA_TYPES = {".json": "application/json", ".png": "image/png", ".md": "text/markdown"}
CHECK_TIMEOUT_S = 300
MAX_CHOICES = 20
log = logging.getLogger("netwright.supernets")


@contextmanager
def imported_copy(settings: Settings, path: str, field: str) -> Iterator[Path]:
    """A private copy of a supernet directory in the import folder, so that nothing changes while it is checked.

    Raises:
        InvalidError: names ``field``; see :func:`service.http.import_folder.open_file`.
    """
    existing = import_folder.list_folder(settings.import_dir, path, field)
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="import-", dir=settings.home) as folder:
        copy = Path(folder) / (Path(path).name or "supernet")
        copy.mkdir()
        for name, max_bytes in MAX_FILES.items():
            if name in existing:
                source = f"{path}/{name}"
                import_folder.copy_file(settings.import_dir, source, field, max_bytes, copy / name)
        yield copy


def check(directory: Path) -> Manifest:
    """The manifest of a supernet directory whose weights have the hash it names; raises ``CheckpointError``."""
    manifest = Manifest.read(directory)
    weights = directory / WEIGHTS_FILE
    if not weights.is_file():
        raise CheckpointError(f"a supernet directory must hold {WEIGHTS_FILE}, {directory.name!r} does not")
    got = hash_file(weights)
    if got != manifest.weights_sha256:
        raise CheckpointError(f"{WEIGHTS_FILE} must have SHA-256 {manifest.weights_sha256}, got {got}")
    return manifest


def check_fully(directory: Path) -> Manifest:
    """Like :func:`check`, and every tensor fits its network; in a process of its own, which needs torch."""
    manifest = check(directory)
    try:
        call(_load, str(directory), timeout_s=CHECK_TIMEOUT_S)
    except ChildError as error:
        log.warning("checking the supernet %r failed: %s", directory.name, error)
        on_purpose = isinstance(error, ChildFailedError) and error.is_a(SupernetError)
        reason = str(error) if on_purpose else "its weights could not be loaded"
        raise CheckpointError(f"{directory.name!r} does not hold a supernet: {reason}") from error
    return manifest


def _load(directory: str, _progress: Progress) -> None:
    from supernets.checkpoints import load_supernet

    load_supernet(Path(directory))


def put_directory(store: ArtifactStore, directory: Path) -> dict[str, Any]:
    """Store the files of a supernet directory; returns name to ``{"sha256", "bytes"}``."""
    files = {}
    for name in MAX_FILES:
        if not (directory / name).is_file():
            continue
        sha256, size = store.put_file(directory / name)
        files[name] = {"sha256": sha256, "bytes": size}
    return files


def add_supernet(
    session: Session, project: str, name: str, source: str, manifest: Manifest, files: dict[str, Any]
) -> Supernet:
    """The row of a supernet whose files are stored."""
    for file, entry in files.items():
        media_type = MEDIA_TYPES.get(Path(file).suffix, "application/octet-stream")
        own_artifact(session, project, entry["sha256"], entry["bytes"], media_type, f"{name}-{file}")
    row = Supernet(
        id=new_id("sup"),
        project_id=project,
        name=name,
        source=source,
        weights_sha256=manifest.weights_sha256,
        manifest=manifest.as_json(),
        files=files,
    )
    session.add(row)
    session.flush()
    return row


def materialise(
    store: ArtifactStore, files: Mapping[str, Mapping[str, Any]], cache: Path, *more: str
) -> Path:
    """A directory with weights, manifest, tokenizer and ``more`` of these files, each checked by its hash.

    It is made once a machine.
    """
    named = [name for name in (WEIGHTS_FILE, MANIFEST_FILE, TOKENIZER_FILE, *more) if name in files]
    directory = cache.joinpath(*(files[name]["sha256"][:16] for name in named))
    for name in named:
        store.fetch(files[name]["sha256"], directory / name)
    return directory


def named_network(session: Session, project: str, text: str, field: str) -> Supernet:
    """The project's supernet that a request's field names, by id or name; it has networks."""
    row = named(session, project, Supernet, text)
    if row is not None and WEIGHTS_FILE in row.files:
        return row
    allowed = network_names(session, project) or "none yet: POST /v1/supernets first"
    got = f"{text!r} is the space of a table, without networks" if row else f"there is no supernet {text!r}"
    raise InvalidError(field, text, allowed, f"{field}: {got}")


def network_names(session: Session, project: str) -> list[str]:
    """Names of the newest supernets that have networks."""
    rows = every(session, project, Supernet)
    return list(dict.fromkeys(row.name for row in rows if WEIGHTS_FILE in row.files))[:MAX_CHOICES]


def require_free(session: Session, project: str, name: str) -> None:
    """Refuse a name that a supernet has, or that a job will give to one."""
    job_queries.require_unreserved(session, project, "supernet", name)
    if find(session, project, Supernet, name=name) is not None:
        raise ConflictError(f"a supernet is called {name!r} already; give another name")


def require_network(row: Supernet) -> None:
    """Refuse what needs networks of a supernet that is only the space of a table."""
    if WEIGHTS_FILE not in row.files:
        raise ConflictError(
            f"supernet {row.name!r} ({row.id}) is the space of a table: it has no networks, so nothing of it can be "
            f"evaluated, measured here, searched or exported; predictors can be fitted to its rows"
        )


def register_space(
    session: Session, project: str, store: ArtifactStore, manifest: Manifest
) -> tuple[Supernet, bool]:
    """The row of a space without networks, which keeps its manifest and nothing else; and whether it is new.

    Raises:
        ConflictError: another supernet or space has this name.
    """
    row = find(session, project, Supernet, name=manifest.name)
    if row is not None:
        if row.space_sha256 != manifest.space_sha256 or row.source != "table":
            raise ConflictError(
                f"another supernet or space is called {row.name!r} ({row.id}); give another name, or import its rows "
                f"as those of supernet {row.name!r}"
            )
        return row, False
    content = json.dumps(manifest.as_json(), sort_keys=True).encode()
    files = {MANIFEST_FILE: {"sha256": store.put(content), "bytes": len(content)}}
    return add_supernet(session, project, manifest.name, "table", manifest, files), True


def manifest_of(row: Supernet) -> Manifest:
    """The manifest of a registered supernet, which was checked when it was registered."""
    return Manifest.model_validate(row.manifest)


def family_of(row: Supernet) -> Family:
    """The family of a registered supernet."""
    return _family(json.dumps([row.family, row.config], sort_keys=True))


def family_of_manifest(manifest: Manifest) -> Family:
    """The family of a supernet that is not registered yet."""
    return _family(json.dumps([manifest.family, manifest.config], sort_keys=True))


@lru_cache(maxsize=32)
def _family(text: str) -> Family:
    from supernets import FAMILIES

    name, config = json.loads(text)
    family: Family = FAMILIES.load(name).from_config(config)
    return family
