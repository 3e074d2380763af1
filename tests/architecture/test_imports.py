"""The import linter passes on this tree, and fails on every edge that points back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("supernets", "predictors", "search", "service", "netwright")

BACK_EDGES = [
    ("supernets/spaces/space.py", "import search"),
    ("supernets/registry.py", "import predictors"),
    ("supernets/registry.py", "import service"),
    ("supernets/spaces/space.py", "import torch"),
    ("search/problem.py", "import predictors"),
    ("search/problem.py", "import torch"),
    ("search/problem.py", "import supernets.elastic.active"),
    ("predictors/__init__.py", "import search"),
    ("predictors/__init__.py", "import service"),
    ("netwright/client/http/connection.py", "import supernets.registry"),
    ("netwright/client/http/connection.py", "import service"),
    ("netwright/cli.py", "import predictors"),
    ("netwright/errors.py", "import torch"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [
        str(Path(sys.executable).parent / "lint-imports"),
        "--no-cache",
        "--config",
        str(folder / "pyproject.toml"),
    ]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def copy_of_the_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.png")
        )
    return folder


def test_this_tree_has_no_back_edge(copy_of_the_house: Path) -> None:
    result = lint(copy_of_the_house)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def report_on_back_edges(copy_of_the_house: Path) -> str:
    before = {file: (copy_of_the_house / file).read_text() for file, _ in BACK_EDGES}
    try:
        for file, line in BACK_EDGES:
            path = copy_of_the_house / file
            path.write_text(f"{path.read_text()}\n{line}\n")
        result = lint(copy_of_the_house)
    finally:
        for file, text in before.items():
            (copy_of_the_house / file).write_text(text)
    assert result.returncode != 0
    return result.stdout


@pytest.mark.parametrize(("file", "line"), BACK_EDGES, ids=[f"{f}: {line}" for f, line in BACK_EDGES])
def test_a_back_edge_breaks_the_build(report_on_back_edges: str, file: str, line: str) -> None:
    importer = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    imported = line.removeprefix("import ")
    assert f"{importer} -> {imported} (l." in report_on_back_edges


@pytest.mark.parametrize(
    "module",
    [
        "supernets",
        "supernets.spaces.space",
        "supernets.spaces.cost",
        "search",
        "search.problem",
        "predictors",
        "netwright.cli",
        "netwright.client",
    ],
)
def test_importing_it_reaches_no_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, f"import {module} reached torch\n{result.stderr}"


@pytest.mark.parametrize("module", ["netwright", "netwright.client", "netwright.cli"])
def test_what_users_install_on_a_laptop_needs_only_the_base_dependencies(module: str) -> None:
    heavy = [
        "torch",
        "fastapi",
        "sqlalchemy",
        "matplotlib",
        "onnxruntime",
        "sklearn",
        "pandas",
        *PACKAGES[:4],
    ]
    code = f"import {module}, sys; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True
    )
    assert result.stdout.strip() == "[]"


def test_every_module_of_search_and_spaces_reaches_no_torch() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in ("search", "supernets/spaces")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    code = f"import importlib, sys\nfor m in {modules}: importlib.import_module(m)\nsys.exit('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
