from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from netwright import Client
from netwright.output import printing as output
from tests.netwright.house import House, build, copy


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A home folder with one of everything, and the ids of these."""
    home = tmp_path_factory.mktemp("furnished") / "home"
    return home, build(home)


@pytest.fixture
def ids(furnished: tuple[Path, dict[str, str]]) -> dict[str, str]:
    return furnished[1]


@pytest.fixture
def house(
    furnished: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    """The real application on a copy of that folder; commands talk to it."""
    monkeypatch.setattr("netwright.client.jobs.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("netwright.client.jobs.LONGEST_PAUSE_S", 0.001)
    house = copy(furnished[0], tmp_path / "home")
    monkeypatch.setattr(output.Where, "client", lambda *_, **__: house.client())
    yield house
    house.stop()


@pytest.fixture
def client(house: House) -> Iterator[Client]:
    with house.client() as client:
        yield client
