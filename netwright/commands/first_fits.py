"""Predictors that a search lacks: measure, evaluate and fit them, as three commands would."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from netwright.client import Client
from netwright.errors import ApiError

MISSING = "predictors_missing"
Result = TypeVar("Result")


def with_predictors(
    client: Client,
    supernet: str,
    count: int | None,
    timeout: float,
    progress: bool,
    action: Callable[[], Result],
) -> Result:
    """What ``action`` returns; where it is refused for want of predictors, they are fitted first.

    Args:
        client: of the server.
        supernet: id or name.
        count: subnets to measure on each target that lacks a predictor, and to evaluate; None fits nothing.
        timeout: seconds that each job may take.
        progress: show a progress bar of each job.
        action: starts a search.
    """
    try:
        return action()
    except ApiError as error:
        if count is None or error.code != MISSING:
            raise
        bodies = [each.body for each in error.actions]
    lacking = [(str(body["metric"]), str(body["target"]) if body.get("target") else None) for body in bodies]
    targets = dict.fromkeys(target for _, target in lacking if target is not None)
    jobs = [client.targets.get(target).measure(supernet, count=count) for target in targets]
    if any(target is None for _, target in lacking):
        jobs.append(client.supernets.get(supernet).evaluate(count=count))
    for job in jobs:
        job.wait(timeout, progress)
    for metric, target in lacking:
        client.predictors.fit(supernet, metric=metric, target=target).wait(timeout, progress)
    return action()
