"""Files that are sent to the server inside a request."""

from __future__ import annotations

import base64
from pathlib import Path

from netwright.client.http.requests import FileBody
from netwright.errors import NetwrightError

MAX_BYTES = 5_500_000  # in base64 within the 8 MB that a request may have


def file_body(file: Path | str, *, on_server: bool) -> FileBody:
    """A file as a request names it: its content, or with ``on_server`` a path inside the server's import folder."""
    if on_server:
        return {"path": str(file)}
    path = Path(file)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise NetwrightError(
                f"a file in a request may have {MAX_BYTES:,} bytes, {path} has {size:,}: put it into the server's "
                f"NETWRIGHT_IMPORT_DIR and name it with on_server (--on-server)"
            )
        return {"content": base64.b64encode(path.read_bytes()).decode()}
    except OSError as error:
        raise NetwrightError(f"the file must be readable, got {path}: {error.strerror or error}") from error
