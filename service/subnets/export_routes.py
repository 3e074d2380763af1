"""Exports: which file, by which exporter, and the proof."""

from __future__ import annotations

from fastapi import APIRouter

from service.db import queries
from service.db.tables import Export
from service.http.deps import App, Project
from service.subnets.schemas import ExportView
from service.views import export_view

router = APIRouter(prefix="/v1/exports", tags=["exports"])


@router.get("/{id}")
def get_export(app: App, project: Project, id: str) -> ExportView:
    """One export."""
    with app.database.read() as session:
        return export_view(session, queries.get(session, project, Export, id))
