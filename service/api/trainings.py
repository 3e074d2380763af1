"""Training supernets."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response

from service import checkpoints
from service.datasets import require_data
from service.db import job_queries, queries
from service.db.tables import Supernet
from service.deps import App, Project
from service.errors import ConflictError, InvalidError
from service.schemas.common import Accepted
from service.schemas.trainings import TrainingCreate
from service.settings import Settings
from service.views import accepted
from supernets import FAMILIES
from supernets.errors import RecipeError, SpaceError, UnknownNameError

router = APIRouter(prefix="/v1/trainings", tags=["trainings"])
WITH_PATH = ("folder", "parquet")


@router.post("", status_code=202)
def create_training(app: App, project: Project, body: TrainingCreate, response: Response) -> Accepted:
    """Job: train a supernet and register it under its name."""
    params = {
        "name": body.name,
        "seed": body.seed,
        "family": _family(app.settings, body.family),
        "recipe": _recipe(app.settings, body),
        "data": _data(app.settings, body.data),
    }
    with app.database.write() as session:
        if queries.find(session, project, Supernet, name=body.name) is not None:
            raise ConflictError(f"a supernet is called {body.name!r} already; give another name")
        job = job_queries.create_job(session, project, "train", params)
        app.queue.enqueue(session, job)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return accepted(job)


def _family(settings: Settings, wanted: str | dict[str, Any]) -> dict[str, Any]:
    """Name and settings of a family that can be made."""
    values = _zoo_file(settings, wanted, "family.toml", "family") if isinstance(wanted, str) else dict(wanted)
    name = values.pop("family", None)
    trainable = [each for each in FAMILIES if FAMILIES.load(each).has_network]
    if name not in trainable:
        raise InvalidError("family.family", name, trainable)
    try:
        return {"family": name, "config": FAMILIES.load(name).from_config(values).config()}
    except (SpaceError, TypeError) as error:
        raise InvalidError("family", wanted, "a family with its settings", str(error)) from error


def _recipe(settings: Settings, body: TrainingCreate) -> dict[str, Any]:
    """Every value of a recipe, checked."""
    from supernets.recipes.recipe import Recipe, built_in

    try:
        if isinstance(body.recipe, dict):
            values = body.recipe
        elif body.recipe in built_in():
            values = Recipe.read(body.recipe).as_json()
        else:
            values = _zoo_file(settings, body.recipe, "recipe.toml", "recipe", built_in())
        if body.steps is not None:
            values = {**values, "steps": body.steps}
            warmup = values.get("schedule", {}).get("warmup_steps", 0)
            if warmup >= body.steps:
                values["schedule"] = {**values["schedule"], "warmup_steps": 0}
        return Recipe.parse(values).as_json()
    except (RecipeError, UnknownNameError) as error:
        raise InvalidError("recipe", body.recipe, "a recipe", str(error)) from error


def _zoo_file(
    settings: Settings, name: str, file: str, field: str, others: tuple[str, ...] = ()
) -> dict[str, Any]:
    names = sorted(path.parent.name for path in settings.zoo_dir.glob(f"*/{file}"))
    if name not in names:
        raise InvalidError(field, name, [*others, *names])
    return tomllib.loads((settings.zoo_dir / name / file).read_text())


def _data(settings: Settings, wanted: str) -> str:
    """The data set's name, a path in it resolved inside the import folder."""
    kind, colon, path = wanted.partition(":")
    if colon and kind in WITH_PATH:
        return f"{kind}:{checkpoints.inside(settings.import_dir, path, 'data')}"
    if colon or Path(wanted).name != wanted:
        raise InvalidError("data", wanted, "the name of a data set, folder:PATH or parquet:PATH")
    require_data("data", wanted, settings)
    return wanted
