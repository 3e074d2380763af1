"""What the documentation must mention, and what it may not get wrong."""

from __future__ import annotations

import importlib.util
import json
import re
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel

import predictors
import search
import service.jobs
import supernets
from service.routers import ROUTERS
from supernets.registry import Registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
API = (DOCS / "http-api.md").read_text()
ROUTES = {
    f"{method} {route.path}": route
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods
}
REGISTRIES = {
    f"{module.__name__}.{name}": value
    for module in (supernets, predictors, search, service.jobs)
    for name, value in vars(module).items()
    if isinstance(value, Registry)
}


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["settings.md", "command-line.md"])
def test_a_generated_page_is_current(generate: ModuleType, page: str) -> None:
    assert (DOCS / page).read_text() == generate.PAGES[page](), "run: make docs"


def test_every_setting_has_a_heading() -> None:
    from service.settings import Settings

    headings = re.findall(r"^## `(\w+)`$", (DOCS / "settings.md").read_text(), re.MULTILINE)
    assert headings == [f"NETWRIGHT_{name.upper()}" for name in Settings.model_fields]


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_has_a_heading(route: str) -> None:
    assert f"\n### `{route}`\n" in API


@pytest.mark.parametrize("heading", re.findall(r"^### `(\w+ /[^`]+)`$", API, re.MULTILINE))
def test_every_documented_route_exists(heading: str) -> None:
    assert heading in ROUTES


def test_every_error_code_is_explained() -> None:
    from service.errors import TABLE
    from service.http.answers import CODES

    listed = set(re.findall(r"^\| `(\w+)` \| (?:\dxx|\d{3}|job) \|", API, re.MULTILINE))
    assert {code for _, _, code in TABLE} | set(CODES.values()) | {"internal"} <= listed
    statuses = {code: str(status) for _, status, code in TABLE}
    told = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", API, re.MULTILINE))
    assert {code: told[code] for code in statuses} == statuses


def examples() -> list[tuple[str, Any]]:
    found = []
    for section in re.split(r"^### ", API, flags=re.MULTILINE)[1:]:
        heading = section.split("`")[1]
        for block in re.findall(r"^```json\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            found.append((heading, json.loads(block)))
    return found


@pytest.mark.parametrize(("route", "body"), examples(), ids=[route for route, _ in examples()])
def test_every_example_is_a_body_that_its_route_accepts(route: str, body: Any) -> None:
    model = typing.get_type_hints(ROUTES[route].endpoint)["body"]
    assert issubclass(model, BaseModel)
    model.model_validate(body)


def test_every_route_with_a_body_has_an_example() -> None:
    with_body = {name for name, route in ROUTES.items() if route.body_field is not None}
    assert with_body
    assert with_body <= {route for route, _ in examples()}


@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_registry_is_explained(registry: str) -> None:
    name = registry.rsplit(".", 1)[1]
    pages = [page for page in DOCS.glob("add-a*.md") if re.search(rf"`{name}`", page.read_text())]
    assert pages, f"no add-a-….md says how to add to {name}"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(found), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


PATHS = re.compile(
    r"`((?:supernets|predictors|search|service|netwright|tests|zoo|docs|benchmarks|examples)/[\w./]+)`"
)
MODULES = re.compile(r"`((?:supernets|predictors|search|service|netwright)(?:\.\w+)+)`")


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_file_and_name_that_is_mentioned_exists(page: Path) -> None:
    text = page.read_text()
    assert [path for path in PATHS.findall(text) if not (ROOT / path).exists()] == []
    assert [name for name in MODULES.findall(text) if not _importable(name)] == []


def _importable(dotted: str) -> bool:
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name, None)
        return found is not None
    return False


def python_blocks() -> list[tuple[str, str]]:
    return [
        (page.name, re.sub(rf"^{indent}", "", block, flags=re.MULTILINE))
        for page in PAGES
        for indent, block in re.findall(
            r"^( *)```python\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL
        )
    ]


@pytest.mark.parametrize(("page", "code"), python_blocks(), ids=[page for page, _ in python_blocks()])
def test_python_in_the_pages_compiles_and_its_imports_resolve(page: str, code: str) -> None:
    compile(code, page, "exec")
    imports = [line for line in code.splitlines() if re.match(r"(from|import) ", line)]
    exec("\n".join(imports), {})


def commands() -> list[str]:
    lines: list[str] = []
    for page in PAGES:
        text = page.read_text()
        for block in re.findall(r"^ *```(?:sh|bash|console)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
            lines += re.findall(
                r"^\s*(?:\$ )?(?:\.venv/bin/)?netwright (.+)$", block.replace("\\\n", " "), re.MULTILINE
            )
        lines += re.findall(r"`netwright ([a-z][^`]*)`", text)
    return [line for line in lines if page_independent(line)]


def page_independent(line: str) -> bool:
    return "[" not in line and "|" not in line


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_commands_in_the_pages_exist_with_these_options(line: str) -> None:
    from typer.main import get_command

    from netwright.cli import app

    command: Any = get_command(app)
    words = line.split("#")[0].split()
    while words and words[0].startswith("--"):
        words = words[2:]
    while hasattr(command, "commands") and words:
        assert words[0] in command.commands, f"netwright {line}"
        command = command.commands[words.pop(0)]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert {word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1} <= known | {
        "--help"
    }
