"""Supernets, their spaces, and the evaluation of their subnets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.db import queries
from service.db.removal import remove_supernet
from service.db.tables import Supernet
from service.errors import ConflictError, InvalidError
from service.http import schemas as common
from service.http.deps import App, Archived, Page, Project
from service.http.files import content_of, keep
from service.runtime import job_queries
from service.supernets import checkpoints
from service.supernets.datasets import proven_data, require_images
from service.supernets.images import usual_part, validation_images
from service.supernets.official import official_directory
from service.supernets.schemas import AxisView, SpaceView, SupernetCreate, SupernetUpdate, SupernetView
from service.supernets.tables import space_manifest
from supernets.manifest import MANIFEST_FILE, Manifest

router = APIRouter(prefix="/v1/supernets", tags=["supernets"])


@router.get("")
def list_supernets(
    app: App,
    project: Project,
    page: Page,
    name: Annotated[str | None, Query()] = None,
    archived: Archived = False,
) -> common.Page[SupernetView]:
    """Registered supernets, newest first."""
    with app.database.read() as session:
        rows, token = queries.page(
            session, project, Supernet, size=page.size, token=page.token, archived=archived, name=name
        )
        return common.Page(items=[supernet_view(row) for row in rows], next_page_token=token)


@router.post(
    "", status_code=201, responses={200: {"model": SupernetView, "description": "It is registered already"}}
)
def create_supernet(app: App, project: Project, body: SupernetCreate, response: Response) -> SupernetView:
    """Register a supernet from the zoo or the import folder, its hashes checked; or the space of a table.

    A file that once-for-all released (``official``) becomes a supernet with ImageNet's preprocessing and classes.
    """
    if body.table is not None:
        return _create_space(app, project, body, response)
    manifest, files = _take(app, body)
    name = body.name or manifest.name
    with app.database.write() as session:
        row = queries.find(session, project, Supernet, name=name)
        if row is None:
            job_queries.require_unreserved(session, project, "supernet", name)
            source = "zoo" if body.zoo is not None else "official" if body.official is not None else "import"
            row = checkpoints.add_supernet(session, project, name, source, manifest, files)
        elif row.files[MANIFEST_FILE] != files[MANIFEST_FILE]:
            raise ConflictError(
                f"another supernet is called {name!r} ({row.id}, weights {row.weights_sha256[:12]}); give a 'name'"
            )
        else:
            response.status_code = 200
        response.headers["Location"] = f"/v1/supernets/{row.id}"
        return supernet_view(row)


def _create_space(app: App, project: Project, body: SupernetCreate, response: Response) -> SupernetView:
    """The same columns of the same file under the same name are one space."""
    assert body.table is not None and body.name is not None
    with app.database.read() as session:
        content = content_of(session, project, app, body.table.file, "table.file")
    manifest = space_manifest(content, body.name, body.table)
    with app.database.write() as session:
        keep(session, project, app.store, content)
        job_queries.require_unreserved(session, project, "supernet", body.name)
        row, new = checkpoints.register_space(session, project, app.store, manifest)
        if not new:
            response.status_code = 200
        response.headers["Location"] = f"/v1/supernets/{row.id}"
        return supernet_view(row)


def _take(app: App, body: SupernetCreate) -> tuple[Manifest, dict[str, object]]:
    """The checked manifest and the stored files of a supernet from the zoo or the import folder."""
    if body.path is not None:
        with checkpoints.imported_copy(app.settings, body.path, "path") as directory:
            manifest = checkpoints.check_fully(directory)
            if body.data is None:
                require_images(manifest.name, manifest.data.name, app.settings, "data")
            return _placed(app, body, manifest, directory), checkpoints.put_directory(app.store, directory)
    if body.official is not None:
        assert body.data is not None
        with official_directory(app.settings, body.official, body.data) as (manifest, directory):
            return manifest, checkpoints.put_directory(app.store, directory)
    zoo = app.settings.zoo_dir
    names = sorted(path.parent.name for path in zoo.glob(f"*/{MANIFEST_FILE}"))
    if body.zoo not in names:
        raise InvalidError("zoo", body.zoo, names)
    manifest = _placed(app, body, checkpoints.check(zoo / body.zoo), zoo / body.zoo)
    return manifest, checkpoints.put_directory(app.store, zoo / body.zoo)


def _placed(app: App, body: SupernetCreate, manifest: Manifest, directory: Path) -> Manifest:
    """The manifest with the data that the request names, which are those that the supernet was trained on."""
    if body.data is None:
        return manifest
    name = proven_data(app.settings, body.data, manifest, directory)
    return manifest.model_copy(update={"data": manifest.data.model_copy(update={"name": name})})


@router.patch("/{id}")
def update_supernet(app: App, project: Project, id: str, body: SupernetUpdate) -> SupernetView:
    """State the licence of a supernet, or where its images are now: by their hashes those it was trained on."""
    with app.database.read() as session:
        row = queries.get(session, project, Supernet, id)
        checkpoints.require_network(row)
        manifest, files = Manifest.parse(row.manifest), row.files
    name = manifest.data.name
    if body.data is not None:
        directory = checkpoints.materialise(app.store, files, app.settings.home / "cache")
        name = proven_data(app.settings, body.data, manifest, directory)
    with app.database.write() as session:
        row = queries.get(session, project, Supernet, id)
        row.manifest = {**row.manifest, "data": {**row.manifest["data"], "name": name}}
        if "licence" in body.model_fields_set:
            row.manifest = {**row.manifest, "licence": body.licence}
        session.flush()
        return supernet_view(row)


@router.get("/{id}")
def get_supernet(app: App, project: Project, id: str) -> SupernetView:
    """One supernet."""
    with app.database.read() as session:
        return supernet_view(queries.get(session, project, Supernet, id))


@router.delete("/{id}")
def delete_supernet(app: App, project: Project, id: str) -> common.Removed:
    """Delete a supernet; one with subnets, measurements, predictors or searches is archived, and its name is free."""
    with app.database.write() as session:
        row = queries.get(session, project, Supernet, id)
        return common.Removed.of(row.id, remove_supernet(session, row))


@router.get("/{id}/space")
def get_space(app: App, project: Project, id: str) -> SpaceView:
    """Axes and choices of a supernet."""
    with app.database.read() as session:
        space = checkpoints.family_of(queries.get(session, project, Supernet, id)).space()
    axes = [
        AxisView(
            name=axis.name,
            kind=axis.kind,
            choices=list(axis.choices),
            parent=axis.parent,
            active_when=list(axis.active_when),
        )
        for axis in space.axes
    ]
    return SpaceView(
        axes=axes, size=float(space.size()), smallest=space.min().as_dict(), largest=space.max().as_dict()
    )


def supernet_view(row: Supernet) -> SupernetView:
    """A supernet: its row and its manifest."""
    known = {
        key: row.manifest[key]
        for key in (
            "family",
            "quality",
            "classes",
            "data",
            "preprocessing",
            "training",
            "recipe",
            "report",
            "licence",
        )
    }
    return SupernetView(
        id=row.id,
        created_at=row.created_at,
        archived_at=row.archived_at,
        name=row.name,
        source=row.source,
        weights_sha256=row.weights_sha256,
        space_sha256=row.space_sha256,
        space_size=float(checkpoints.family_of(row).space().size()),
        first_images=usual_part(validation_images(row)),
        **known,
    )
