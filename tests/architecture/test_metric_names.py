"""Metrics are named in one table: other code refers to a name by its constant, or reads the table."""

import ast
import re
from pathlib import Path

import pytest

from supernets.metrics import METRICS

ROOT = Path(__file__).parents[2]
PACKAGES = ("supernets", "predictors", "search", "service", "netwright")
ALLOWED = {
    "supernets/metrics.py": "the table",
    "netwright/metric_names.py": "the names that the light client refers to; it cannot import the table",
    "service/http/openapi/descriptions.py": "descriptions of fields and example bodies of the OpenAPI document",
    "service/http/openapi/examples.py": "example answers of the OpenAPI document",
    "supernets/training/steps/training.py": "`params` is the key of an optimizer's parameter group",
    "predictors/latency/inputs.py": "quantities of a layer, not metrics of a subnet",
    "predictors/latency/features.py": "quantities of a layer, not metrics of a subnet",
}


def spelled(source: str) -> list[str]:
    """The names of metrics that are written as strings."""
    nodes = ast.walk(ast.parse(source))
    return [str(node.value) for node in nodes if isinstance(node, ast.Constant) and node.value in METRICS]


def files() -> list[str]:
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def spelled_by_the_page(source: str) -> list[str]:
    """The names of metrics in strings, comments left out; fields of layers and panels are read as properties."""
    code = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith("//"))
    return [name for name in METRICS if re.search(rf"""["'`]{name}["'`]|(?:max|min)_{name}\b""", code)]


def test_the_page_takes_metrics_from_the_api():
    scripts = sorted((ROOT / "service" / "page" / "static").rglob("*.js"))
    assert len(scripts) > 20
    found = {path.name: spelled_by_the_page(path.read_text()) for path in scripts}
    assert {name: names for name, names in found.items() if names} == {}


def test_names_in_scripts_are_found():
    assert spelled_by_the_page("get({ max_latency_ms: 1 }, `macs`)\n// 'params'") == ["latency_ms", "macs"]


def test_no_metric_is_spelled_outside_the_table():
    found = {name: spelled((ROOT / name).read_text()) for name in files() if name not in ALLOWED}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize("name", ALLOWED)
def test_an_exception_is_still_one(name):
    assert spelled((ROOT / name).read_text()), f"{name} spells no metric: remove it from the exceptions"


def test_the_names_of_the_client_are_in_the_table():
    from netwright import metric_names

    names = {value for key, value in vars(metric_names).items() if key.isupper()}
    assert names <= set(METRICS)


def test_names_in_fields_and_f_strings_are_found():
    assert spelled("x = row['latency_ms']\ny = f'{row[\"macs\"]}'\n# 'params'") == ["latency_ms", "macs"]
