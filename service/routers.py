"""Routes: one file per resource, all named here."""

from fastapi import APIRouter

from service.conversions import routes as conversions
from service.devices import lease_routes as leases
from service.devices import routes as targets
from service.http import health
from service.http.jobs import routes as jobs
from service.http.openapi import docs_page as docs
from service.measurements import metrics
from service.measurements import routes as measurements
from service.monitoring import routes as monitoring
from service.page import routes as page
from service.predictors import routes as predictors
from service.search import routes as searches
from service.search.fronts import compare_routes as compare
from service.search.fronts import routes as fronts
from service.search.layers import routes as layers
from service.subnets import artifact_routes as artifacts
from service.subnets import routes as subnets
from service.supernets import routes as supernets
from service.training import finetune_routes as finetunes
from service.training import routes as trainings

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    monitoring.router,
    docs.router,
    supernets.router,
    conversions.router,
    trainings.router,
    finetunes.router,
    targets.router,
    leases.router,
    metrics.router,
    measurements.router,
    predictors.router,
    compare.router,
    searches.router,
    fronts.router,
    subnets.router,
    layers.router,
    artifacts.router,
    jobs.router,
    page.router,
)

__all__ = ["ROUTERS"]
