"""The layers of a subnet, their costs, and what is predicted of the whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from service.db import queries
from service.db.tables import Subnet
from service.http.deps import App, Project
from service.search.layers.breakdown import layers_of
from service.search.layers.schemas import LayersView

router = APIRouter(prefix="/v1/subnets", tags=["subnets"])


@router.get("/{id}/layers")
def list_layers(
    app: App, project: Project, id: str, target: Annotated[str | None, Query()] = None
) -> LayersView:
    """Each layer with its costs and its part of the latency on ``target``, and what is predicted of the whole."""
    with app.database.read() as session:
        row = queries.get(session, project, Subnet, id)
        return layers_of(session, project, app.store, row, target)
