"""One resolver for training requests: task, family, data, recipe and seed, from a request and its source.

The HTTP service, ``netwright train``, ``torchrun`` and the training job all use it, so equal requests give equal
trainings everywhere. What a request leaves open is taken from the source (an earlier training), or else from the data.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from supernets import FAMILIES, TASKS
from supernets.data import DataSet, Facts, load_data
from supernets.data_facts.spec import BYTES, OF_SUPERNET, TEXT_SOURCES, DataSpec
from supernets.errors import DataError, PlanError, RecipeError, SpaceError, UnknownNameError, nearest
from supernets.families.family import Family
from supernets.official.nets import seen_as
from supernets.recipes.parts import Setting
from supernets.recipes.recipe import Recipe
from supernets.records import ResolvedTraining, StageRecord
from supernets.tasks.task import Task
from supernets.training.further import Source, read_source
from supernets.training.predicted import PredictedCost
from supernets.training.steps.frozen import freeze
from supernets.training.steps.teacher import ExternalTeacher, read_teacher

DEFAULT_TASK = "image_classification"
CPU = torch.device("cpu")
SEEDS = 2**31
"""Seeds lie in ``0..SEEDS - 1``."""

ZOO_DIR = Path(__file__).resolve().parents[2] / "zoo"


@dataclass(frozen=True)
class TrainingPlan:
    """A training that can start: everything that decides its losses.

    With a ``source`` it is a new stage that starts from the source's weights, and with ``momentum`` from its
    momentum too. A ``teacher`` replaces the recipe's own. ``predicted`` is what a pruner keeps a share of, where that
    has no closed form.
    """

    recipe: Recipe
    family: Family
    data: DataSet
    task: Task
    seed: int = 0
    source: Source | None = None
    momentum: bool = False
    teacher: ExternalTeacher | None = None
    predicted: PredictedCost | None = None


@dataclass(frozen=True)
class Origin:
    """What a request may leave open, from the manifest or state of the training that it continues."""

    name: str
    family: Family
    task: str
    data: str
    stages: tuple[StageRecord, ...]


@dataclass(frozen=True)
class FamilyRequest:
    """A family's name and settings.

    ``sized_by_data``: settings that data determine (the number of outputs) are taken from the data even where
    ``settings`` has them, as for a file that was written for other data. Otherwise they must fit.
    """

    name: str
    settings: Mapping[str, object]
    sized_by_data: bool = False


@dataclass(frozen=True)
class TrainingRequest:
    """A requested training; None is left to the origin, or to the data and the defaults."""

    recipe: Recipe
    data: str | None = None
    family: FamilyRequest | None = None
    task: str | None = None
    seed: int | None = None
    origin: Origin | None = None
    predicted: PredictedCost | None = None

    def data_name(self) -> str:
        """The data set: the requested one, or that of the origin; texts are read by the origin's tokenizer."""
        if self.data is not None:
            return self._tokenized(self.data)
        if self.origin is None:
            raise PlanError("data", None, "a data set, or a source whose data set is used", "data is missing")
        return self.origin.data

    def _tokenized(self, data: str) -> str:
        spec = DataSpec.parse(data)
        if self.origin is None:
            if spec.tokenizer == OF_SUPERNET:
                allowed = f"{BYTES}, or the path of a tokenizer.json"
                raise PlanError(
                    "data", data, allowed, f"tokenizer={OF_SUPERNET} needs a source to take it from"
                )
            return data
        own = DataSpec.parse(self.origin.data).tokenizer
        if spec.source not in TEXT_SOURCES or spec.tokenizer != BYTES or own == BYTES:
            return data
        return str(spec.model_copy(update={"tokenizer": own}))


def make_family(resolved: ResolvedTraining, data: DataSet | None = None) -> Family:
    """The family of a resolved training, sized to ``data`` where that is still open."""
    kind = FAMILIES.load(resolved.family)
    task: Task = TASKS.load(resolved.task)()
    sizes = {} if data is None else task.dimensions(data)
    fitted = {kind.fitted[name]: sizes[name] for name in resolved.fit if name in sizes}
    family: Family = kind.from_config({**resolved.config, **fitted})
    return family


def make_plan(
    resolved: ResolvedTraining,
    data: DataSet,
    *,
    source: Source | None = None,
    momentum: bool = False,
    teacher: ExternalTeacher | None = None,
    predicted: PredictedCost | None = None,
) -> TrainingPlan:
    """The plan of a resolved training, with its loaded data, source and teacher.

    A source that was first trained elsewhere keeps seeing images as it expects them.
    """
    if source is not None:
        data = seen_as(data, source.expected, source.name)
    return TrainingPlan(
        recipe=Recipe.parse(resolved.recipe),
        family=make_family(resolved, data),
        data=data,
        task=TASKS.load(resolved.task)(),
        seed=resolved.seed,
        source=source,
        momentum=momentum,
        teacher=teacher,
        predicted=predicted,
    )


def resolve(request: TrainingRequest, facts: Facts | DataSet) -> ResolvedTraining:
    """The request with everything decided that ``facts`` decide.

    Raises:
        PlanError: a field that is missing, unknown or does not fit the others; it names the field, what was got
            and what is allowed.
    """
    task = _task(request)
    try:
        task.check_kind(facts)
    except DataError as error:
        fitting = [name for name in TASKS if TASKS.load(name).reads == facts.reads]
        raise PlanError("task", task.name, fitting, str(error)) from error
    _check_predicted(request)
    sizes = task.dimensions(facts)
    family, fit = _family(request, sizes)
    _check_family(request, task, family, facts)
    _check_sizes(request, family, fit, sizes, facts.name)
    seed = _seed(request)
    check_recipe(request.recipe, task, family, seed, facts, request.predicted)
    return ResolvedTraining(
        task=task.name,
        family=family.name,
        config=family.config(),
        fit=list(fit),
        recipe=request.recipe.as_json(),
        data=request.data_name(),
        seed=seed,
    )


def _check_predicted(request: TrainingRequest) -> None:
    """Refuse a predictor that no pruner goes by, or that has no source to belong to."""
    if request.predicted is None:
        return
    metric, pruner = request.predicted.metric, request.recipe.make_pruner()
    keep = None if pruner is None else pruner.keep
    if keep is None or metric not in keep:
        message = f"a predictor of {metric} is for a pruning recipe that keeps a share of {metric}"
        raise PlanError("keep", dict(keep) if keep else None, f"{metric} = a share", message)
    if request.origin is None:
        message = "a predictor belongs to the supernet that is pruned"
        raise PlanError("source", None, "the supernet whose latency is predicted", message)


def _seed(request: TrainingRequest) -> int:
    """The requested seed; the last stage's + 1 for a further stage; else 0."""
    if request.seed is not None:
        if not 0 <= request.seed < SEEDS:
            raise PlanError("seed", request.seed, f"0 to {SEEDS - 1}", "seed is out of range")
        return request.seed
    if (
        request.origin is None or not request.origin.stages
    ):  # a supernet that was not trained here has no stages
        return 0
    return (request.origin.stages[-1].seed + 1) % SEEDS


def _task(request: TrainingRequest) -> Task:
    origin = request.origin
    name = request.task or (DEFAULT_TASK if origin is None else origin.task)
    if name not in TASKS:
        raise PlanError("task", name, list(TASKS), f"unknown task {name!r}")
    if origin is not None and name != origin.task:
        raise PlanError(
            "task", name, origin.task, f"a stage must have the task of its source {origin.name!r}"
        )
    task: Task = TASKS.load(name)()
    return task


def _family(request: TrainingRequest, sizes: Mapping[str, int | None]) -> tuple[Family, tuple[str, ...]]:
    """The family, and which of its dimensions only loaded data determine."""
    origin, requested = request.origin, request.family
    if requested is None:
        if origin is None:
            raise PlanError("family", None, "a family, or a source whose family is used", "family is missing")
        return origin.family, ()
    trainable = [each for each in FAMILIES if FAMILIES.load(each).has_network]
    if requested.name not in trainable:
        raise PlanError("family.family", requested.name, trainable, f"unknown family {requested.name!r}")
    kind = FAMILIES.load(requested.name)
    own = {} if origin is None else origin.family.config()
    config, fit = dict(requested.settings), []
    for dimension, setting in kind.fitted.items():
        if setting in config and not requested.sized_by_data:
            continue
        size = own.get(setting, sizes.get(dimension))
        config.pop(setting, None)
        if size is None:
            fit.append(dimension)
        else:
            config[setting] = size
    try:
        family: Family = kind.from_config(config)
    except (SpaceError, TypeError) as error:
        raise PlanError(
            "family", dict(requested.settings), "a family with its settings", str(error)
        ) from error
    if origin is not None and (words := family.difference(origin.family)):
        message = f"a stage must have the family of its source {origin.name!r}: {words}"
        raise PlanError("family", dict(requested.settings), f"none, or that of {origin.name!r}", message)
    return family, tuple(fit)


def _check_family(request: TrainingRequest, task: Task, family: Family, facts: Facts | DataSet) -> None:
    """Refuse a family that reads or returns something else than the task needs."""
    try:
        task.check_family(family, facts)
    except DataError as error:
        field = "task" if request.family is None else "family.family"
        got = task.name if request.family is None else family.name
        raise PlanError(field, got, f"a family for {task.name}", str(error)) from error


def _check_sizes(
    request: TrainingRequest, family: Family, fit: tuple[str, ...], sizes: Mapping[str, int | None], data: str
) -> None:
    """Refuse data of other dimensions than the family, where both are stated."""
    own = family.dimensions(family.space().max())
    for dimension, setting in type(family).fitted.items():
        size = sizes.get(dimension)
        if dimension in fit or size is None or size == own[dimension]:
            continue
        if request.family is None and request.origin is not None:
            raise PlanError(
                "data",
                data,
                f"data with {own[dimension]} {dimension}",
                f"source {request.origin.name!r} has {own[dimension]} {dimension}, {data!r} has {size}",
            )
        raise PlanError(
            f"family.{setting}",
            own[dimension],
            size,
            f"must be the {size} {dimension} of {data!r}, got {own[dimension]}",
        )


def check_recipe(
    recipe: Recipe,
    task: Task,
    family: Family,
    seed: int,
    facts: Facts | DataSet,
    predicted: PredictedCost | None = None,
) -> None:
    """Refuse a recipe that does not fit the task or the family, or whose batch is larger than the data."""
    try:
        recipe.space.of(family.space())
        loss = recipe.make_loss()
        loss.check(task)
        pruner = recipe.make_pruner()
        parts = (recipe.make_sampler(), loss, *recipe.make_controllers(), *recipe.make_hooks())
        for part in (*parts, *([] if pruner is None else [pruner])):
            part.begin(setting_of(family, recipe, seed, predicted))
        if recipe.frozen:
            with torch.device("meta"):
                freeze(family.build(), recipe.frozen)
    except (RecipeError, SpaceError, UnknownNameError) as error:
        raise PlanError("recipe", recipe.name, "a recipe that fits task and family", str(error)) from error
    examples = facts.train if isinstance(facts, Facts) else len(facts.train)
    if examples is not None and recipe.batch_size > examples:
        raise PlanError(
            "recipe.batch_size",
            recipe.batch_size,
            f"at most {examples}",
            f"must be at most the {examples} training examples of {facts.name!r}, got {recipe.batch_size}",
        )


def setting_of(
    family: Family,
    recipe: Recipe,
    seed: int,
    predicted: PredictedCost | None,
    device: torch.device = CPU,
) -> Setting:
    """The setting that the parts of a training begin with."""
    known = {} if predicted is None else {predicted.metric: predicted.cost}
    return Setting(family, recipe.steps, seed, device, known)


# --- from files ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingFiles:
    """What the command lines name: files, folders and values; None is left to the source or the data."""

    recipe: str
    family: Path | None = None
    data: str | None = None
    task: str | None = None
    seed: int | None = None
    steps: int | None = None
    keep: str | None = None
    source: Path | None = None
    momentum: bool = False
    teacher: Path | None = None
    predicted: PredictedCost | None = None

    def plan(self, device: str | torch.device = "cpu") -> TrainingPlan:
        """Read everything and resolve it; the teacher runs on ``device``."""
        if self.momentum and self.source is None:
            raise PlanError("momentum", True, False, "momentum can only be taken over from a source")
        recipe = Recipe.read(self.recipe)
        recipe = recipe if self.steps is None else recipe.with_steps(self.steps)
        recipe = recipe if self.keep is None else recipe.keeping(self.keep)
        source = None if self.source is None else read_source(self.source)
        origin = None
        if source is not None:
            origin = Origin(source.name, source.family, source.task, source.data, source.stages)
        family = None if self.family is None else read_family(self.family)
        request = TrainingRequest(recipe, self.data, family, self.task, self.seed, origin, self.predicted)
        data = load_data(request.data_name(), beside=self.source)
        resolved = resolve(replace(request, data=data.name), data)
        teacher = None if self.teacher is None else read_teacher(self.teacher, device)
        return make_plan(
            resolved, data, source=source, momentum=self.momentum, teacher=teacher, predicted=self.predicted
        )


def read_family(path: Path) -> FamilyRequest:
    """The family of a TOML file: ``family = NAME`` and its settings, sized by the data.

    A single word that is no file names a supernet of the zoo, whose file is used.
    """
    zoo = ZOO_DIR / path.name / "family.toml"
    file = zoo if len(path.parts) == 1 and not path.exists() and zoo.is_file() else path
    try:
        values = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        names = sorted(each.parent.name for each in ZOO_DIR.glob("*/family.toml"))
        allowed = f"a TOML file, or a supernet of the zoo ({', '.join(names)}){nearest(str(path), names)}"
        raise PlanError("family", str(path), allowed, f"cannot be read: {error}") from error
    name = values.pop("family", None)
    if not isinstance(name, str):
        raise PlanError(
            "family", str(path), f"family = NAME; choices: {', '.join(FAMILIES)}", "names no family"
        )
    return FamilyRequest(name, values, sized_by_data=True)
