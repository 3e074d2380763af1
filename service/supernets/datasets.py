"""Which data sets requests and manifests may name, whether their files are on this machine, and what they hold."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import BaseModel, JsonValue

from service.errors import InvalidError
from service.http import import_folder
from service.settings import Settings
from supernets.child import ChildError, ChildFailedError, Progress, call
from supernets.data_facts.report import DataReport
from supernets.data_facts.spec import BYTES, FORMS, OF_SUPERNET, DataSpec
from supernets.errors import DataError, UnknownNameError
from supernets.manifest import Manifest
from supernets.records import SplitRecord

RULE = f"a data set: {FORMS}, and its options"
LOAD_TIMEOUT_S = 600
REPORTED = 2_000
"""Images that a report for a dry run decodes at most."""
Spec = str | DataSpec
log = logging.getLogger("netwright.supernets")


def allowed_data(settings: Settings, spec: Spec, field: str) -> str:
    """A data set that this service may read, as text, its path absolute.

    A path must lie inside the import folder; it may be absolute where it was recorded by a training.

    Raises:
        InvalidError: names ``field``.
    """
    try:
        parsed = DataSpec.parse(spec)
    except (DataError, UnknownNameError) as error:
        raise InvalidError(field, str(spec), RULE, f"{field}: {error}") from error
    if parsed.tokenizer not in (BYTES, OF_SUPERNET):
        inside = _below(settings.import_dir, parsed.tokenizer)
        tokenizer = import_folder.check_tree(settings.import_dir, inside, field)
        parsed = parsed.model_copy(update={"tokenizer": str(tokenizer)})
    if not parsed.is_path:
        return str(parsed)
    relative = _below(settings.import_dir, parsed.location)
    place = import_folder.check_tree(settings.import_dir, relative, field)
    return str(parsed.model_copy(update={"location": str(place)}))


def _below(folder: Path | None, path: str) -> str:
    """An absolute path inside the import folder, as one relative to it; any other as it is."""
    root = folder.resolve() if folder is not None else None
    if root is not None and Path(path).is_absolute() and Path(path).is_relative_to(root):
        return str(Path(path).relative_to(root))
    return path


def require_data(field: str, spec: str, settings: Settings) -> None:
    """Refuse a data set that is unknown or absent; the message names where it was looked for and how to get it.

    Nothing is remembered: files may come and go. The hub is not queried here, but by the job that loads the data.
    """
    from supernets.data import check_data

    try:
        check_data(spec, settings.data)
    except (DataError, UnknownNameError) as error:
        allowed = "a data set whose files are on this machine"
        raise InvalidError(field, spec, allowed, f"{field}: {error}") from error


def require_images(supernet: str, spec: str, settings: Settings, field: str = "supernet") -> None:
    """Refuse a supernet whose images are not at the place in its manifest, or where this service may not read them."""
    try:
        require_data(field, allowed_data(settings, spec, field), settings)
    except InvalidError as error:
        command = "add --path PATH" if field == "data" else f"update {supernet}"
        words = (
            f"{field}: the images of {supernet!r} were looked for at {spec!r}: {error}; state where they are with "
            f"'data' (netwright supernets {command} --data folder:PATH), inside NETWRIGHT_IMPORT_DIR"
        )
        raise InvalidError(field, spec, "a data set that this service may read", words) from error


def proven_data(settings: Settings, spec: Spec, manifest: Manifest, directory: Path) -> str:
    """The text of ``spec`` where its splits have the hashes of a manifest; loads every example, in a child process.

    ``directory`` holds the supernet, whose tokenizer texts are read by.

    Options that ``spec`` leaves out are those that the manifest records for the same source.

    Raises:
        InvalidError: the data may not be read, cannot be loaded, or are others.
    """
    recorded = DataSpec.parse(manifest.data.name)
    parsed = DataSpec.parse(allowed_data(settings, spec, "data"))
    if parsed.source == recorded.source and not parsed.options():
        parsed = recorded.model_copy(update={"location": parsed.location})
    try:
        request = _request(settings, str(parsed), directory)
        answer = call(_split_hashes, request, timeout_s=LOAD_TIMEOUT_S)
        splits = {name: SplitRecord.model_validate(found) for name, found in answer.items()}
    except ChildError as error:
        raise InvalidError("data", str(spec), "data that can be loaded", f"data: {_reason(error)}") from error
    for name, recorded_split in manifest.data.splits.items():
        if splits[name] != recorded_split:
            raise InvalidError(
                "data",
                str(spec),
                f"the data that {manifest.name!r} was trained on",
                f"data: {name} must have the {recorded_split.n} images that {manifest.name!r} was trained on (hash "
                f"{recorded_split.sha256[:12]}), but that of {str(parsed)!r} has {splits[name].n} (hash "
                f"{splits[name].sha256[:12]})",
            )
    return str(parsed)


def report_on(settings: Settings, spec: str) -> DataReport | None:
    """The report of own images, from a sample that is decoded in a child process; None for built-in data sets."""
    if not DataSpec.parse(spec).is_path:
        return None
    try:
        return DataReport.model_validate(call(_report, _request(settings, spec), timeout_s=LOAD_TIMEOUT_S))
    except ChildError as error:
        raise InvalidError("data", spec, "data that can be looked at", f"data: {_reason(error)}") from error


def _reason(error: ChildError) -> str:
    """A refusal that a child process raised on purpose; anything else is for the log."""
    log.warning("loading data in a child process failed: %s", error)
    on_purpose = isinstance(error, ChildFailedError) and error.is_a(DataError)
    return str(error) if on_purpose else "the data could not be loaded"


class DataRequest(BaseModel):
    """A data set to load in a child process."""

    spec: str
    data_dir: Path | None
    beside: Path | None = None


def _request(settings: Settings, spec: str, beside: Path | None = None) -> dict[str, JsonValue]:
    folder = settings.data.resolve() if settings.data is not None else None
    return DataRequest(spec=spec, data_dir=folder, beside=beside).model_dump(mode="json")


def _split_hashes(request: dict[str, JsonValue], _progress: Progress) -> dict[str, JsonValue]:
    from supernets.data import load_data

    asked = DataRequest.model_validate(request)
    found: dict[str, JsonValue] = load_data(asked.spec, asked.data_dir, beside=asked.beside).describe()[
        "splits"
    ]
    return found


def _report(request: dict[str, JsonValue], _progress: Progress) -> dict[str, object]:
    from supernets.data import data_report

    asked = DataRequest.model_validate(request)
    return data_report(asked.spec, asked.data_dir, REPORTED).model_dump(mode="json")
