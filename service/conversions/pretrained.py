"""Pretrained transformers over HTTP: a folder of the import folder is checked, converted in a job, and registered."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sqlalchemy.orm import Session

from service.conversions.schemas import PretrainedCreate
from service.errors import InvalidError
from service.http import import_folder
from service.http.deps import Services
from service.problems import plain
from service.runtime import job_queries
from service.runtime.context import WorkContext
from service.runtime.task import Progress, StepData
from service.settings import Settings
from service.supernets.bench import StoredFile
from service.supernets.checkpoints import add_supernet
from service.supernets.datasets import allowed_data
from service.training.plan import facts_of
from supernets import TASKS
from supernets.child import ChildError, ChildFailedError, call
from supernets.errors import ConvertError, SupernetError
from supernets.manifest import Manifest

SMALL_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "preprocessor_config.json",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
)
POOLING = "1_Pooling"
WEIGHTS = (".safetensors", ".bin")
MAX_SMALL, MAX_WEIGHTS, MAX_NAMES = 64 << 20, 8 << 30, 1000
TIMEOUT_S = 300.0
RULE = (
    "a folder with config.json, weights and a tokenizer, as Hugging Face writes it, in NETWRIGHT_IMPORT_DIR"
)


class PretrainedParams(StepData):
    """Parameters of a conversion; the folder is read by the job."""

    name: str
    folder: str
    data: str
    task: str
    sequence: int | None


class CheckIn(StepData):
    """A copy of the small files of a folder, and what a request leaves open (None)."""

    folder: str
    data: str
    task: str | None
    sequence: int | None


class Fault(StepData):
    """Why a folder or request is refused; ``field`` None is the folder itself."""

    message: str
    field: str | None
    got: object
    allowed: object


class Checked(StepData):
    """The task and the sequence, or the fault."""

    task: str = ""
    sequence: int | None = None
    fault: Fault | None = None


class ConvertPretrainedIn(StepData):
    """A conversion on this machine."""

    params: PretrainedParams
    import_dir: str
    artifacts: str
    data_dir: str | None
    run_dir: str
    threads: int

    NEEDS_LESS = "a smaller network, or a machine with more"


class ConvertPretrainedOut(StepData):
    """The stored files of the supernet, and its manifest."""

    files: dict[str, StoredFile]
    manifest: dict[str, object]


class Registered(StepData):
    """The id of the registered supernet."""

    supernet: str


# --- the request -----------------------------------------------------------------------------------


def plan_pretrained(app: Services, body: PretrainedCreate) -> PretrainedParams:
    """The parameters of the job; nothing is stored.

    Raises:
        InvalidError: names ``folder``, ``data``, ``task``, ``quality`` or ``sequence``.
    """
    settings = app.settings
    task = _task(body)
    data = allowed_data(settings, body.data, "data")
    facts_of(settings, data, str(body.data))
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pretrained-", dir=settings.home) as made:
        copy = Path(made)
        for name in _copied(settings.import_dir, body.folder, copy):
            (copy / name).touch()  # weights are looked for by name, and read by the job
        request = CheckIn(folder=str(copy), data=data, task=task, sequence=body.sequence)
        try:
            found = Checked.model_validate(call(_check, request.model_dump(), timeout_s=TIMEOUT_S))
        except ChildError as error:
            on_purpose = isinstance(error, ChildFailedError) and error.is_a(SupernetError)
            reason = str(error) if on_purpose else "the process that looked at it ended early"
            raise InvalidError("folder", body.folder, RULE, f"folder: {reason}") from error
    if (fault := found.fault) is not None:
        field = fault.field or "folder"
        got = body.folder if field == "folder" else str(body.data) if field == "data" else fault.got
        raise InvalidError(field, plain(got), fault.allowed or RULE, f"{field}: {fault.message}")
    return PretrainedParams(
        name=body.name, folder=body.folder, data=data, task=found.task, sequence=found.sequence
    )


def _task(body: PretrainedCreate) -> str | None:
    """The task that a request names by itself or by its quality; None leaves it to the folder and the data."""
    if body.task is not None and body.task not in TASKS:
        raise InvalidError("task", body.task, list(TASKS))
    if body.quality is None:
        return body.task
    by_task: dict[str, str] = {name: TASKS.load(name).quality for name in TASKS}
    if body.task is not None and by_task[body.task] != body.quality:
        raise InvalidError("quality", body.quality, [by_task[body.task]])
    if body.quality not in by_task.values():
        raise InvalidError("quality", body.quality, sorted(set(by_task.values())))
    fitting = [name for name, quality in by_task.items() if quality == body.quality]
    return body.task or (fitting[0] if len(fitting) == 1 else None)


def _copied(root: Path | None, folder: str, to: Path) -> list[str]:
    """Copy the small files of a folder; returns the names of those with weights."""
    names = import_folder.list_folder(root, folder, "folder")
    if len(names) > MAX_NAMES:
        raise InvalidError("folder", folder, f"a folder of at most {MAX_NAMES} files")
    for name in SMALL_FILES:
        if name in names:
            import_folder.copy_file(root, f"{folder}/{name}", "folder", MAX_SMALL, to / name)
    if POOLING in names and "config.json" in import_folder.list_folder(root, f"{folder}/{POOLING}", "folder"):
        (to / POOLING).mkdir()
        place = f"{POOLING}/config.json"
        import_folder.copy_file(root, f"{folder}/{place}", "folder", MAX_SMALL, to / place)
    return [name for name in names if name.endswith(WEIGHTS)]


def _check(request: dict[str, object], _progress: Progress) -> dict[str, object]:
    """The fields of :class:`Checked`."""
    from supernets.pretrained.request import check_request

    asked = CheckIn.model_validate(request)
    try:
        found = check_request(Path(asked.folder), asked.data, asked.task, asked.sequence)
    except ConvertError as error:
        fault = Fault(message=str(error), field=error.field, got=error.got, allowed=error.allowed)
        return Checked(fault=fault).model_dump(mode="json")
    return Checked(task=found.task.name, sequence=found.sequence).model_dump(mode="json")


# --- the job ---------------------------------------------------------------------------------------


async def run(job: WorkContext) -> None:
    """Two steps: the files of the supernet are stored, then it is registered."""
    settings, params = job.settings, job.parameters(PretrainedParams)
    if settings.import_dir is None:
        raise InvalidError("folder", params.folder, "a worker with NETWRIGHT_IMPORT_DIR")
    job.window(0, 1, 1)
    await job.report(f"converting {params.name}")

    def keep(session: Session, result: ConvertPretrainedOut) -> Registered:
        files = {name: file.model_dump() for name, file in result.files.items()}
        manifest = Manifest.parse(result.manifest)
        row = add_supernet(session, job.project, params.name, "conversion", manifest, files)
        mine = job_queries.locked_job(session, job.id)
        assert mine is not None
        mine.resource_type, mine.resource_id = "supernet", row.id
        return Registered(supernet=row.id)

    made = await job.step("convert", convert, _request(job, settings, params), keep)
    job.outcome = f"converted {params.name}; it is {made.supernet}"


def _request(job: WorkContext, settings: Settings, params: PretrainedParams) -> ConvertPretrainedIn:
    return ConvertPretrainedIn(
        params=params,
        import_dir=str(settings.import_dir),
        artifacts=settings.artifacts,
        data_dir=str(settings.data.resolve()) if settings.data is not None else None,
        run_dir=str(settings.home.resolve() / "trainings" / job.id),
        threads=settings.threads,
    )


def convert(request: ConvertPretrainedIn, progress: Progress) -> ConvertPretrainedOut:
    """Copy the folder, convert the copy, and store the supernet's files."""
    import torch

    from service.artifacts import ArtifactStore
    from service.supernets.checkpoints import put_directory
    from supernets.pretrained.directory import convert_folder

    torch.set_num_threads(request.threads)
    params, run, root = request.params, Path(request.run_dir), Path(request.import_dir)
    run.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pretrained-", dir=run) as made:
        copy = Path(made)
        for name in _copied(root, params.folder, copy):
            import_folder.copy_file(root, f"{params.folder}/{name}", "folder", MAX_WEIGHTS, copy / name)
        progress(1, 2, "the folder is copied")
        manifest = convert_folder(
            copy,
            params.data,
            run / "converted",
            name=params.name,
            task=params.task,
            sequence=params.sequence,
            data_dir=Path(request.data_dir) if request.data_dir else None,
        )
    progress(2, 2, "converted")
    store = ArtifactStore(request.artifacts)
    return ConvertPretrainedOut(files=put_directory(store, run / "converted"), manifest=manifest.as_json())
