"""Tasks of a child process: convert a network, and write the report card of one that is not trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.runtime.task import Progress, StepData
from service.supernets.bench import StoredFile
from supernets.convert.importances import DEFAULT
from supernets.convert.records import FoundRecord
from supernets.records import ResolvedTraining

if TYPE_CHECKING:
    from supernets.convert import Converted
    from supernets.data import DataSet


class Settings(StepData):
    """How the axes of a network are made; see :class:`supernets.families.converted.traced_space.TracedConfig`."""

    output: str | None
    widths: list[float]
    multiple: int
    approximate: bool
    skip: bool
    importance: str = DEFAULT


class Expecting(StepData):
    """How the network was trained to see images."""

    mean: list[float]
    std: list[float]
    crop: float


class ExamineIn(StepData):
    """A network that is looked at; ``data_dir`` is the data folder of the service."""

    file: str
    settings: Settings
    data: str
    data_dir: str | None
    task: str


class ConvertParams(StepData):
    """Parameters of a conversion; ``recipe`` None is that of conversions."""

    name: str
    file: StoredFile
    settings: Settings
    expects: Expecting | None
    data: str
    task: str
    training: bool
    recipe: dict[str, Any] | None
    steps: int | None
    seed: int


class ConvertIn(StepData):
    """A conversion on this machine."""

    params: ConvertParams
    artifacts: str
    data_dir: str | None
    run_dir: str
    threads: int

    NEEDS_LESS = "a smaller network, or a machine with more"


class ConvertOut(StepData):
    """The stored files of the supernet as it was converted, what was found, and the training that is asked for."""

    files: dict[str, StoredFile]
    manifest: dict[str, object]
    found: FoundRecord
    training: ResolvedTraining | None


class CardIn(StepData):
    """A converted supernet whose report card is to be written."""

    files: dict[str, StoredFile]
    data: str
    artifacts: str
    data_dir: str | None
    run_dir: str
    threads: int
    device: str


class CardOut(StepData):
    """The stored files of a supernet with its report card, and its manifest."""

    files: dict[str, StoredFile]
    manifest: dict[str, object]


def converted(path: Path, settings: Settings) -> Converted:
    """The supernet of a ``.pt2`` file."""
    from supernets.convert import convert_program
    from supernets.convert.archive import read_program
    from supernets.families.converted.traced_space import TracedConfig

    config = TracedConfig(tuple(settings.widths), settings.multiple, settings.approximate, settings.skip)
    return convert_program(read_program(path), config, output=settings.output)


def convert(request: ConvertIn, progress: Progress) -> ConvertOut:
    """Convert the stored file, evaluate the original, and store the supernet's files."""
    import torch

    from service.artifacts import ArtifactStore
    from service.supernets.checkpoints import put_directory
    from supernets.convert.directory import Expects, found_in, ranked_on, write_supernet
    from supernets.data import load_data

    params = request.params
    torch.set_num_threads(request.threads)
    store, run = ArtifactStore(request.artifacts), Path(request.run_dir)
    run.mkdir(parents=True, exist_ok=True)
    found = converted(store.fetch(params.file.sha256, run / "network.pt2"), params.settings)
    record = found_in(found).model_copy(update={"importance": params.settings.importance})
    progress(1, 3, f"{len(record.axes)} axes, {record.subnets:.3g} subnets, {len(record.frozen)} parts stay")
    data = load_data(params.data, Path(request.data_dir) if request.data_dir else None)
    expects = None
    if (asked := params.expects) is not None:
        expects = Expects(tuple(asked.mean), tuple(asked.std), asked.crop)
    found = ranked_on(found, params.settings.importance, data, task=params.task, expects=expects)
    manifest = write_supernet(
        found, data, run / "converted", name=params.name, task=params.task, expects=expects
    )
    training = _training(params, run / "converted", data) if params.training else None
    progress(3, 3, "converted")
    files = put_directory(store, run / "converted")
    return ConvertOut(files=files, manifest=manifest.as_json(), found=record, training=training)


def _training(params: ConvertParams, directory: Path, data: DataSet) -> ResolvedTraining:
    """The training that follows, resolved: the family is known only now."""
    from supernets.convert.recipe import conversion_recipe
    from supernets.recipes.recipe import Recipe
    from supernets.training.further import read_source
    from supernets.training.plan import Origin, TrainingRequest, resolve

    source = read_source(directory)
    origin = Origin(source.name, source.family, source.task, source.data, source.stages)
    recipe = (
        conversion_recipe(params.steps, len(data.train))
        if params.recipe is None
        else Recipe.parse(params.recipe)
    )
    return resolve(TrainingRequest(recipe, params.data, None, params.task, params.seed, origin), data)


def card(request: CardIn, progress: Progress) -> CardOut:
    """The report card of a network that is not trained: subnets are slices with recalibrated statistics."""
    import torch

    from service.artifacts import ArtifactStore
    from service.supernets.checkpoints import materialise, put_directory
    from supernets.convert.card import add_card
    from supernets.data import load_data

    torch.set_num_threads(request.threads)
    store, run = ArtifactStore(request.artifacts), Path(request.run_dir)
    files = {name: file.model_dump() for name, file in request.files.items()}
    directory = run / "supernet"
    shutil.copytree(materialise(store, files, run / "stored"), directory, dirs_exist_ok=True)
    data = load_data(request.data, Path(request.data_dir) if request.data_dir else None)
    manifest = add_card(
        directory,
        data,
        device=request.device,
        progress=lambda done, total: progress(done, total, f"report card {done} of {total}"),
    )
    return CardOut(files=put_directory(store, directory), manifest=manifest.as_json())
