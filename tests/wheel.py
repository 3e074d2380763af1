"""The wheel of this checkout, and environments that hold it with nothing but what it declares.

No package index is asked: the packages of such an environment are links to those of the running one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PARTS = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "supernets",
    "predictors",
    "search",
    "service",
    "netwright",
)


def build(folder: Path) -> Path:
    """Build the wheel in ``folder``, from a copy of the sources."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in PARTS:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(folder: Path, wheel: Path, extra: str = "", also: Iterable[str] = ()) -> Path:
    """What ``pip install "WHEEL[extra]"`` and the packages of ``also`` make of an empty environment.

    Returns its folder of programs.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    programs = folder / "bin"
    (packages,) = (folder / "lib").glob("python3*/site-packages")
    command = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--quiet"]
    command += ["--disable-pip-version-check", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (own,) = metadata.distributions(name="netwright", path=[str(packages)])
    for found in _closure([*needed(own, extra), *(Requirement(name) for name in also)]):
        for top in {
            file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")
        }:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(found.locate_file(top))).resolve())
    return programs


def needed(distribution: metadata.Distribution, extra: str = "") -> list[Requirement]:
    """What a distribution requires on this machine, with one of its extras."""
    found = [Requirement(line) for line in distribution.requires or ()]
    return [each for each in found if each.marker is None or each.marker.evaluate({"extra": extra})]


def _closure(wanted: list[Requirement]) -> Iterable[metadata.Distribution]:
    found: dict[str, metadata.Distribution] = {}
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        for extra in requirement.extras or {""}:
            wanted += needed(found[name], extra)
    return found.values()
