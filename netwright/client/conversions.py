"""Networks of one's own as supernets."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Unpack

from netwright.client.http import models
from netwright.client.http.connection import LOADING_S, Connection
from netwright.client.http.files import file_body
from netwright.client.http.requests import ConversionOptions, ExamineOptions, PretrainedOptions
from netwright.client.jobs import Job, Jobs
from netwright.client.resource import Resource, checked


class Found(Resource, models.ConversionView):
    """What was found in a network."""

    shown: ClassVar[tuple[str, ...]] = ("subnets", "axes", "frozen")


class Conversions:
    """``client.conversions``.

    ``file`` is a ``.pt2`` file of ``torch.export.save``: its content is sent, or with ``on_server`` it is a path inside
    the server's import folder. ``data`` is what the network was trained on.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self, name: str, file: Path | str, *, on_server: bool = False, **options: Unpack[ConversionOptions]
    ) -> Job:
        """Start a conversion; when the job has succeeded its ``resource`` names the new supernet."""
        sent = {"name": name, "file": file_body(file, on_server=on_server)}
        body = {**sent, **checked(options, ConversionOptions)}
        return Jobs(self._connection).started(
            self._connection.post("/v1/conversions", body, timeout_s=LOADING_S)
        )

    def create_pretrained(self, name: str, folder: str, **options: Unpack[PretrainedOptions]) -> Job:
        """Start a conversion of a pretrained transformer, a folder inside the server's import folder."""
        body = {"name": name, "folder": folder, **checked(options, PretrainedOptions)}
        return Jobs(self._connection).started(
            self._connection.post("/v1/conversions:pretrained", body, timeout_s=LOADING_S)
        )

    def examine(
        self, file: Path | str, *, on_server: bool = False, **options: Unpack[ExamineOptions]
    ) -> Found:
        """What :meth:`create` would find with the same arguments; starts nothing."""
        body = {"file": file_body(file, on_server=on_server), **checked(options, ExamineOptions)}
        return Found.of(
            self._connection, self._connection.post("/v1/conversions:examine", body, timeout_s=LOADING_S)
        )
