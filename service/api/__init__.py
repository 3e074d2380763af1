"""Routes: one file per resource, all named here."""

from fastapi import APIRouter

from service.api import (
    artifacts,
    exports,
    fronts,
    health,
    jobs,
    leases,
    predictors,
    searches,
    subnets,
    supernets,
    targets,
    trainings,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    supernets.router,
    trainings.router,
    targets.router,
    leases.router,
    predictors.router,
    searches.router,
    fronts.router,
    subnets.router,
    exports.router,
    artifacts.router,
    jobs.router,
)

__all__ = ["ROUTERS"]
