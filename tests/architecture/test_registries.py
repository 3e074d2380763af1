"""Type checkers cannot see through the strings of a registry, so every one of them is loaded here."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from supernets.errors import UnknownNameError
from supernets.registry import Registry

ROOT = Path(__file__).parents[2]
HOMES = ("supernets", "predictors", "predictors.targets", "search", "service.jobs")


def registries() -> list[tuple[str, Registry]]:
    found = []
    for home in HOMES:
        for name, value in sorted(vars(importlib.import_module(home)).items()):
            if isinstance(value, Registry):
                found.append((f"{home}.{name}", value))
    return found


ENTRIES = [(f"{where}[{name}]", registry, name) for where, registry in registries() for name in registry]


def test_there_are_registries() -> None:
    names = {where.rsplit(".", 1)[1] for where, _ in registries()}
    assert {"FAMILIES", "SAMPLERS", "LOSSES", "EXPORTERS"} <= names


@pytest.mark.parametrize(
    ("registry", "name"), [entry[1:] for entry in ENTRIES], ids=[entry[0] for entry in ENTRIES]
)
def test_a_registered_name_loads(registry: Registry, name: str) -> None:
    assert callable(registry.load(name)), f"{registry[name]} must be a class or a function"


@pytest.mark.parametrize("registry", [r for _, r in registries()], ids=[where for where, _ in registries()])
def test_an_unknown_name_lists_the_choices(registry: Registry) -> None:
    with pytest.raises(UnknownNameError) as caught:
        registry.load("no such thing")
    assert all(name in str(caught.value) for name in registry)
