"""What a training would take, computed in a child process with a time limit."""

from __future__ import annotations

import logging
from dataclasses import asdict

from pydantic import BaseModel, JsonValue, TypeAdapter

from service.errors import InvalidError, UnavailableError
from service.problems import plain
from service.training.plan import ODD_VALUES, REFUSED, PlannedTraining
from service.training.schemas import EstimateView
from supernets.child import ChildDiedError, ChildFailedError, ChildTimeoutError, Progress, call
from supernets.data_facts.report import DataReport
from supernets.metrics import MACS, PARAMS
from supernets.records import ResolvedTraining

REHEARSED = 1000
"""The most steps that are gone through for an estimate, so that it answers within seconds."""
TIMEOUT_S = 60.0
log = logging.getLogger("netwright.training")


class EstimateRequest(BaseModel):
    """A resolved training whose cost is estimated in a child process."""

    training: ResolvedTraining
    facts: dict[str, object]
    external: bool
    report: DataReport | None


def estimate_plan(plan: PlannedTraining, report: DataReport | None, family: object) -> EstimateView:
    """The cost of a resolved training, and how its images fit its family; ``family`` is what the request named.

    Raises:
        InvalidError: the settings of the family do not make a network.
        UnavailableError: the estimate took longer than ``TIMEOUT_S`` seconds, or its process ended early.
    """
    request = EstimateRequest(
        training=plan.training, facts=asdict(plan.facts), external=plan.teacher is not None, report=report
    )
    try:
        return EstimateView.model_validate(
            call(_estimate, request.model_dump(mode="json"), timeout_s=TIMEOUT_S)
        )
    except ChildFailedError as error:
        if not any(error.is_a(kind) for kind in (*REFUSED, *ODD_VALUES)):
            raise
        allowed = "a family with settings that make a network"
        raise InvalidError("family", plain(family), allowed, f"family: {error}") from error
    except ChildTimeoutError as error:
        raise UnavailableError(
            f"an estimate must take at most {TIMEOUT_S:g} s, this one was stopped; use fewer blocks and choices in "
            f"'family' and fewer parts in 'recipe', or try again when the machine is less busy"
        ) from error
    except ChildDiedError as error:
        log.warning("an estimate failed: %s", error)
        raise UnavailableError(
            "the process of this estimate ended without an answer, probably for lack of memory; use fewer blocks and "
            "choices in 'family', or try again when the machine is less busy"
        ) from error


def _estimate(request: dict[str, JsonValue], _progress: Progress) -> dict[str, object]:
    from supernets.data import Facts
    from supernets.recipes.recipe import Recipe
    from supernets.training.estimate import estimate
    from supernets.training.plan import make_family
    from supernets.training.sizes import resolution_problems

    asked = EstimateRequest.model_validate(request)
    training, report = asked.training, asked.report
    facts = TypeAdapter(Facts).validate_python(asked.facts)
    family, recipe = make_family(training), Recipe.parse(training.recipe)
    if report is not None:
        report.problems += resolution_problems(report, family)
    cost = estimate(recipe, family, facts, seed=training.seed, external=asked.external, at_most=REHEARSED)
    space = family.space()
    costs = family.costs(space.encode([space.min(), space.max()]))
    view = EstimateView(
        data=training.data,
        data_report=report,
        task=training.task,
        classes=None if facts.classes is None else len(facts.classes),
        train_images=facts.train,
        family=family.name,
        recipe=recipe.name,
        batch_size=recipe.batch_size,
        seed=training.seed,
        params=[float(value) for value in costs[PARAMS]],
        macs=[float(value) for value in costs[MACS]],
        **cost.as_json(),
    )
    return view.model_dump(mode="json")
