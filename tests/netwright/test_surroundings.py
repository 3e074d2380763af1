"""A server whose surroundings are wrong: a sentence that names what to change, and status 1."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from netwright.cli import app
from service.settings import Settings
from tests.powers import like_any_user

SERVERS = ["serve --port 0", "worker", "migrate", "keys list"]
SECRET = "letmein"
NOBODY = f"postgresql+psycopg://me:{SECRET}@127.0.0.1:9/d"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a database, and no other setting."""
    for name in [name for name in os.environ if name.startswith("NETWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETWRIGHT_HOME", str(tmp_path / "home"))
    assert CliRunner().invoke(app, ["migrate"]).exit_code == 0
    yield tmp_path / "home"
    for folder in (tmp_path, *tmp_path.rglob("*")):
        if folder.is_dir():
            folder.chmod(0o755)


def refused(command: str, words: str, **settings: str) -> None:
    """Run a command with settings; it must end with one sentence."""
    environment: dict[str, str | None] = {
        f"NETWRIGHT_{name.upper()}": value for name, value in settings.items()
    }
    with like_any_user():
        result = CliRunner().invoke(app, command.split(), env={"COLUMNS": "300", **environment})
    assert result.exit_code == 1, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    assert words in result.stderr and "Traceback" not in result.output and SECRET not in result.output
    assert len(result.stderr.strip().splitlines()) <= 2


@pytest.mark.parametrize("command", [*SERVERS, "keys create mine --scope read", "prune"])
def test_a_database_that_may_only_be_read(command: str, home: Path) -> None:
    for path in (*home.rglob("*"), home):
        path.chmod(0o555 if path.is_dir() else 0o444)
    refused(command, "readonly database")


@pytest.mark.parametrize("command", SERVERS)
@pytest.mark.parametrize("below", ["", "data"])
def test_a_home_that_cannot_be_written(command: str, below: str, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    place = tmp_path / "locked" / below
    refused(command, "NETWRIGHT_HOME" if command == "migrate" else str(place), home=str(place))


@pytest.mark.parametrize("command", SERVERS)
@pytest.mark.parametrize(
    ("url", "words"),
    [
        (NOBODY, "the database does not answer"),
        ("sqlite:////dev/null/x", "database"),
        ("sqlite://", "must name a file"),
        ("mysql://me:letmein@h/d", "must start with sqlite:/// or postgresql+psycopg://"),
        ("nonsense", "NETWRIGHT_DATABASE_URL"),
    ],
)
def test_a_database_that_is_not_there(command: str, url: str, words: str) -> None:
    refused(command, words, database_url=url)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear reader, " * 100)
    for command in SERVERS:
        refused(command, "file is not a database", database_url=f"sqlite:///{tmp_path / 'letter'}")


def test_a_port_in_use_or_not_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused(f"serve --port {other.getsockname()[1]}", "cannot listen at 127.0.0.1")
    refused("serve --host 192.0.2.1 --port 0", "until there is a key")


@pytest.mark.parametrize("command", ["serve --port 0", "worker"])
@pytest.mark.parametrize("url", ["nope://x", f"nope://me:{SECRET}@x"])
def test_artifacts_at_a_place_of_no_known_kind(command: str, url: str) -> None:
    refused(command, "NETWRIGHT_ARTIFACTS_URL", artifacts_url=url)


def wrong_values() -> list[tuple[str, str]]:
    """For every setting that is no free text: values of other kinds, and beyond either end."""
    found = []
    for name, field in Settings.model_fields.items():
        if field.annotation in (int, float):
            ends = ["-1", "nan", "inf", "9" * 30, "many", ""]
            found += [(name, value) for value in ends]
        elif field.annotation is bool:
            found += [(name, "perhaps")]
        elif "Literal" in str(field.annotation):
            found += [(name, value) for value in ("loud", "", "1")]
    found += [("allowed_hosts", value) for value in ("a b", "[", "http://x")]
    found += [("job_limits", value) for value in ("train", "train=0", "train=many", "=1", "train=²")]
    return found


def test_every_number_of_the_settings_has_ends() -> None:
    for name, field in Settings.model_fields.items():
        if field.annotation in (int, float):
            assert {type(each).__name__ for each in field.metadata} & {"Gt", "Ge"}, name
            assert {type(each).__name__ for each in field.metadata} & {"Lt", "Le"}, name
            assert field.default is not PydanticUndefined


@pytest.mark.parametrize(("name", "value"), wrong_values())
def test_a_setting_of_the_wrong_kind_is_named_with_its_rule(name: str, value: str) -> None:
    refused("worker", f"NETWRIGHT_{name.upper()}", **{name: value})


def test_a_worker_of_an_unknown_kind_of_job() -> None:
    refused("worker", "unknown job kind", job_kinds="nonsense")
