"""Generators read the OpenAPI document without a warning, and what they make can do the whole journey."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from netwright.processes import running_server
from service.app import create_app
from service.settings import Settings

JOURNEY = Path(__file__).with_name("generated_journey.py")
pytestmark = pytest.mark.timeout(1800)  # the first test waits for an installation
GENERATORS = ("openapi-python-client==0.29.1", "datamodel-code-generator==0.89.0")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the generators, whose own requirements contradict those of this project."""
    folder = tmp_path_factory.mktemp("generators") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    install = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    install += ["--disable-pip-version-check", "--no-compile", *GENERATORS]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the generators cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return folder / "bin"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("document")
    path = folder / "openapi.json"
    path.write_text(json.dumps(create_app(Settings(home=folder)).openapi()))
    return path


def run(programs: Path, folder: Path, *command: str) -> str:
    """What a program of that environment prints; it finds its own programs and what lies in the folder."""
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "PYTHONPATH": str(folder), "HOME": str(folder)}
    done = subprocess.run(
        [str(programs / command[0]), *command[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_models_are_generated_without_a_warning(programs: Path, document: Path, tmp_path: Path) -> None:
    options = ["--input", str(document), "--input-file-type", "openapi", "--output", "models.py"]
    options += ["--output-model-type", "pydantic_v2.BaseModel", "--formatters", "builtin"]
    assert run(programs, tmp_path, "datamodel-codegen", *options) == ""
    run(programs, tmp_path, "python", "-W", "error", "-c", "from models import SearchCreate, FrontView")


def test_a_generated_client_makes_the_whole_journey(programs: Path, document: Path, tmp_path: Path) -> None:
    generate = ["generate", "--path", str(document), "--output-path", "generated", "--meta", "none"]
    said = run(programs, tmp_path, "openapi-python-client", *generate)
    assert "arning" not in said and "rror" not in said, said
    (tmp_path / "generated").rename(tmp_path / "netwright_client")
    with running_server(tmp_path / "home") as server:
        run(programs, tmp_path, "python", "-W", "error", str(JOURNEY), server.url, "subnet.onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "subnet.onnx"))
    assert "netwright.classes" in session.get_modelmeta().custom_metadata_map
