"""What a job tells while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netwright.connection import JSON


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a job: ``type`` is ``state``, ``progress``, ``step`` or ``log``; ``id`` orders them."""

    id: int
    type: str
    data: JSON


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a stream of server-sent events; other lines, such as those that keep it open, say nothing."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if {"id", "event", "data"} <= fields.keys():
                yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}
