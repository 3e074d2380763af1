"""A request for a fine-tune, checked before any image is loaded; every fault names its field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.db.tables import Supernet
from service.errors import InvalidError
from service.problems import plain
from service.settings import Settings
from service.supernets.datasets import Spec, allowed_data, require_images
from service.training.finetune_schemas import FineTuneCreate
from service.training.plan import facts_of, refused, requested_recipe
from supernets import TASKS
from supernets.data_facts.spec import TEXT_OPTIONS, TEXT_SOURCES, DataSpec
from supernets.errors import PlanError, SupernetError
from supernets.manifest import Manifest

if TYPE_CHECKING:
    from supernets.recipes.recipe import Recipe

ONE_SUBNET = "finetune"
"""The recipe of a fine-tune where neither request nor task name one."""


@dataclass(frozen=True)
class PlannedFineTune:
    """A fine-tune that can start: its data as text, with absolute paths, and its recipe."""

    data: str
    recipe: Recipe


def plan_request(
    settings: Settings, supernet: Supernet, arch: dict[str, object], body: FineTuneCreate
) -> PlannedFineTune:
    """The data and the recipe of a request; raises :class:`InvalidError` that names the field."""
    from supernets.training.finetune import narrowed
    from supernets.training.plan import check_recipe

    manifest = Manifest.parse(supernet.manifest)
    family = manifest.make_family()
    if body.data is None:
        require_images(supernet.name, supernet.data, settings, "data")
        data = manifest.data.name
    else:
        data = allowed_data(settings, _like_supernet(body.data, manifest), "data")
    got = data if body.data is None else str(body.data)
    facts = facts_of(settings, data, got)
    task = TASKS.load(manifest.task)()
    with refused("data", got, f"{task.reads} as {manifest.name!r} reads them"):
        task.check_like(facts, manifest.preprocessing, manifest.name)
    asked = body.recipe or task.recipe or ONE_SUBNET
    recipe = narrowed(requested_recipe(settings, asked, body.steps), family.space().arch(arch))
    with refused("recipe", asked, "a recipe that fits the subnet"):
        try:
            check_recipe(recipe, task, family, body.seed, facts)
        except PlanError as error:
            raise InvalidError(error.field, plain(error.got), error.allowed, str(error)) from error
    return PlannedFineTune(data, recipe)


def _like_supernet(spec: Spec, manifest: Manifest) -> DataSpec:
    """A user's examples with the sizes or the tokenizer of the supernet's, where the request leaves them open."""
    with refused("data", str(spec), "a data set"):
        parsed = DataSpec.parse(spec)
    if not parsed.location:
        return parsed
    if parsed.source in TEXT_SOURCES:
        return parsed.model_copy(update=_tokens(parsed, manifest))
    own = manifest.preprocessing
    fixed = {"channels": own.get("channels"), "resolution": own.get("base_resolution")}
    return parsed.model_copy(
        update={name: value for name, value in fixed.items() if getattr(parsed, name) is None}
    )


def _tokens(parsed: DataSpec, manifest: Manifest) -> dict[str, object]:
    """Tokenizer and window of the supernet's texts, where the request has none of its own."""
    try:
        own = DataSpec.parse(manifest.data.name)
    except SupernetError:
        return {}  # made elsewhere, of data that this version does not know
    return {
        name: getattr(own, name)
        for name in TEXT_OPTIONS
        if name not in parsed.model_fields_set and own.source in TEXT_SOURCES
    }
