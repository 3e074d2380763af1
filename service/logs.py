"""Log lines, as text for people or as JSON for machines, each with the ids of its request and its job."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
job_id: ContextVar[str | None] = ContextVar("job_id", default=None)
IDS = {"request_id": request_id, "job_id": job_id}
ACCESS = "netwright.access"
"""The logger with a line for each request."""
QUIET = ("alembic",)
LogFormat = Literal["text", "json"]


class TextFormatter(logging.Formatter):
    """``time level logger: [ids] message``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without a traceback."""
        ids = [value for variable in IDS.values() if (value := variable.get())]
        text = super().formatMessage(record)
        new = [value for value in ids if value not in text]
        return f"{text} [{' '.join(new)}]" if new else text


class JsonFormatter(logging.Formatter):
    """An object a line: time, level, logger, message, and where there are any, ids, fields and a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        found: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        found |= {name: value for name, variable in IDS.items() if (value := variable.get())}
        found |= getattr(record, "fields", {})
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str)


def set_up(level: str, format: LogFormat) -> None:
    """Send the log of this process to stderr. Lines for each request are of JSON, and of DEBUG."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    if format == "text" and level != "DEBUG":
        logging.getLogger(ACCESS).setLevel(logging.WARNING)
