"""Released once-for-all supernets: a file in the import folder becomes a supernet directory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, Field, JsonValue

from service.errors import InvalidError
from service.http import import_folder
from service.http.schemas import Body
from service.settings import Settings
from service.supernets.datasets import LOAD_TIMEOUT_S, Spec, allowed_data
from supernets.child import ChildError, ChildFailedError, Progress, call
from supernets.data_facts.spec import DataSpec
from supernets.errors import DataError, SupernetError
from supernets.manifest import Manifest
from supernets.official import imagenet

MAX_FILE_BYTES = 1 << 30


class OfficialFile(Body):
    """A file that once-for-all released."""

    kind: str = Field(description="Name of the released supernet", examples=["ofa_mbv3_d234_e346_k357_w1.0"])
    file: str = Field(description="Path of the file, relative to NETWRIGHT_IMPORT_DIR")


class ImportRequest(BaseModel):
    """A released file to convert in a child process, and the directory to write."""

    kind: str
    file: Path
    data: str
    directory: Path
    data_dir: Path | None


@contextmanager
def official_directory(
    settings: Settings, official: OfficialFile, data: Spec
) -> Iterator[tuple[Manifest, Path]]:
    """The manifest and a temporary directory of the supernet of a released file.

    ``data`` names ImageNet images: 256 pixels and colour unless it has options for that.

    Raises:
        InvalidError: names ``official.file`` or ``data``.
    """
    text = allowed_data(settings, _colour(data), "data")
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="import-", dir=settings.home) as folder:
        copy, directory = Path(folder) / (Path(official.file).name or "file"), Path(folder) / "supernet"
        import_folder.copy_file(settings.import_dir, official.file, "official.file", MAX_FILE_BYTES, copy)
        folder_of_data = settings.data.resolve() if settings.data is not None else None
        request = ImportRequest(
            kind=official.kind, file=copy, data=text, directory=directory, data_dir=folder_of_data
        )
        try:
            call(_import, request.model_dump(mode="json"), timeout_s=LOAD_TIMEOUT_S)
        except ChildError as error:
            on_purpose = isinstance(error, ChildFailedError) and error.is_a(SupernetError)
            reason = str(error) if on_purpose else "the file could not be imported"
            if isinstance(error, ChildFailedError) and error.is_a(DataError):
                images = "colour images of ImageNet's classes"
                raise InvalidError("data", text, images, f"data: {reason}") from error
            allowed = "a released once-for-all file of this kind, and ImageNet images"
            raise InvalidError("official.file", official.file, allowed, f"official.file: {reason}") from error
        yield Manifest.read(directory), directory


def _colour(data: Spec) -> DataSpec:
    spec = DataSpec.parse(data)
    fixed: dict[str, object] = {"channels": 3, "resolution": imagenet.BASE_RESOLUTION}
    return spec.model_copy(update={key: value for key, value in fixed.items() if getattr(spec, key) is None})


def _import(request: dict[str, JsonValue], _progress: Progress) -> None:
    from supernets.data import load_data
    from supernets.official.nets import official_kind
    from supernets.official_import import import_official

    found = ImportRequest.model_validate(request)
    official_kind(found.kind)  # a wrong name is refused before any image is read
    import_official(found.kind, found.file, lambda: load_data(found.data, found.data_dir), found.directory)
