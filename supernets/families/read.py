"""A family with its configuration, from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from supernets import FAMILIES
from supernets.errors import SpaceError
from supernets.families.family import Family


def read_family(path: Path) -> Family:
    """The family of a file with ``family = NAME`` and its settings; raises ``SpaceError`` for a bad one."""
    try:
        values = tomllib.loads(Path(path).read_text())
    except FileNotFoundError as error:
        raise SpaceError(f"no family file {str(path)!r}; zoo/*/family.toml are examples") from error
    except tomllib.TOMLDecodeError as error:
        raise SpaceError(f"{Path(path).name} is not valid TOML: {error}") from error
    name = values.pop("family", None)
    if not isinstance(name, str):
        raise SpaceError(f"{Path(path).name} must say family = NAME; choices: {', '.join(FAMILIES)}")
    family: Family = FAMILIES.load(name).from_config(values)
    return family
