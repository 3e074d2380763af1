"""The client's types are those of the service."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("file", ["models.py", "requests.py"])
def test_a_generated_file_is_current(file: str) -> None:
    spec = importlib.util.spec_from_file_location("client_types", ROOT / "docs" / "client_types.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    current = (ROOT / "netwright" / "client" / "http" / file).read_text()
    assert current == module.FILES[file](module.document()), "run: make client-types"
