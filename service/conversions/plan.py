"""A request for a conversion, checked: its file is stored, and an archive that could run anything is refused."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from service.conversions.schemas import ConversionCreate, ConversionSpec
from service.conversions.tasks import ConvertParams, ExamineIn, Expecting, Settings
from service.errors import InvalidError, UnavailableError
from service.http.deps import Services
from service.http.files import copy_of, named_in
from service.supernets.bench import StoredFile
from service.supernets.datasets import allowed_data
from service.training.plan import facts_of, refused, requested_recipe
from supernets import TASKS
from supernets.child import ChildError, ChildFailedError, ChildTimeoutError, Progress, call
from supernets.convert.importances import IMPORTANCES
from supernets.convert.records import FoundRecord
from supernets.errors import SupernetError
from supernets.records import JsonObject

MAX_FILE_BYTES = 2 << 30
DEFAULT_TASK = "image_classification"
TIMEOUT_S = 300.0
RULE = "a .pt2 file of torch.export.save of a network that can be converted"
log = logging.getLogger("netwright.conversions")
In = TypeVar("In")
Out = TypeVar("Out")


@contextmanager
def network_file(app: Services, project: str, body: ConversionSpec) -> Iterator[Path]:
    """A private copy of the file that a request means; it is looked at as an archive first, and never unpickled."""
    app.settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="convert-", dir=app.settings.home) as folder:
        path = Path(folder) / "network.pt2"
        copy_of(app, project, body.file, "file", MAX_FILE_BYTES, path)
        yield path


def settings_of(body: ConversionSpec) -> Settings:
    """How axes are made, checked."""
    if body.importance not in IMPORTANCES:
        raise InvalidError("importance", body.importance, list(IMPORTANCES))
    with refused("widths", body.widths, "ascending fractions, the last one 1"):
        from supernets.families.converted.traced_space import TracedConfig

        TracedConfig(tuple(body.widths), body.multiple, body.approximate, body.skip)
    return Settings(
        output=body.output,
        widths=body.widths,
        multiple=body.multiple,
        approximate=body.approximate,
        skip=body.skip,
        importance=body.importance,
    )


def plan_conversion(app: Services, project: str, body: ConversionCreate) -> ConvertParams:
    """The parameters of the job; the file is stored. Raises :class:`InvalidError` that names the field."""
    settings, task, data = settings_of(body), task_of(body), checked_data(app, body)
    recipe = None
    if body.training:
        recipe = _recipe(app, body)
    with network_file(app, project, body) as path:
        _in_child(_check, str(path), body)
        sha256, size = app.store.put_file(path)
    expects = None if body.expects is None else Expecting.model_validate(body.expects.model_dump())
    return ConvertParams(
        name=body.name,
        file=StoredFile(sha256=sha256, bytes=size),
        settings=settings,
        expects=expects,
        data=data,
        task=task,
        training=body.training,
        recipe=recipe,
        steps=body.steps,
        seed=body.seed,
    )


def _recipe(app: Services, body: ConversionCreate) -> JsonObject | None:
    """The values of the recipe that a request names; None for that of conversions."""
    if body.recipe is None:
        return None
    recipe = requested_recipe(app.settings, body.recipe, body.steps)
    return recipe.as_json()


def task_of(body: ConversionSpec) -> str:
    """The task that a request names, or that whose quality it names."""
    if body.task is not None and body.task not in TASKS:
        raise InvalidError("task", body.task, list(TASKS))
    by_quality: dict[str, str] = {TASKS.load(name).quality: name for name in reversed(list(TASKS))}
    if body.quality is None:
        return body.task or DEFAULT_TASK
    task = body.task or by_quality.get(body.quality)
    if task is None or TASKS.load(task).quality != body.quality:
        known = list(by_quality) if body.task is None else [TASKS.load(body.task).quality]
        raise InvalidError("quality", body.quality, known)
    return task


def checked_data(app: Services, body: ConversionSpec) -> str:
    """The data set as text, if it is there and this service may read it."""
    data = allowed_data(app.settings, body.data, "data")
    facts_of(app.settings, data, str(body.data))
    return data


def examine(app: Services, project: str, body: ConversionSpec) -> FoundRecord:
    """What is found in a network, in a child process with a time limit."""
    settings, task, data = settings_of(body), task_of(body), checked_data(app, body)
    with network_file(app, project, body) as path:
        data_dir = str(app.settings.data.resolve()) if app.settings.data is not None else None
        request = ExamineIn(file=str(path), settings=settings, data=data, data_dir=data_dir, task=task)
        return FoundRecord.model_validate(_in_child(_examine, request.model_dump(), body))


def _in_child(function: Callable[[In, Progress], Out], request: In, body: ConversionSpec) -> Out:
    try:
        return call(function, request, timeout_s=TIMEOUT_S)
    except ChildTimeoutError as error:
        raise UnavailableError(
            f"looking at the network took longer than {TIMEOUT_S:g} s; convert it with `netwright convert`"
        ) from error
    except ChildError as error:
        log.warning("a network could not be converted: %s", error)
        on_purpose = isinstance(error, ChildFailedError) and error.is_a(SupernetError)
        reason = str(error) if on_purpose else "the process that looked at it ended early"
        raise InvalidError("file", named_in(body.file), RULE, f"file: {reason}") from error


def _check(file: str, _progress: Progress) -> None:
    from supernets.convert.archive import check_archive

    check_archive(Path(file))


def _examine(request: dict[str, object], _progress: Progress) -> dict[str, object]:
    import torch

    from service.conversions.tasks import converted
    from supernets.convert.directory import check_fit, found_in
    from supernets.data import data_facts

    torch.set_num_threads(1)
    examined = ExamineIn.model_validate(request)
    found = converted(Path(examined.file), examined.settings)
    data_dir = Path(examined.data_dir) if examined.data_dir is not None else None
    check_fit(found, TASKS.load(examined.task)(), data_facts(examined.data, data_dir))
    # the score does not change what is found: it is computed when the network is converted
    shown = found_in(found).model_copy(update={"importance": examined.settings.importance})
    record: dict[str, object] = shown.model_dump(mode="json")
    return record
