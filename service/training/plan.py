"""A request for a training, resolved and checked before any image is loaded; every fault names its field."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from service.db.session import Database
from service.db.tables import Supernet
from service.errors import InvalidError
from service.http.deps import Services
from service.problems import plain
from service.settings import Settings
from service.supernets import checkpoints
from service.supernets.datasets import allowed_data, require_data
from service.training.predicted import predictor_of
from service.training.schemas import TrainingSpec
from service.training.tasks import PredictorFile, TrainParams
from supernets import TASKS
from supernets.errors import CheckpointError, DataError, PlanError, RecipeError, SpaceError, UnknownNameError
from supernets.manifest import Manifest
from supernets.records import ResolvedTraining

if TYPE_CHECKING:
    from supernets.data import Facts
    from supernets.recipes.recipe import Recipe
    from supernets.training.plan import FamilyRequest, Origin


FROM_RANDOM_WEIGHTS = "random"
"""The recipe of a training without a source where neither request nor task name one."""


@dataclass(frozen=True)
class PlannedTraining:
    """A training that can start, and the facts of its data; ``source`` and ``teacher`` are ids."""

    training: ResolvedTraining
    facts: Facts
    source: str | None
    teacher: str | None
    predictor: PredictorFile | None = None

    def params(self, name: str) -> TrainParams:
        """Parameters of the job."""
        return TrainParams(
            name=name,
            training=self.training,
            source=self.source,
            teacher=self.teacher,
            predictor=self.predictor,
        )


@dataclass(frozen=True)
class _Stored:
    """What the database holds for a request: its source, its teacher, and the supernets that could teach."""

    source: Supernet | None
    teacher: Supernet | None
    teachers: list[str]


def plan_training(app: Services, project: str, body: TrainingSpec) -> PlannedTraining:
    """The resolved training; raises :class:`InvalidError` that names the field, what was got and the choices.

    Rows are read first: no session is open while data are looked at and the family is computed.
    """
    from supernets.training.plan import TrainingRequest, resolve

    database, settings = app.database, app.settings
    stored = _stored(database, project, body)
    source, teacher = stored.source, stored.teacher
    if source is not None:
        _check_source(source, body)
    origin = None if source is None else _origin(source)
    recipe = requested_recipe(settings, _recipe_of(body, origin), body.steps)
    if body.keep is not None:
        with refused("keep", body.keep, "absent, or with a pruning recipe"):
            recipe = recipe.keeping(body.keep)
    predictor, predicted = predictor_of(app, project, body.target, source, recipe)
    with refused("teacher", body.teacher, "absent" if body.teacher is not None else stored.teachers):
        recipe.check_teacher(teacher is not None)
    family = None if body.family is None else _family(settings, body.family)
    data = body.data if body.data is None else allowed_data(settings, body.data, "data")
    request = TrainingRequest(recipe, data, family, body.task, body.seed, origin)
    with _fields(settings, body):
        name = request.data_name()
        if data is None and source is not None:
            name = _recorded(settings, source, name)
        facts = facts_of(settings, name, name if body.data is None else str(body.data))
        training = resolve(replace(request, data=name, predicted=predicted), facts)
    _check_teacher(body, teacher, training, facts)
    return PlannedTraining(
        training=training,
        facts=facts,
        source=source.id if source is not None else None,
        teacher=teacher.id if teacher is not None else None,
        predictor=predictor,
    )


@contextmanager
def _fields(settings: Settings, body: TrainingSpec) -> Iterator[None]:
    """A fault of the resolver as an invalid field."""
    try:
        yield
    except PlanError as error:
        allowed, got = error.allowed, error.got
        if error.field == "family":
            got = body.family
            if got is None:
                allowed = [*zoo_names(settings, "family.toml"), "{'family': name, ...its settings}"]
        raise InvalidError(error.field, plain(got), allowed, str(error)) from error


REFUSED = (CheckpointError, DataError, RecipeError, SpaceError, UnknownNameError)
# What settings such as a divisor of 0, a width of 1e300 or a list for a number lead to.
ODD_VALUES = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


@contextmanager
def refused(field: str, got: object, allowed: object) -> Iterator[None]:
    """An error of ``supernets`` as an invalid field."""
    try:
        yield
    except (*REFUSED, *ODD_VALUES) as error:
        raise InvalidError(field, plain(got), allowed, f"{field}: {error}") from error


# --- source and teacher ----------------------------------------------------------------------------


def _stored(database: Database, project: str, body: TrainingSpec) -> _Stored:
    with database.read() as session:

        def named(name: str | None, field: str) -> Supernet | None:
            return None if name is None else checkpoints.named_network(session, project, name, field)

        source, teacher = named(body.source, "source"), named(body.teacher, "teacher")
        teachers = [] if teacher is not None else checkpoints.network_names(session, project)
        session.expunge_all()
    return _Stored(source, teacher, teachers)


def _check_source(row: Supernet, body: TrainingSpec) -> None:
    with refused("source", body.source, "a supernet with one network"):
        from supernets.training.further import refuse_split

        refuse_split(row.name, len(row.manifest.get("shards", ())))


def _origin(source: Supernet) -> Origin:
    from supernets.training.plan import Origin

    manifest = Manifest.parse(source.manifest)
    stages = tuple(manifest.training.stages)
    return Origin(source.name, manifest.make_family(), manifest.task, manifest.data.name, stages)


def _check_teacher(
    body: TrainingSpec, teacher: Supernet | None, training: ResolvedTraining, facts: Facts
) -> None:
    if teacher is None:
        return
    with refused("teacher", body.teacher, "a supernet with the task, classes and channels of the data"):
        from supernets.training.steps.teacher import refuse_foreign

        manifest = Manifest.parse(teacher.manifest)
        family = manifest.make_family()
        dimensions, task = family.dimensions(family.space().max()), TASKS.load(training.task)()
        refuse_foreign(teacher.name, manifest.task, manifest.classes, dimensions, task, facts)


# --- family, recipe and data -----------------------------------------------------------------------


def _family(settings: Settings, requested: str | dict[str, object]) -> FamilyRequest:
    """A family with its settings, or that of a zoo supernet, whose dimensions are then those of the data."""
    from supernets.training.plan import FamilyRequest

    named = isinstance(requested, str)
    values = _zoo_file(settings, requested, "family.toml", "family") if named else dict(requested)  # type: ignore[arg-type]
    return FamilyRequest(str(values.pop("family", None)), values, sized_by_data=named)


def _recipe_of(body: TrainingSpec, origin: Origin | None) -> str | dict[str, object]:
    """What a request names, or else the recipe of its task, of the source's family, or for random weights."""
    if body.recipe is not None:
        return body.recipe
    task = body.task if origin is None else origin.task
    own: str | None = TASKS.load(task).recipe if task is not None and task in TASKS else None
    return own or (FROM_RANDOM_WEIGHTS if origin is None else origin.family.further)


def requested_recipe(settings: Settings, requested: str | dict[str, object], steps: int | None) -> Recipe:
    """The recipe that a request names or has; raises :class:`InvalidError`."""
    from supernets.recipes.recipe import Recipe, built_in, with_steps

    with refused("recipe", requested, "a recipe"):
        if isinstance(requested, dict):
            values = requested
        elif requested in built_in():
            values = Recipe.read(requested).as_json()
        else:
            values = _zoo_file(settings, requested, "recipe.toml", "recipe", built_in())
        return Recipe.parse(values if steps is None else with_steps(values, steps))


def _zoo_file(
    settings: Settings, name: str, file: str, field: str, others: tuple[str, ...] = ()
) -> dict[str, object]:
    names = zoo_names(settings, file)
    if name not in names:
        raise InvalidError(field, name, [*others, *names])
    return tomllib.loads((settings.zoo_dir / name / file).read_text())


def zoo_names(settings: Settings, file: str) -> list[str]:
    """The supernets of the zoo that have this file."""
    return sorted(path.parent.name for path in settings.zoo_dir.glob(f"*/{file}"))


def facts_of(settings: Settings, name: str, got: str) -> Facts:
    """The facts of a data set before it is loaded."""
    from supernets.data import data_facts

    require_data("data", name, settings)
    with refused("data", got, "a data set that can be read"):
        return data_facts(name, settings.data)


def _recorded(settings: Settings, source: Supernet, name: str) -> str:
    """The data set of a source's last stage, if this service may read it."""
    try:
        return allowed_data(settings, name, "data")
    except InvalidError as error:
        raise InvalidError(
            "data",
            name,
            "data that this service may read",
            f"data: source {source.name!r} was trained on {name!r}, which this service may not read: {error}; "
            f"name another data set",
        ) from error
