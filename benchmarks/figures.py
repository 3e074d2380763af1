"""Files of figures that benchmarks write and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_figures(path: Path) -> Any:
    """The JSON in a file; a file without any ends the benchmark with a message."""
    text = path.read_text()
    try:
        return json.loads(text)
    except ValueError as error:
        got = "an empty file" if not text.strip() else f"other text ({error})"
        raise SystemExit(f"{path} must hold figures as JSON, as --json writes them, got {got}") from error
