"""The container files agree with the code: settings that exist, commands that exist, files that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from netwright.cli import app
from service.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_compose_runs_commands_that_exist(compose: dict[str, Any]) -> None:
    ours = {
        name: service["command"][0]
        for name, service in compose["services"].items()
        if service["image"] == "netwright"
    }
    assert set(ours.values()) == {"migrate", "serve", "worker"}
    assert set(ours.values()) <= set(get_command(app).commands)  # type: ignore[attr-defined]


def test_compose_and_dockerfile_set_settings_that_exist(compose: dict[str, Any]) -> None:
    known = {f"NETWRIGHT_{name.upper()}" for name in Settings.model_fields}
    for service in compose["services"].values():
        ours = {name for name in service["environment"] if name.startswith("NETWRIGHT_")}
        assert ours <= known
    assert set(re.findall(r"ENV (NETWRIGHT_\w+)", (ROOT / "Dockerfile").read_text())) <= known


def test_compose_depends_on_services_that_exist(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        for volume in service["volumes"]:
            name = volume.split(":")[0]
            assert name.startswith(("$", ".", "/")) or name in compose["volumes"]


def test_the_database_url_of_compose_is_accepted(compose: dict[str, Any]) -> None:
    url = compose["services"]["worker"]["environment"]["NETWRIGHT_DATABASE_URL"]
    plain = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", url)
    assert Settings(database_url=plain).database == plain


def test_everything_the_dockerfile_copies_exists() -> None:
    copied = [
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
    ]
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_the_image_holds_every_package() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for package in ("supernets", "predictors", "search", "service", "netwright", "migrations", "zoo"):
        assert f"COPY {package} {package}\n" in text


def test_make_and_ci_agree() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = re.findall(r"^make (.+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert {word for line in called for word in line.split()} <= targets
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
