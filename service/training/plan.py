"""What a request for a training means, with every mistake named that shows without loading an image."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from service.db.tables import Supernet
from service.errors import InvalidError
from service.problems import plain
from service.settings import Settings
from service.supernets import checkpoints
from service.supernets.datasets import allowed_data, require_data
from service.training.schemas import TrainingSpec
from service.training.tasks import NamedFamily, TrainParams
from supernets import FAMILIES, TASKS
from supernets.data_spec import DataSpec
from supernets.errors import CheckpointError, DataError, RecipeError, SpaceError, UnknownNameError
from supernets.families.family import Family

if TYPE_CHECKING:
    from supernets.data import Facts
    from supernets.recipes.recipe import Recipe

OF_DATA = ("num_classes", "image_channels")
"""Settings of a family that follow from the data."""
SEEDS = 2**31


@dataclass(frozen=True)
class TrainingPlan:
    """A training that can begin; ``fit`` are the settings of ``family`` that are taken from the data once loaded.

    ``source`` and ``teacher`` are ids; ``facts`` is what is known of the data by now.
    """

    family: Family
    fit: tuple[str, ...]
    recipe: Recipe
    data: str
    facts: Facts
    seed: int
    source: str | None
    teacher: str | None

    def params(self, name: str) -> TrainParams:
        """Parameters of the job."""
        return TrainParams(
            name=name,
            seed=self.seed,
            family=NamedFamily(family=self.family.name, config=self.family.config()),
            fit=list(self.fit),
            recipe=self.recipe.as_json(),
            data=self.data,
            source=self.source,
            teacher=self.teacher,
        )


def plan_training(session: Session, project: str, settings: Settings, body: TrainingSpec) -> TrainingPlan:
    """The plan; raises :class:`InvalidError` that names the field, what was got and the choices."""
    source = _source(session, project, body.source)
    recipe = _recipe(settings, body)
    teacher = _teacher(session, project, body.teacher, recipe)
    data, facts = _data(settings, body, source)
    family, fit = _family(settings, body, source, facts)
    seed = body.seed if body.seed is not None else _next_seed(source)
    _check_data(body, family, fit, source, facts)
    _check_recipe(body, recipe, family, seed, facts)
    _check_teacher(body, teacher, facts)
    return TrainingPlan(
        family=family,
        fit=fit,
        recipe=recipe,
        data=data,
        facts=facts,
        seed=seed,
        source=source.id if source is not None else None,
        teacher=teacher.id if teacher is not None else None,
    )


@contextmanager
def _refused(field: str, got: Any, allowed: Any) -> Iterator[None]:
    """What the training itself would say, as a mistake in this field."""
    try:
        yield
    except (CheckpointError, DataError, RecipeError, SpaceError, UnknownNameError, TypeError) as error:
        raise InvalidError(field, plain(got), allowed, f"{field}: {error}") from error


# --- source and teacher ----------------------------------------------------------------------------


def _source(session: Session, project: str, wanted: str | None) -> Supernet | None:
    if wanted is None:
        return None
    row = checkpoints.named_network(session, project, wanted, "source")
    with _refused("source", wanted, "a supernet with one network, and a record of its training"):
        from supernets.training.further import refuse_split

        refuse_split(row.name, len(row.manifest.get("shards", ())))
        if not row.manifest["training"].get("stages"):
            raise CheckpointError(f"the manifest of {row.name!r} does not say how it was trained")
    return row


def _last_stage(source: Supernet) -> Mapping[str, Any]:
    stage: Mapping[str, Any] = source.manifest["training"]["stages"][-1]
    return stage


def _next_seed(source: Supernet | None) -> int:
    return 0 if source is None else (int(_last_stage(source)["seed"]) + 1) % SEEDS


def _teacher(session: Session, project: str, wanted: str | None, recipe: Recipe) -> Supernet | None:
    allowed: Any = "absent"
    if wanted is None:
        allowed = checkpoints.network_names(session, project)
    with _refused("teacher", wanted, allowed):
        recipe.check_teacher(wanted is not None)
    return None if wanted is None else checkpoints.named_network(session, project, wanted, "teacher")


def _check_teacher(body: TrainingSpec, teacher: Supernet | None, facts: Facts) -> None:
    if teacher is None:
        return
    with _refused("teacher", body.teacher, "a supernet with the classes and channels of the data"):
        from supernets.training.teacher import refuse_foreign

        manifest, family = teacher.manifest, checkpoints.family_of(teacher)
        dimensions = family.dimensions(family.space().max())
        task = TASKS.load("image_classification")()
        refuse_foreign(teacher.name, manifest["task"], manifest["classes"], dimensions, task, facts)


# --- family ----------------------------------------------------------------------------------------


def _family(
    settings: Settings, body: TrainingSpec, source: Supernet | None, facts: Facts
) -> tuple[Family, tuple[str, ...]]:
    """The family, and which of its settings the data will give."""
    known: dict[str, Any] = {
        "num_classes": None if facts.classes is None else len(facts.classes),
        "image_channels": facts.channels,
    }
    if source is not None:
        family = checkpoints.family_of(source)
        if body.family is None:
            return family, ()
        known = {key: family.config().get(key) for key in OF_DATA}
    values, open_ = _settings(settings, body.family)
    kind = values.pop("family", None)
    trainable = [each for each in FAMILIES if FAMILIES.load(each).has_network]
    if kind not in trainable:
        raise InvalidError("family.family", kind, trainable)
    given = {key: known[key] for key in open_ if known[key] is not None}
    with _refused("family", body.family, "a family with its settings"):
        family = FAMILIES.load(kind).from_config({**values, **given})
    if source is not None and (words := family.difference(checkpoints.family_of(source))):
        raise InvalidError(
            "family",
            plain(body.family),
            f"absent, or that of source {source.name!r}",
            f"family: a stage must have the family of its source {source.name!r}: {words}",
        )
    return family, tuple(key for key in open_ if known[key] is None)


def _settings(
    settings: Settings, wanted: str | dict[str, Any] | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings asked for, and which of those of the data they leave open: all, where they are the zoo's."""
    if isinstance(wanted, dict):
        return dict(wanted), tuple(key for key in OF_DATA if key not in wanted)
    if wanted is None:
        names = [*zoo_names(settings, "family.toml"), "{'family': name, ...its settings}"]
        raise InvalidError(
            "family",
            None,
            names,
            f"family: give one of {', '.join(names)}, or a 'source' whose family is taken",
        )
    values = _zoo_file(settings, wanted, "family.toml", "family")
    return {key: value for key, value in values.items() if key not in OF_DATA}, OF_DATA


# --- recipe ----------------------------------------------------------------------------------------


def _recipe(settings: Settings, body: TrainingSpec) -> Recipe:
    from supernets.recipes.recipe import Recipe, built_in, with_steps

    with _refused("recipe", body.recipe, "a recipe"):
        if isinstance(body.recipe, dict):
            values = body.recipe
        elif body.recipe in built_in():
            values = Recipe.read(body.recipe).as_json()
        else:
            values = _zoo_file(settings, body.recipe, "recipe.toml", "recipe", built_in())
        return Recipe.parse(values if body.steps is None else with_steps(values, body.steps))


def _check_recipe(body: TrainingSpec, recipe: Recipe, family: Family, seed: int, facts: Facts) -> None:
    """Refuse a recipe that does not fit the family, or whose batch is more than there is."""
    from supernets.recipes.parts import Setting

    with _refused("recipe", body.recipe, "a recipe that fits the family"):
        recipe.space.of(family.space())
        parts = (recipe.make_sampler(), recipe.make_loss(), *recipe.make_controllers(), *recipe.make_hooks())
        for part in parts:
            part.begin(Setting(family, recipe.steps, seed))
    if facts.train is not None and recipe.batch_size > facts.train:
        raise InvalidError(
            "recipe.batch_size",
            recipe.batch_size,
            f"at most {facts.train}",
            f"recipe.batch_size must be at most the {facts.train} training images of {facts.name!r}, "
            f"got {recipe.batch_size}",
        )


def _zoo_file(
    settings: Settings, name: str, file: str, field: str, others: tuple[str, ...] = ()
) -> dict[str, Any]:
    names = zoo_names(settings, file)
    if name not in names:
        raise InvalidError(field, name, [*others, *names])
    return tomllib.loads((settings.zoo_dir / name / file).read_text())


def zoo_names(settings: Settings, file: str) -> list[str]:
    """The supernets of the zoo that have this file."""
    return sorted(path.parent.name for path in settings.zoo_dir.glob(f"*/{file}"))


# --- data ------------------------------------------------------------------------------------------


def _data(settings: Settings, body: TrainingSpec, source: Supernet | None) -> tuple[str, Facts]:
    """The data set's name, a path in it resolved inside the import folder, and what is known of it."""
    from supernets.data import data_facts

    name = _resolved(settings, body.data, source)
    got = str(body.data) if body.data is not None else name
    require_data("data", name, settings)
    with _refused("data", got, "a data set that can be read"):
        return name, data_facts(name, settings.data)


def _resolved(settings: Settings, wanted: str | DataSpec | None, source: Supernet | None) -> str:
    if wanted is not None:
        return allowed_data(settings, wanted, "data")
    if source is not None:
        return _recorded(settings, source)
    allowed = "a data set; or a 'source' whose data are taken"
    raise InvalidError("data", None, allowed, f"data: give {allowed}")


def _recorded(settings: Settings, source: Supernet) -> str:
    """The data set of a source's last stage, if this service may read it."""
    name = str(source.manifest["data"]["name"])
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


def _check_data(
    body: TrainingSpec, family: Family, fit: tuple[str, ...], source: Supernet | None, facts: Facts
) -> None:
    """Refuse data with other classes or channels than the family, as far as both are known."""
    wants = {key: family.config()[key] for key in OF_DATA}
    has = {
        "num_classes": None if facts.classes is None else len(facts.classes),
        "image_channels": facts.channels,
    }
    for key, word in zip(OF_DATA, ("classes", "image channels"), strict=True):
        if key in fit or has[key] is None or has[key] == wants[key]:
            continue
        if source is not None:
            raise InvalidError(
                "data",
                str(body.data) if body.data is not None else facts.name,
                f"data with {wants[key]} {word}",
                f"data: source {source.name!r} has {wants[key]} {word}, {facts.name!r} has {has[key]}",
            )
        raise InvalidError(
            f"family.{key}",
            wants[key],
            has[key],
            f"family.{key} must be the {has[key]} {word} of {facts.name!r}, got {wants[key]}",
        )
