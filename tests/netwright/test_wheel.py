"""The wheel that a laptop or a device installs: what it declares, and that it needs no more than that."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from tests.wheel import build, environment, needed

LIGHT = {"httpx", "numpy", "rich", "typer"}
IMPORT_ALL = """
import importlib, pkgutil, sys, netwright
from netwright.trackers import TRACKERS
trackers = {place.partition(":")[0] for place in TRACKERS.values()}
for module in pkgutil.walk_packages(netwright.__path__, "netwright."):
    if not module.name.endswith("__main__") and module.name not in trackers:
        importlib.import_module(module.name)
foreign = {"torch", "fastapi", "sqlalchemy", "dbos", "pandas", "onnxruntime"} & set(sys.modules)
assert not foreign, foreign
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def light(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("light") / "env", wheel)


def run(programs: Path, *command: str, code: int = 0) -> str:
    done = subprocess.run([str(programs / command[0]), *command[1:]], capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_declares_light_packages_and_the_runtime_for_an_agent(light: Path) -> None:
    (packages,) = (light.parent / "lib").glob("python3*/site-packages")
    (own,) = metadata.distributions(name="netwright", path=[str(packages)])
    assert {each.name for each in needed(own)} == LIGHT
    assert {each.name for each in needed(own, "agent")} == LIGHT | {"onnxruntime"}
    assert own.metadata["License-Expression"] == "Apache-2.0"
    assert "netwright/py.typed" in {str(file) for file in own.files or ()}


def test_the_client_and_all_commands_import_with_these_packages_alone(light: Path) -> None:
    run(light, "python", "-W", "error", "-c", IMPORT_ALL)
    assert "supernets" in run(light, "netwright", "--help")


@pytest.mark.parametrize("command", ["serve", "worker", "migrate", "demo", "data check digits", "keys list"])
def test_a_command_of_the_server_names_what_to_install(light: Path, command: str) -> None:
    assert "pip install 'netwright[server]'" in run(light, "netwright", *command.split(), code=1)


def test_the_agent_names_its_extra(light: Path) -> None:
    code = "from netwright.agent.device import Device; Device('cpu', {})"
    assert "pip install 'netwright[agent]'" in run(light, "python", "-c", code, code=1)
